"""Residuals as edges report them: what is known of each set, and whether one is worse than the one before.

An edge's residual statistic is the root of a mean square over windows that do not overlap. Of windows that are
independent and normal the ratio of two mean squares, after over before, is F-distributed with the numbers of windows as
degrees of freedom. A set counts as worse if that ratio exceeds the plan's, and is significant at 10⁻⁶: so small that
thousands of sensors may be looked at many times over.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from scipy.special import fdtrc

from dyncal.domain.rollouts import Failure, Residual
from dyncal.domain.sensors import SensorId

SIGNIFICANCE: Final = 1e-6
RECENT: Final = 8.0
"""Windows that a set's limit is held against: as many as at the edge, where one alone exceeds it now and then."""

_MOST: Final = 256.0  # windows that a figure stands for, at most: what is old is forgotten


class Known(NamedTuple):
    """What is known of a set: of its newest windows, few as they may be, and of many."""

    recent: Residual
    total: Residual


class ResidualBook:
    """The newest figures of the set that each sensor runs."""

    def __init__(self) -> None:
        self._known: dict[SensorId, tuple[str, Known]] = {}

    def add(self, sensor: SensorId, set_id: str, found: Residual) -> Known:
        """Take in a report about `found.n` windows; return all that is known of that set."""
        before = self.of(sensor, set_id)
        if before is None:
            known = Known(found, found)
        else:
            known = Known(joined(before.recent, found, RECENT), joined(before.total, found, _MOST))
        self._known[sensor] = (set_id, known)
        return known

    def of(self, sensor: SensorId, set_id: str) -> Known | None:
        """Return what is known of a set of this sensor."""
        known = self._known.get(sensor)
        return known[1] if known is not None and known[0] == set_id else None

    def total(self, sensor: SensorId, set_id: str) -> Residual | None:
        """Return what is known of many windows of a set of this sensor."""
        known = self.of(sensor, set_id)
        return None if known is None else known.total


def joined(old: Residual, new: Residual, most: float) -> Residual:
    """Return the figure of both; the older one loses weight where they are more than `most` windows."""
    keep = min(old.n, max(most - new.n, 0.0))
    n = keep + new.n
    if n <= 0:
        return new
    square = (
        old.rms * old.rms * keep + new.rms * new.rms * new.n
    ) / n  # a power of a large number is an error, not inf
    return Residual(math.sqrt(square), new.limit, n)


def judge(found: Known, before: Residual | None, ratio: float) -> tuple[Failure, str] | None:
    """Return what is wrong with a set by its residual, and in words; None where nothing is.

    The limit is held against no fewer windows than edges hold it against. `before` is what was known of many windows
    of the set before.
    """
    newest, after = found
    if newest.limit > 0 and newest.n >= RECENT and newest.rms > newest.limit:
        return Failure.ABOVE_LIMIT, f"residual of {newest.rms:.4g} rms is above the set's limit {newest.limit:.4g}"
    if before is None or before.n < 1 or after.n < 1 or after.rms <= ratio * before.rms:
        return None
    grown = after.rms / before.rms if before.rms > 0 else math.inf
    f = grown * grown
    if fdtrc(after.n, before.n, f) > SIGNIFICANCE:
        return None
    shown = f"residual of {after.rms:.4g} rms over {after.n:.0f} windows, "
    return Failure.WORSE, f"{shown}{before.rms:.4g} over {before.n:.0f} with the set before"
