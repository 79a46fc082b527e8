"""Quality of a sample: OPC UA status codes (OPC 10000-4, 7.38), kept as they came and stored as runs.

Devices on MQTT that give no quality are good; their mapping may say otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.errors import InvalidData

UInt32Array = npt.NDArray[np.uint32]
QualityRuns = tuple[tuple[int, int], ...]
"""Status codes run by run: ((code, count), …)."""

GOOD: Final = 0x0000_0000
UNCERTAIN: Final = 0x4000_0000
BAD: Final = 0x8000_0000
UNCERTAIN_LAST_USABLE_VALUE: Final = 0x4090_0000
UNCERTAIN_SENSOR_NOT_ACCURATE: Final = 0x4093_0000
BAD_NO_COMMUNICATION: Final = 0x8031_0000
BAD_OUT_OF_RANGE: Final = 0x803C_0000

_SEVERITY: Final = 0xC000_0000
_INFO_TYPE: Final = 0x0C00
_INFO_DATA_VALUE: Final = 0x0400
_OVERFLOW: Final = 0x0080
OVERFLOW_BITS: Final = _INFO_DATA_VALUE | _OVERFLOW
"""What says in a code that a queue dropped values."""


def is_good(codes: UInt32Array) -> npt.NDArray[np.bool_]:
    """Tell which codes have severity Good; shape as `codes`."""
    good_codes: npt.NDArray[np.bool_] = (codes & np.uint32(_SEVERITY)) == 0
    return good_codes


def is_bad(codes: UInt32Array) -> npt.NDArray[np.bool_]:
    """Tell which codes have severity Bad; shape as `codes`."""
    bad_codes: npt.NDArray[np.bool_] = (codes & np.uint32(BAD)) != 0
    return bad_codes


def all_good(runs: QualityRuns) -> bool:
    """Tell whether all codes have severity Good."""
    return all(code & _SEVERITY == 0 for code, _ in runs)


def has_overflow(code: int) -> bool:
    """Tell whether a code says that the server's queue dropped values beside this one (OPC 10000-4, table 175)."""
    return code & _INFO_TYPE == _INFO_DATA_VALUE and code & _OVERFLOW != 0


def good(n: int) -> QualityRuns:
    """Return `n` good samples."""
    return ((GOOD, n),) if n else ()


def runs_of(codes: Iterable[int]) -> QualityRuns:
    """Return the run-length form of `codes`."""
    runs: list[tuple[int, int]] = []
    for code in codes:
        if runs and runs[-1][0] == code:
            runs[-1] = (code, runs[-1][1] + 1)
        else:
            runs.append((int(code), 1))
    return tuple(runs)


def expand(runs: QualityRuns) -> UInt32Array:
    """Return the codes of `runs`, uint32, one for each sample."""
    if not runs:
        return np.empty(0, np.uint32)
    codes, counts = zip(*runs, strict=True)
    return np.repeat(np.asarray(codes, np.uint32), counts)


def check(runs: QualityRuns, n: int) -> None:
    """Raise `InvalidData` unless `runs` are status codes for exactly `n` samples."""
    if len(runs) == 1 and runs[0][1] == n > 0 and 0 <= runs[0][0] <= 0xFFFF_FFFF:  # as it is nearly always
        return
    if any(not 0 <= code <= 0xFFFF_FFFF or count <= 0 for code, count in runs):
        raise InvalidData("quality runs need codes of 32 bits and positive counts")
    total = sum(count for _, count in runs)
    if total != n:
        raise InvalidData(f"quality runs cover {total} samples of {n}")
