"""The kernel: what adjtimex(2) says, to which NTP and PTP daemons give their figures."""

from __future__ import annotations

import ctypes
import math
from typing import Final

from edge_agent.clock.reading import Reading, u_of_bound

_STA_UNSYNC: Final = 0x0040
_STA_NANO: Final = 0x2000
_TIME_ERROR: Final = 5
_NS_OF_US: Final = 1e3
_REST: Final = 256


class Timex(ctypes.Structure):
    """``struct timex`` of adjtimex(2) on Linux; the fields behind `status` are not read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * _REST),
    )


class Kernel:
    """Asks the kernel."""

    name: Final = "kernel"

    async def read(self) -> Reading | None:
        """Return what the kernel says; None where it cannot be asked."""
        timex = Timex()
        try:
            state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))  # modes = 0: only asks
        except (OSError, AttributeError):
            return None
        return None if state == -1 else parse(state, timex)


def parse(state: int, timex: Timex) -> Reading:
    """Return what adjtimex answered.

    The error's estimate, `esterror`, is 0 of a daemon that does not give one (systemd-timesyncd): then the bound
    counts, `maxerror`, which the kernel itself lets grow by 500e-6 until it is told anew.
    """
    if state == _TIME_ERROR or timex.status & _STA_UNSYNC:
        return Reading(Kernel.name, synchronised=False)
    offset_ns = float(timex.offset) * (1.0 if timex.status & _STA_NANO else _NS_OF_US)
    if timex.esterror > 0:
        u_ns = math.hypot(float(timex.esterror) * _NS_OF_US, offset_ns)
    else:
        u_ns = u_of_bound(float(timex.maxerror) * _NS_OF_US, offset_ns)
    return Reading(Kernel.name, -offset_ns, u_ns)
