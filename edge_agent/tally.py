"""Squares that are added up until somebody asks for their root mean."""

from __future__ import annotations

import math
import sys


class Tally:
    """A root mean square over what was added since it was last taken."""

    def __init__(self) -> None:
        self._squares, self._n = 0.0, 0

    def add(self, square: float, n: int = 1) -> None:
        """Add `n` squares that come to `square` together."""
        self._squares += square
        self._n += n

    def take(self) -> tuple[float, int]:
        """Return (rms, n) and begin anew; (0, 0) where nothing was added."""
        squares, n = self._squares, self._n
        self._squares, self._n = 0.0, 0
        if not n:
            return 0.0, 0
        rms = math.sqrt(squares / n)
        return (rms if math.isfinite(rms) else sys.float_info.max), n  # JSON has no other word for it
