"""What a script of the foreign environment needs: its inputs, a clock, and a way to give results back.

::

    from tests.benchmarks.foreign_scripts.exchange import best_s, inputs, give

    given = inputs()
    give(y=y, seconds=best_s(lambda: f(given["x"])))

Imports nothing of dyncal, which is not installed there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def inputs() -> dict[str, Any]:
    """Return the arrays given; those without dimensions as Python numbers and strings."""
    with np.load(Path(sys.argv[1]), allow_pickle=False) as given:
        return {name: given[name].item() if given[name].ndim == 0 else given[name] for name in given.files}


def give(**outputs: Any) -> None:
    """Give arrays or numbers back."""
    np.savez(Path(sys.argv[2]), **{name: np.asarray(values) for name, values in outputs.items()})  # type: ignore[arg-type]


def best_s(work: Callable[[], object], repeats: int = 5, at_most_s: float = 30.0) -> float:
    """Return the shortest time of up to `repeats` runs [s], fewer if they take longer than `at_most_s` in all."""
    best, spent = float("inf"), 0.0
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        taken = time.perf_counter() - started
        best, spent = min(best, taken), spent + taken
        if spent > at_most_s:
            break
    return best
