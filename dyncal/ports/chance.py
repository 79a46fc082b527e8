"""What is done at a time of chance, so that many do not do it at the same time."""

from __future__ import annotations

from typing import Protocol


class Chance(Protocol):
    """`numpy.random.Generator` with a seed, where it must come twice the same; else `random.SystemRandom`, lighter."""

    def uniform(self, low: float, high: float, /) -> float:
        """Return a number between them, each as likely."""
        ...
