"""When samples come faster than they can be dealt with for long: some are passed over, and it is said.

Whoever only falls behind is of no use in the end: the broker's queue for it fills, what comes then is lost at random,
and all that is found is old. What is passed over is in the time-series store; a calibration is of what was taken.
"""

from __future__ import annotations

from typing import Final

_LOOK_S: Final = 0.5
_FALLS: Final = 0.5  # seconds of lag in a second: a queue that is passed over falls many times as fast


class Overload:
    """Decides whether samples that wait are passed over. Times are seconds of a monotonic clock.

    Parameters
    ----------
    max_behind_s : float
        For so long more may wait than one batch takes [s].
    """

    def __init__(self, max_behind_s: float) -> None:
        self._max_behind_s = max_behind_s
        self._since_s: float | None = None
        self._looked_s = 0.0
        self._lag_s = 0.0
        self.passing = False

    def look(self, now_s: float, lag_s: float, *, full: bool) -> bool:
        """Return whether the batch that was taken is passed over.

        Parameters
        ----------
        now_s : float
            Now [s].
        lag_s : float
            From the arrival of the newest block at its edge to calibration [s]; an offset between the two clocks does
            no harm.
        full : bool
            Whether the batch took as much as it may.
        """
        if self.passing:
            self._look_for_the_end(now_s, lag_s, full=full)
        elif not full:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        elif now_s - self._since_s > self._max_behind_s:
            self.passing, self._looked_s, self._lag_s = True, now_s, lag_s
        return self.passing

    def _look_for_the_end(self, now_s: float, lag_s: float, *, full: bool) -> None:
        """End when nothing waits here, and nothing in the broker either: then the lag falls no more."""
        passed_s = now_s - self._looked_s
        if passed_s < _LOOK_S:
            return
        falls = self._lag_s - lag_s > _FALLS * passed_s
        self._looked_s, self._lag_s = now_s, lag_s
        if not full and not falls:
            self.passing, self._since_s = False, None
