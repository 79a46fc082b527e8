"""Data as the filter wants them, and one pass of it over a segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dyncal.correction.streaming.slots import LARGEST, usable
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.identification.kalman.filtering import filter_pass
from dyncal.identification.kalman.joint import REFERENCE, SENSOR, JointModel, Layout, joint_model
from dyncal.identification.records import AlignedRecord
from dyncal.models import SensorModel

_FARTHEST = 100.0  # logarithms beyond this are no variances, rates or time constants of anything


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A run of measurements without a gap that the process could not be followed over.

    Attributes
    ----------
    t_ns : int64, shape (n,)
    z : float64, shape (n, 2)
        Reference and indication; NaN where there is none.
    level : float
        Value that the measurand is modelled about.
    steps_s, index : float64, shape (i,); int64, shape (n - 1,)
        Different intervals [s], and which of them lies between neighbours.
    kept : bool, optional
        Which instants of the record these are; None for all.
    """

    t_ns: Int64Array
    z: FloatArray
    level: float
    steps_s: FloatArray
    index: Int64Array
    kept: npt.NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, record: AlignedRecord, level: float | None = None, *, keep: bool = False) -> Segment:
        """Take a record, leave out instants where nothing was measured, and model about the reference's mean.

        Raises
        ------
        InvalidData
            If a value is infinite, or a channel has no value at all; the latter is all right with `keep`, which leaves
            the first instant in whatever it has.
        """
        z = np.stack([record.reference, record.indication], axis=1)
        t = record.t_ns
        kept = None
        if not z.size or not bool(usable(z).all()):
            kept = _measured(z, keep=keep)
            t, z = t[kept], np.ascontiguousarray(z[kept])
        intervals, index = _intervals(np.diff(t))
        about = float(np.nanmean(z[:, REFERENCE])) if level is None else level
        return cls(t, z, about, intervals / NS_PER_S, index, kept)

    @property
    def n_measured(self) -> int:
        """Number of measurements of both channels together."""
        return int(np.count_nonzero(~np.isnan(self.z)))

    @property
    def interval_s(self) -> float:
        """Median interval [s]."""
        return float(np.median(self.steps_s[self.index])) if self.index.size else 1.0


def _measured(z: FloatArray, *, keep: bool) -> npt.NDArray[np.bool_]:
    """Return which instants were measured, the first in any case with `keep`; raise as `Segment.of` says."""
    there = ~np.isnan(z)
    if not bool(np.all(usable(z[there]))):
        raise InvalidData(f"an infinite value in a record, or one beyond {LARGEST:g}")
    for channel, name in ((REFERENCE, "reference"), (SENSOR, "indication")):
        if not keep and not bool(there[:, channel].any()):
            raise InvalidData(f"the record has no {name} that is a number")
    some: npt.NDArray[np.bool_] = there[:, REFERENCE] | there[:, SENSOR]
    some[:1] |= keep
    return some


def _intervals(steps: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return the different ones of n steps, and which of them each is."""
    if steps.size and bool((steps == steps[0]).all()):
        return steps[:1], np.zeros(steps.size, dtype=np.int64)
    different, index = np.unique(steps, return_inverse=True)
    return different, index.astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class FilterState:
    """State, filtered or (fresh) predicted, with derivatives: x (n,), s (n, rows), p (n, n), dp (n, n, m)."""

    x: FloatArray
    s: FloatArray
    p: FloatArray
    dp: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class SegmentPass:
    """One pass: information (rows, rows), score (rows,), cost = -2 ln L - n ln 2π, innovations (k, 2), last state."""

    information: FloatArray
    score: FloatArray
    cost: float
    eps: FloatArray
    end: FilterState
    n_rest: int

    @property
    def finite(self) -> bool:
        """Whether the numbers can be used."""
        return bool(np.isfinite(self.cost) and np.isfinite(self.information).all() and np.isfinite(self.score).all())


def begin(layout: Layout, joint: JointModel, initial: FloatArray) -> FilterState:
    """Return the state at the first instant of a segment, for initial values (n_initial,) that are to be found."""
    n, k = layout.n_states, layout.n_initial
    x, s = np.zeros(n), np.zeros((n, layout.n_rows))
    x[:k] = initial
    s[np.arange(k), layout.initial + np.arange(k)] = 1.0
    return FilterState(x, s, joint.cov.copy(), joint.dcov.copy())


def run(
    model: SensorModel,
    layout: Layout,
    segment: Segment,
    h: FloatArray,
    *,
    scale_s: float,
    initial: FloatArray | None = None,
    start: FilterState | None = None,
    offset: float = 0.0,
    rest: bool = True,
) -> SegmentPass | None:
    """Run the filter over a segment at coordinates h (m,); None where that has no sense, or overflows.

    Parameters
    ----------
    scale_s : float
        Time scale of the process's state; the same for all segments.
    initial : float64, shape (n_initial,), optional
        Initial state of a fresh segment.
    start : FilterState, optional
        Filtered state at the first instant, whose measurements are then not used again; one of the two must be given.
    offset : float
        Offset of the reference.
    rest : bool
        False computes every gain, also where they no longer move.
    """
    # the gain and the clock offset are no logarithms
    if not bool(np.all(np.abs(h[1 : layout.clock]) <= _FARTHEST)):
        return None
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        try:
            joint = joint_model(model, layout, h, scale_s)
        except np.linalg.LinAlgError:
            return None
        if not (np.isfinite(joint.a).all() and np.isfinite(joint.cov).all() and np.isfinite(joint.g).all()):
            return None
        phi, q, dphi, dq = joint.intervals(segment.steps_s)
    if not (np.isfinite(phi).all() and np.isfinite(q).all()):
        return None
    if start is None:
        before = begin(layout, joint, np.zeros(layout.n_initial) if initial is None else initial)
    else:
        before = start
    rows = layout.n_rows
    x, s, p, dp = before.x.copy(), before.s.copy(), before.p.copy(), before.dp.copy()
    gains, level = joint.gains, segment.level - offset
    doffset = np.zeros((2, rows))
    doffset[SENSOR, : layout.n_coordinates] = joint.dgains[SENSOR] * level
    doffset[SENSOR, layout.offset] = -gains[SENSOR]
    offsets = np.array([segment.level, gains[SENSOR] * level])
    information, score = np.empty((rows, rows)), np.empty(rows)
    eps, cost = np.empty(segment.z.shape), np.empty(1)
    n_rest = filter_pass(
        segment.z, segment.index, phi, q, dphi, dq, joint.rows, joint.drows, joint.noise, joint.dnoise,
        offsets, doffset, int(start is None), int(rest), x, s, p, dp, information, score, eps, cost,
    )  # fmt: skip
    done = SegmentPass(information, score, float(cost[0]), eps, FilterState(x, s, p, dp), int(n_rest))
    return done if done.finite else None
