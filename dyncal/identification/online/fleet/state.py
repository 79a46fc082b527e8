"""What is known of many sensors of one kind, as a structure of arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.interpolation import Interpolation
from dyncal.identification.online.doubts import Evidence
from dyncal.identification.online.passes import ROWS
from dyncal.identification.online.posterior import Posterior
from dyncal.identification.records import BlockOutcome
from dyncal.identification.report import Residuals, Window


@dataclass(slots=True, eq=False)
class FleetState:
    """Arrays over n sensors with p parameters and m = p + 1 coordinates; rows of untracked ones mean nothing.

    Attributes
    ----------
    tracked : bool, shape (n,)
        An estimate is being followed.
    known : bool, shape (n,)
        The row holds an estimate: the newest, or the last good one of a sensor that is not tracked any more.
    under_way : bool, shape (n,)
        `x` and `s` hold at the last sample used; False where a segment begins.
    h, information, considered, variance, dof, trend, dispersion
        `dyncal.identification.online.posterior.Posterior`, each with a leading axis.
    x, s : float64, shapes (n, 2), (n, 2, ROWS)
        Filtered states and their sensitivities.
    interpolation, n_rejected : int64, shape (n,)
    residuals : float64, shape (n, 5)
        χ², Ljung-Box statistic, its lags, unexplained share, noise share of the newest excited block.
    window : int64, shape (n, 3)
        Samples, first and last instant.
    shift_weight, shift_score, motion : float64, shapes (n, 2, 2), (n, 2), (n, 3)
        What the blocks say of an offset of zero or clock, and how the reference moved (`online.shifts`).
    newest : float64, shape (n, p, p + 1)
        What the newest block says by itself (`renewal.differ`).
    course, course_weight, course_score : float64, shapes (n, m, p), (n, p, 2 + p), (n, p)
        What the blocks say of parameters that move steadily (`online.courses`).
    """

    tracked: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]
    under_way: npt.NDArray[np.bool_]
    h: FloatArray
    information: FloatArray
    considered: FloatArray
    variance: FloatArray
    dof: FloatArray
    trend: FloatArray
    dispersion: FloatArray
    x: FloatArray
    s: FloatArray
    interpolation: Int64Array
    n_rejected: Int64Array
    residuals: FloatArray
    window: Int64Array
    shift_weight: FloatArray
    shift_score: FloatArray
    motion: FloatArray
    newest: FloatArray
    course: FloatArray
    course_weight: FloatArray
    course_score: FloatArray

    @classmethod
    def empty(cls, n: int, p: int) -> FleetState:
        """Return the state of n sensors of which nothing is known."""
        m = p + 1
        tracked, known, under_way = np.zeros((3, n), dtype=np.bool_)
        interpolation, n_rejected = np.zeros((2, n), dtype=np.int64)
        return cls(
            tracked, known, under_way, np.zeros((n, m)), np.zeros((n, m, m)), np.zeros((n, m, 2)), np.ones(n),
            np.zeros(n), np.zeros((n, p)), np.ones(n), np.zeros((n, 2)), np.zeros((n, 2, ROWS)),
            interpolation, n_rejected, np.zeros((n, 5)), np.zeros((n, 3), dtype=np.int64),
            np.zeros((n, 2, 2)), np.zeros((n, 2)), np.zeros((n, 3)), np.zeros((n, p, p + 1)),
            np.zeros((n, m, p)), np.zeros((n, p, p + 2)), np.zeros((n, p)),
        )  # fmt: skip

    def posterior(self, i: int) -> Posterior:
        """Return what is known of one sensor."""
        return Posterior(
            self.h[i].copy(), self.information[i].copy(), self.considered[i].copy(), float(self.variance[i]),
            float(self.dof[i]), self.trend[i].copy(), float(self.dispersion[i]),
        )  # fmt: skip

    def put(self, i: int, posterior: Posterior, interpolation: Interpolation) -> None:
        """Begin to follow a sensor."""
        self.tracked[i] = self.known[i] = self.under_way[i] = True
        for name in ("h", "information", "considered", "variance", "dof", "trend", "dispersion"):
            getattr(self, name)[i] = getattr(posterior, name)
        self.interpolation[i], self.n_rejected[i] = interpolation.code, 0
        self.motion[i] = self.newest[i] = self.course[i] = 0.0
        self.forget_shifts(i)

    def evidence(self, i: int) -> Evidence:
        """Return what the blocks of one sensor say of offsets."""
        return Evidence(
            self.shift_weight[i], self.shift_score[i], self.course_weight[i], self.course_score[i], self.motion[i]
        )

    def forget_shifts(self, i: int) -> None:
        """Forget what the blocks of one sensor have said of offsets and of a steady course."""
        self.shift_weight[i] = self.shift_score[i] = self.course_weight[i] = self.course_score[i] = 0.0

    def residuals_of(self, i: int) -> Residuals:
        """Return the residuals of one sensor's newest excited block."""
        return Residuals(*self.residuals[i].tolist())

    def window_of(self, i: int) -> Window:
        """Return the samples that one sensor's estimate rests on."""
        n, from_ns, to_ns = self.window[i].tolist()
        return Window(n, from_ns, to_ns)

    def widen_window(self, i: int, block: BlockOutcome) -> None:
        """Add a block to the samples that one sensor's estimate rests on, or begin with it where it is a reset."""
        n, from_ns, _ = self.window[i].tolist()
        anew = block.reset or n == 0
        self.window[i] = block.n if anew else n + block.n, block.from_ns if anew else from_ns, block.to_ns

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return all arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
