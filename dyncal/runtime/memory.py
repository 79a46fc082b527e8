"""What the C library keeps of memory that nobody uses any more, for programs on small machines."""

from __future__ import annotations

import ctypes
from typing import Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_LARGE: Final = 1 << 17  # glibc's own, before it learns
_SPARE: Final = 1 << 20  # so that not each message asks the system for memory


def keep_little() -> None:
    """Have large pieces be given back to the system when they are let go of, at once; nothing but with glibc.

    By itself glibc learns from the first large piece not to: a burst of messages stays resident for good.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _SPARE)


def give_back() -> None:
    """Give back what lies free between pieces in use, in a few milliseconds; nothing but with glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
