"""Whether the measurand is what it was when its spectrum was fitted last, so that another fit would say the same."""

from __future__ import annotations

from typing import Final

from dyncal.correction.design.octaves import Octaves, alike, octaves
from dyncal.domain.coefficients import CoefficientSet
from services.calibrate.window import Window

_MOST: Final = 10
"""Looks in a row at which no fit need follow: what creeps below the test's notice is found by the next one."""


class Likeness:
    """Remembers the record to which a spectrum was fitted that asked for no other set than the one there was."""

    def __init__(self) -> None:
        self._set_id = ""
        self._then: Octaves | None = None
        self._looks = 0

    def remember(self, now: CoefficientSet, window: Window) -> None:
        """Take it that the spectrum of these samples goes with a set."""
        self._set_id, self._looks = now.id, 0
        self._then = None if window.irregular else octaves(window.indication)

    def forget(self) -> None:
        """Have a spectrum be fitted at the next opportunity, whatever the samples are."""
        self._then = None

    def holds(self, now: CoefficientSet, window: Window) -> bool:
        """Tell whether the spectrum that goes with a set still does; each time it does is counted."""
        if self._then is None or self._set_id != now.id or window.irregular or self._looks >= _MOST:
            return False
        if not alike(self._then, octaves(window.indication)):
            return False
        self._looks += 1
        return True
