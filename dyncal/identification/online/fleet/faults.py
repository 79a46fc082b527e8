"""What goes wrong with single sensors of a fleet, kept apart from the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.errors import InvalidData
from dyncal.domain.time import Int64Array

FAULTS: Final = (InvalidData, ArithmeticError, np.linalg.LinAlgError)
"""What numbers of one sensor can do; anything else is a fault of the program."""


class Faults:
    """Errors of `FAULTS` by sensor, the first of each; raised at once unless they are to be `kept`."""

    def __init__(self, *, kept: bool) -> None:
        self._kept = kept
        self.of: dict[int, Exception] = {}

    @contextmanager
    def contained(self, i: int) -> Iterator[None]:
        """Do something that is about sensor i alone."""
        try:
            yield
        except FAULTS as error:
            if not self._kept:
                raise
            self.of.setdefault(i, error)

    def none(self, who: Int64Array) -> npt.NDArray[np.bool_]:
        """Tell of which sensors, shape (k,), nothing went wrong."""
        return np.isin(who, list(self.of), invert=True) if self.of else np.ones(who.size, dtype=np.bool_)
