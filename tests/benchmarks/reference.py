"""How fast this machine is now: a piece of work that never changes, timed beside every benchmark.

Two runs, on other machines or at other hours, are compared by what they took over what this took in the same run. It
is a mixture of what the programs consist of: interpreted Python, small messages, arrays, a recursive filter.
"""

from __future__ import annotations

import statistics
import time
from typing import Final

import msgspec
import numpy as np
from scipy.signal import lfilter

_REPEATS: Final = 5
_MESSAGES: Final = 400


def workload() -> float:
    """Do it once; the result is of no use, but keeps it from being left out."""
    total = 0
    counts: dict[int, int] = {}
    for k in range(60_000):
        counts[k % 97] = counts.get(k % 97, 0) + k
        total += counts[k % 97] & 0xFF
    x = np.sin(np.arange(100_000) * 0.01)
    for _ in range(_MESSAGES):
        content = msgspec.msgpack.decode(msgspec.msgpack.encode({"raw": x[:200].tobytes(), "sequence": total}))
        total += len(content["raw"])
    y = lfilter([0.1], [1.0, -0.9], x)
    for _ in range(20):
        y = np.sqrt(y * y + 1e-9) + x
    return total + float(y.sum())


def reference_s() -> float:
    """Return the median processor time of the workload [s]: what others do meanwhile is not in it."""
    times = []
    for _ in range(_REPEATS):
        started = time.process_time()
        workload()
        times.append(time.process_time() - started)
    return statistics.median(times)
