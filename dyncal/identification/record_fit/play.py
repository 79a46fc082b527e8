"""Play: indications that lie lower while they rise than while they fall, as with friction and loose linkages.

To a fit it is a longer lag: a play of half the noise makes a first-order lag seven standard uncertainties too long,
with residuals that are white. But no linear sensor knows the sign of a slope. So the residuals are regressed on the
sign of the predicted indication's slope, beside all that parameters, a shift, an offset and the reference read
otherwise can explain: of a Gaussian measurand a third of the sign's power is left by these (Bussgang), of a command's
levels nothing, and then nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.otherwise import SHORTEST_READ, WITHIN, otherwise
from dyncal.identification.record_fit.reference import inverse
from dyncal.identification.record_fit.stages import Setup, Stage, n_independent
from dyncal.identification.shift import MATTERS

_SURE: Final = 5.0  # standard uncertainties; of 8 to 32 blocks: by chance in one of 2 000 to 100 000 fits
_LEAST_BLOCKS: Final = 8
_LEFT: Final = 0.02  # share of the sign's power: less of it is left only by rounding, or by corners of a command
_STILL: Final = 1e-9  # of the spread of the indications


@dataclass(frozen=True, slots=True, eq=False)
class Play:
    """Half of the difference between falling and rising indications, in the sensor's unit, with u.

    `moved` (m,) is what it adds to the coordinates h.
    """

    half: float
    u: float
    moved: FloatArray

    @property
    def sure(self) -> bool:
        """Whether it is no accident, and lags."""
        return self.half > _SURE * self.u

    def matters(self, jacobian: FloatArray, u: FloatArray) -> bool:
        """Tell whether it moves a parameter by more than its u, given ∂θ/∂h (n, n) and u of θ (n,)."""
        moved = np.abs(jacobian @ self.moved[: u.size]) / np.maximum(u, 1e-300)
        return bool(np.max(moved) > MATTERS)

    @property
    def words(self) -> str:
        """What is to be said of it."""
        size = f"{2 * self.half:.3g} (u {2 * self.u:.2g})"
        return f"indications lie {size} lower while they rise than while they fall: play or friction of the sensor"


def play_of(setup: Setup, stage: Stage) -> Play | None:
    """Return the play that the residuals of an output-error fit show; None where they could not show any.

    Its u is the larger one of two: of white residuals, and of the scatter of blocks, which holds for coloured ones.
    """
    problem, core, p = stage.problem, stage.core, stage.problem.p
    beside = np.union1d(core, [p, p + 1])
    score, power, pull = [], [], np.zeros(core.size)
    sse, n = 0.0, 0
    for k, reading in enumerate(problem.readings):
        track = reading.at(float(stage.h[p]))
        if track is None or reading.n < SHORTEST_READ:
            continue
        rows = problem.rows(stage.done.last, k)
        psi, states, e = rows[:, : problem.m], rows[:, problem.m : -1], rows[:, -1]
        sign = _slope_sign(reading.y - e)
        left = _left_by(np.concatenate([psi[:, beside], states, otherwise(track)], axis=1)[WITHIN], sign[WITHIN])
        if float(left @ left) < _LEFT * left.size:
            continue
        blocks = np.array_split(np.arange(left.size), max(1, n_independent(setup, stage, left.size)))
        inner = e[WITHIN]
        score += [float(left[block] @ inner[block]) for block in blocks]
        power += [float(left[block] @ left[block]) for block in blocks]
        pull += (psi - states @ stage.done.last.mix[k])[:, core].T @ sign
        sse, n = sse + float(inner @ inner), n + left.size
    if len(score) < _LEAST_BLOCKS:
        return None
    s, w = np.array(score), np.array(power)
    value = float(s.sum() / w.sum())
    scatter = float(np.sum((s - value * w) ** 2)) * s.size / (s.size - 1)
    u = float(np.sqrt(max(sse / n * w.sum(), scatter)) / w.sum())
    moved = np.zeros(problem.m)
    moved[core] = value * (inverse(stage.done.last.a[np.ix_(core, core)]) @ pull)
    return Play(-value, u, moved)


def _slope_sign(y: FloatArray) -> FloatArray:
    """Return the sign of the slope of y (n,); where it stands still, that of the last motion."""
    slope = np.gradient(y)
    moves = np.abs(slope) > _STILL * max(float(np.std(y)), 1e-300)
    last = np.maximum.accumulate(np.where(moves, np.arange(y.size), 0))
    return np.asarray(np.sign(slope[last]))


def _left_by(columns: FloatArray, values: FloatArray) -> FloatArray:
    """Return what columns (n, k) leave of values (n,) by least squares, whatever their rank."""
    size = np.sqrt(np.sum(columns**2, axis=0))
    unit = columns[:, size > 0] / size[size > 0]
    return np.asarray(values - unit @ np.linalg.lstsq(unit, values, rcond=1e-9)[0])
