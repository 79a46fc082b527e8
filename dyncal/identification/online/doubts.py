"""Sensors between which and their reference an offset of zero or clock has been found that nothing allows for.

Their parameters follow the offset, and no drift: their blocks say nothing to others, their estimates are not accepted.
A doubt ends where what came after would show what was found, and does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dyncal.domain.samples import FloatArray
from dyncal.identification import report
from dyncal.identification.online.courses import beside_courses
from dyncal.identification.online.posterior import Posterior
from dyncal.identification.online.shifts import MOST_SCATTER, shifts, unstated
from dyncal.identification.settings import OnlineSettings
from dyncal.identification.shift import SURE, Shift
from dyncal.identification.standstill import held

_LEFT: Final = 0.5  # of what was found before
_CALM: Final = 3.0  # u of what is found now
_SHARPER: Final = 2.0  # than what was found before would need to be certain


@dataclass(frozen=True, slots=True)
class Doubt:
    """What was found, and a channel that repeats its values, where that is why."""

    shift: Shift
    held: str = ""

    @property
    def words(self) -> str:
        """Why the estimate is not accepted."""
        return f"{self.held}; {self.shift.words}" if self.held else self.shift.words


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the blocks of a sensor say of offsets: `online.shifts`, `online.courses`.

    Attributes
    ----------
    weight, score : float64, shapes (2, 2), (2,)
    course_weight, course_score : float64, shapes (p, 2 + p), (p,)
    motion : float64, shape (3,)
    """

    weight: FloatArray
    score: FloatArray
    course_weight: FloatArray
    course_score: FloatArray
    motion: FloatArray

    def beside_courses(self) -> tuple[FloatArray, FloatArray]:
        """Return J and s with parameters that may move steadily: a lag behind these is no offset."""
        weight, score = self.weight[None].copy(), self.score[None].copy()
        beside_courses(weight, score, self.course_weight[None], self.course_score[None])
        return weight[0], score[0]


def doubt(
    before: Doubt | None,
    posterior: Posterior,
    evidence: Evidence,
    u_clock_s: float,
    settings: OnlineSettings,
    y: FloatArray,
    r: FloatArray,
) -> Doubt | None:
    """Return what is to be doubted of a sensor after a block; None where nothing is.

    What begins a doubt is no lag behind a steady course of the parameters. It ends by what the blocks say as they are:
    a course that would hide the offset is not looked for.

    Parameters
    ----------
    before : Doubt, optional
        What was doubted until now.
    evidence : Evidence
    u_clock_s : float
        Of the course between samples: `online.shifts.u_course`, `u_bend`.
    y, r : float64, shape (n,)
        Indications and references of the block.
    """
    p = posterior.trend.size
    cov = report.spread(posterior, settings)[:p, :p]
    scatter = min(posterior.scatter, MOST_SCATTER)

    def offsets(weight: FloatArray, score: FloatArray) -> tuple[list[Shift], list[Shift]]:
        return shifts(weight, score, posterior.considered, cov, u_clock_s, scatter)

    found = unstated(*offsets(*evidence.beside_courses()), settings.u_reference, settings.u_clock_s)
    repeats = held("indication", y) or held("reference", r) if found is not None or before is not None else ""
    if found is not None:
        return Doubt(found, repeats)
    if before is None or repeats:
        return before
    size = abs(before.shift.value)
    _, together = offsets(evidence.weight, evidence.score)
    now = next((each for each in together if each.clock is before.shift.clock), None)
    if now is None or _SHARPER * SURE * now.u > size or abs(now.value) > min(_LEFT * size, _CALM * now.u):
        return before
    return None
