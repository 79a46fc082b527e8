"""How well this machine's clock agrees with UTC, as its kernel knows it from NTP or PTP."""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Final

from dyncal.domain.time import DurationNs

_STA_UNSYNC: Final = 0x0040
_TIME_ERROR: Final = 5


class _Timex(ctypes.Structure):
    """``struct timex`` of adjtimex(2) on Linux; the fields behind `status` are not read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def u_clock_ns() -> DurationNs | None:
    """Return the estimated error of the clock as a standard uncertainty [ns], or None where it is not disciplined."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    timex = _Timex()
    state = adjtimex(ctypes.byref(timex))  # modes = 0: only asks
    if state in (-1, _TIME_ERROR) or timex.status & _STA_UNSYNC:
        return None
    return DurationNs(int(timex.esterror) * 1000)
