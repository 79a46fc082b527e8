"""The innovations of a record as a function of coordinates h = (η, T, offset, κ) and the initial states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.coloured import Noise, Whitener
from dyncal.identification.record_fit.gain import NO_NOISE, Interval, gain_and_slope, interval_of
from dyncal.identification.record_fit.kernels import LANES, record_pass
from dyncal.identification.record_fit.track import Reading, Track
from dyncal.models import Hold, SensorModel

N_EXTRA: Final = 3  # T, offset of the reference, κ
_FARTHEST: Final = 45.0  # logarithms beyond this are no time constants of sensors
_NEARLY: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Where to evaluate: h (m,), initial states (n_segments, n) at the first indication of each segment."""

    h: FloatArray
    x0: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What one pass over all segments says at `at`.

    Attributes
    ----------
    a : float64, shape (m, m)
        ΣψψT, the initial states eliminated.
    b : float64, shape (m,)
        Σψe, likewise.
    sse : float
        Σe² at `at`, and `free_sse` after the best step in the initial states alone.
    dx0, mix : float64, shapes (n_segments, n) and (n_segments, n, m)
        Best step in the initial states, and how it goes back with a step in h.
    e, raw : tuple of float64 arrays
        Innovations of each segment, and what the model leaves of the indications: the same but for coloured noise.
    """

    at: Point
    a: FloatArray
    b: FloatArray
    sse: float
    free_sse: float
    dx0: FloatArray
    mix: FloatArray
    e: tuple[FloatArray, ...]
    raw: tuple[FloatArray, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """Gram matrices of the parts of a segment, (n_parts, rows + 1, rows + 1), innovations, and residuals.

    `rows` (n_y, rows + 1) are the derivatives of the indications and the residuals, before whitening; empty where
    nobody asked.
    """

    gram: FloatArray
    e: FloatArray
    raw: FloatArray
    rows: FloatArray


class RecordProblem:
    """All segments of a record, with one model and one reading of the reference.

    With `noise`, innovations and their derivatives are those that this noise leaves: all that follows from them is of
    the likelihood of a sensor with such noise (output error, κ at its least).
    """

    def __init__(
        self, model: SensorModel, readings: Sequence[Reading], dt_s: float, noise: Noise | None = None
    ) -> None:
        self.model = model
        self.p = model.n_parameters
        self.m = self.p + N_EXTRA
        self.n = max(1, model.n_states)
        self.n_y = sum(reading.n for reading in readings)
        self._readings = tuple(readings)
        self._dt_s = dt_s
        self.noise = noise
        self._kept: dict[int, tuple[Track, FloatArray, tuple[FloatArray, ...] | None]] = {}
        self._interval: tuple[FloatArray, Interval] | None = None
        self._whitener = None if noise is None else Whitener(noise, [reading.t_ns for reading in self._readings])
        self._c = np.ascontiguousarray(np.asarray(model.output)[: self.n])

    @property
    def n_segments(self) -> int:
        """Number of segments."""
        return len(self._readings)

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The segments."""
        return self._readings

    @property
    def power(self) -> float:
        """Σy²."""
        return sum(float(reading.y @ reading.y) for reading in self._readings)

    def begin(self, eta: FloatArray, delay_s: float = 0.0, kappa: float = -NO_NOISE) -> Point | None:
        """Return a point with the sensor at rest where each segment begins; None where T is out of reach."""
        h = np.concatenate([eta, [delay_s, 0.0, kappa]])
        x0 = np.empty((self.n_segments, self.n))
        for k, reading in enumerate(self._readings):
            track = reading.at(delay_s)
            if track is None:
                return None
            x0[k] = self.model.rest(eta)[: self.n] * track.begins
        return Point(h, x0)

    def evaluate(self, at: Point) -> Evaluation | None:
        """Run one pass; None where the numbers overflow, the filter is unstable or T is out of reach."""
        p, m, n = self.p, self.m, self.n
        if bool(np.any(np.abs(at.h[1:p]) > _FARTHEST)) or not bool(np.all(np.isfinite(at.h))):
            return None
        gain, dgain = self.gain(at.h)
        a, b = np.zeros((m, m)), np.zeros(m)
        dx0, mix = np.empty((self.n_segments, n)), np.empty((self.n_segments, n, m))
        residuals: list[FloatArray] = []
        raw: list[FloatArray] = []
        sse = free = 0.0
        for k, reading in enumerate(self._readings):
            track = reading.at(float(at.h[p]))
            done = None if track is None else self._segment(at, k, track, gain, dgain)
            if done is None:
                return None
            gram = done.gram[0]
            residuals.append(done.e)
            raw.append(done.raw)
            dx0[k], mix[k] = eliminated(gram, m)
            a += gram[:m, :m] - gram[:m, m:-1] @ mix[k]
            b += gram[:m, -1] - gram[:m, m:-1] @ dx0[k]
            sse += gram[-1, -1]
            free += gram[-1, -1] - gram[-1, m:-1] @ dx0[k]
        free = max(float(free), 0.0)
        return Evaluation(at, (a + a.T) / 2, b, float(sse), free, dx0, mix, tuple(residuals), tuple(raw))

    def scores(self, there: Evaluation, n_parts: int) -> FloatArray:
        """Return Σψe of parts of the record, the initial states eliminated, (n_segments·n_parts, m)."""
        return self.parts(there, n_parts)[0]

    def parts(self, there: Evaluation, n_parts: int) -> tuple[FloatArray, FloatArray]:
        """Return Σψe (k, m) and ΣψψT (k, m, m) of k = n_segments·n_parts parts, the initial states eliminated."""
        m, scores, information = self.m, [], []
        for k in range(self.n_segments):
            done = self._again(there, k, n_parts)
            mix, both = there.mix[k], done.gram[:, :m, m:-1] @ there.mix[k]
            scores.append(done.gram[:, :m, -1] - done.gram[:, m:-1, -1] @ mix)
            own = done.gram[:, :m, :m] - both - both.swapaxes(1, 2)
            information.append(own + mix.T @ done.gram[:, m:-1, m:-1] @ mix)
        return np.concatenate(scores), np.concatenate(information)

    def part_begins(self, there: Evaluation, n_parts: int) -> Int64Array:
        """Return the instants [ns] of the first indications of the same parts."""
        found = []
        for reading in self._readings:
            track = reading.at(float(there.at.h[self.p]))
            if track is None:
                raise ValueError("a reading that was evaluated is out of reach")
            seen = 1 + np.cumsum(track.observed >= 0)
            edges = part_edges(track.index.size, n_parts)[1:-1]
            found.append(reading.t_ns[[0, *(min(int(seen[edge - 1]), reading.n - 1) for edge in edges)]])
        return np.concatenate(found)

    def rows(self, there: Evaluation, k: int) -> FloatArray:
        """Return ∂ŷ/∂(h, initial state) and y - ŷ of each indication of segment k, (n_y, m + n + 1), not whitened."""
        return self._again(there, k, 1, keep=True).rows

    def _again(self, there: Evaluation, k: int, n_parts: int, *, keep: bool = False) -> _Pass:
        track = self._readings[k].at(float(there.at.h[self.p]))
        done = None if track is None else self._segment(there.at, k, track, *self.gain(there.at.h), n_parts, keep=keep)
        if done is None:
            raise ValueError("a segment that was evaluated cannot be again")
        return done

    def whitened(self, k: int, columns: FloatArray) -> FloatArray:
        """Return columns (n_y of segment k, any number) as the noise of the sensor leaves them."""
        return columns if self._whitener is None else self._whitener.white(k, columns)

    def output_gain(self, h: FloatArray) -> float:
        """Return c K: the share of an innovation that is taken for the measurand's."""
        return float(self._c @ self.gain(h)[0])

    def gain(self, h: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return K (n,) and ∂K/∂h (n, m)."""
        p = self.p
        interval = None
        if h[p + 2] > -NO_NOISE:
            if self._interval is None or not np.array_equal(self._interval[0], h[:p]):
                self._interval = h[:p].copy(), interval_of(self.model, h[:p], self._dt_s)
            interval = self._interval[1]
        gain, slope = gain_and_slope(self.model, h[:p], float(h[p + 2]), self._dt_s, interval)
        dgain = np.zeros((self.n, self.m))
        dgain[:, :p], dgain[:, p + 2] = slope[:, :p], slope[:, p]
        return gain, dgain

    def _segment(
        self,
        at: Point,
        k: int,
        track: Track,
        gain: FloatArray,
        dgain: FloatArray,
        n_parts: int = 1,
        *,
        keep: bool = False,
    ) -> _Pass | None:
        """Run one pass over a segment, in `n_parts` parts, and `keep` its rows; None where the numbers overflow."""
        m, n = self.m, self.n
        eta = at.h[: self.p]
        kept = self._kept.get(k)
        if kept is None or kept[0] is not track or not np.array_equal(kept[1], eta):
            # κ, the offset and the initial states change nothing of it
            kept = self._kept[k] = (track, eta.copy(), self._discretised(at.h, track))
        parts = kept[2]
        if parts is None:
            return None
        phi, gamma, dphi, dgamma, kick, dkick, b = parts
        offset = float(at.h[self.p + 1])
        u0, u1 = (track.u0 + offset, track.u1 + offset) if offset else (track.u0, track.u1)
        rows = m + n
        lanes = LANES * (rows // LANES + 1)
        x, s = at.x0[k].copy(), np.zeros((n, lanes))
        s[:, m:rows] = np.eye(n)
        gram, e = np.zeros((n_parts, lanes, lanes)), np.empty(track.y.size)
        rowwise = np.empty((track.y.size if self._whitener or keep else 0, rows + 1))
        edges = part_edges(track.index.size, n_parts)
        for i, (begin, end) in enumerate(pairwise(edges)):
            cut = slice(begin, end)
            record_pass(
                -1 if i == 0 else 0, rows, track.y, track.index[cut], track.observed[cut], u0[cut], u1[cut],
                track.slope[cut], track.jump[cut], phi, gamma, dphi, dgamma, kick, dkick, b, self._c, gain, dgain,
                x, s, gram[i], e, rowwise,
            )  # fmt: skip
        gram, left = gram[:, : rows + 1, : rows + 1], e
        if self._whitener:
            columns = self.whitened(k, rowwise)
            seen = [1 + int(np.count_nonzero(track.observed[:edge] >= 0)) for edge in edges[1:-1]]
            gram = np.stack([part.T @ part for part in np.split(columns, seen)])
            left = np.ascontiguousarray(columns[:, -1])
        return _Pass(gram, left, e, rowwise) if bool(np.all(np.isfinite(gram))) else None

    def _discretised(self, h: FloatArray, track: Track) -> tuple[FloatArray, ...] | None:
        """Return Φ, Γ, their derivatives, what a jump does at once, and b; None where they are not finite."""
        n, p, eta = self.n, self.p, h[: self.p]
        jumps = bool(np.any(track.jump))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            parts = self.model.discretise(eta, track.steps_s)
            held = self.model.discretise(eta, track.steps_s[:1], Hold.ZERO) if jumps else None
        phi = np.ascontiguousarray(parts.phi[:, :n, :n])
        gamma = np.ascontiguousarray(parts.gamma[:, :n].swapaxes(1, 2))
        dphi = np.ascontiguousarray(np.moveaxis(parts.dphi[:, :, :n, :n], 1, 3))
        dgamma = np.ascontiguousarray(parts.dgamma[:, :, :n].transpose(0, 3, 2, 1))
        if not bool(np.all(np.isfinite(phi)) and np.all(np.isfinite(dgamma))):
            return None
        if held is None:
            return phi, gamma, dphi, dgamma, np.zeros(n), np.zeros((n, p)), np.zeros(n)
        b = np.zeros(n)
        if self.model.n_states:
            b[:] = self.model.state_space(eta).b
        kick, dkick = held.gamma[0, :n, 1], held.dgamma[0, :, :n, 1].T
        return phi, gamma, dphi, dgamma, np.ascontiguousarray(kick), np.ascontiguousarray(dkick), b


def part_edges(n: int, n_parts: int) -> list[int]:
    """Return where parts of n sub-intervals begin, and where the last one ends."""
    edges: list[int] = np.linspace(0, n, n_parts + 1).astype(np.int64).tolist()
    return edges


def eliminated(gram: FloatArray, m: int) -> tuple[FloatArray, FloatArray]:
    """Return the best step in the initial state (n,) and how it goes back with a step in h, (n, m)."""
    block = gram[m:-1, m:-1]
    scale = np.sqrt(np.maximum(np.diag(block), 1e-300))
    unit = block / np.outer(scale, scale) + _NEARLY * np.eye(scale.size)
    solved = np.linalg.solve(unit, np.column_stack([gram[m:-1, -1], gram[m:-1, :m]]) / scale[:, None])
    solved /= scale[:, None]
    return solved[:, 0], solved[:, 1:]
