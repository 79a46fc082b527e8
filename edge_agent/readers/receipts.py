"""What a reader wants done once the samples of an input are in the spool."""

from __future__ import annotations

from collections.abc import Callable


class SharedReceipt:
    """Acknowledges an input once all of its parts, each of one sensor, are in the spool.

    Parameters
    ----------
    n : int
        Number of parts, at least 1.
    done : callable
        Acknowledges; must not raise.
    """

    __slots__ = ("_done", "_n")

    def __init__(self, n: int, done: Callable[[], None]) -> None:
        self._n = n
        self._done = done

    def settle(self) -> None:
        """Count one part as done."""
        self._n -= 1
        if self._n == 0:
            self._done()
