# ruff: noqa: D102 (SensorModel says what each method does)
"""Dead time before any model: H(s) e^(-sT), θ = (θ of the model, delay_s)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.models.base import ComplexArray, Discretisation, Hold, Response, Run, SensorModel, StateSpace

DELAY: Final = "delay_s"
_LONGEST_S: Final = 4.6e6
_WHOLE_NS: Final = 1e-6
_FEW: Final = 16


class Delayed(SensorModel):
    """A model behind a dead time T ≥ 0; η = (η of the model, T in seconds).

    `state_space`, `discretise`, `run` and `rest` are those of the model alone, which answers the measurand at t - T:
    whoever uses them reads the measurand there (`dead_time`). `simulate` and `respond` do so themselves, exactly for
    any T. A fit may find a T below zero, within its uncertainty; a simulation takes none.

    Parameters
    ----------
    model : SensorModel
        Not itself delayed.
    """

    def __init__(self, model: SensorModel) -> None:
        if DELAY in model.names:
            raise InvalidData(f"{model.label} has a dead time already")
        self.model = model
        # the sensor's kind stays what it is: dead time is one more name in θ
        self.kind = model.kind  # type: ignore[misc]  # a class constant elsewhere, the inner kind here
        self.names = (*model.names, DELAY)
        self.n_states, self.output = model.n_states, model.output

    @property
    def label(self) -> str:
        return f"{self.model.label} with dead time"

    def frequency_response(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        values = self.check(theta)
        return self.model.frequency_response(values[:-1], f_hz) * _turn(values[-1], f_hz)

    def jacobian(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        values = self.check(theta)
        turn = _turn(values[-1], f_hz)
        own = self.model.jacobian(values[:-1], f_hz) * turn[:, None]
        h = self.model.frequency_response(values[:-1], f_hz) * turn
        return np.concatenate([own, (-2j * np.pi * np.asarray(f_hz) * h)[:, None]], axis=1)

    def check_physical(self, theta: FloatArray) -> FloatArray:
        values = self.check(theta)
        self.model.check_physical(values[:-1])
        return values

    def to_internal(self, theta: FloatArray) -> FloatArray:
        values = self.check(theta)
        return np.append(self.model.to_internal(values[:-1]), values[-1])

    def from_internal(self, eta: FloatArray) -> FloatArray:
        return np.append(self.model.from_internal(eta[:-1]), eta[-1])

    def internal_jacobian(self, eta: FloatArray) -> FloatArray:
        jacobian = np.eye(eta.size)
        jacobian[:-1, :-1] = self.model.internal_jacobian(eta[:-1])
        return jacobian

    def state_space(self, eta: FloatArray) -> StateSpace:
        inner = self.model.state_space(eta[:-1])
        return replace(inner, da=_with_zero(inner.da, 0), db=_with_zero(inner.db, 0), dd=_with_zero(inner.dd, 0))

    def discretise(self, eta: FloatArray, h_s: FloatArray, hold: Hold = Hold.FIRST) -> Discretisation:
        inner = self.model.discretise(eta[:-1], h_s, hold)
        return replace(inner, dphi=_with_zero(inner.dphi, 1), dgamma=_with_zero(inner.dgamma, 1))

    def rest(self, eta: FloatArray) -> FloatArray:
        return self.model.rest(eta[:-1])

    def dead_time(self, eta: FloatArray) -> float:
        return float(eta[-1])

    def run(self, eta: FloatArray, steps_ns: Int64Array, u: FloatArray, hold: Hold, *, derivatives: bool) -> Run:
        inner = self.model.run(eta[:-1], steps_ns, u, hold, derivatives=derivatives)
        return Run(inner.x, _with_zero(inner.s, 1) if derivatives else inner.s)

    def respond_steps(
        self, eta: FloatArray, steps_ns: Int64Array, u: FloatArray, hold: Hold, *, derivatives: bool
    ) -> Response:
        """Read the model's answer at tₖ - T: its state at the instant before, and one more step from there.

        ∂y/∂T is -ẏ(t - T); jumps of a held measurand, which a feedthrough would pass on, are left out of it. Raises
        `InvalidData` for a T below zero, or beyond reason.
        """
        delay = float(eta[-1])
        if not 0 <= delay <= _LONGEST_S:
            raise InvalidData(f"{DELAY} must be 0 to {_LONGEST_S:g} s in a simulation, and is {delay}")
        run = self.model.run(eta[:-1], steps_ns, u, hold, derivatives=derivatives)
        begin, ahead = _before(steps_ns, delay)
        early = begin < 0
        begin = np.maximum(begin, 0)
        rise = np.diff(u, append=u[-1]) / (np.append(steps_ns, 1) / NS_PER_S)
        slope = np.where(early, 0.0, rise[begin]) if hold is Hold.FIRST else np.zeros(u.size)
        x, s = self._onward(eta[:-1], run, begin, np.where(early, 0.0, ahead), u, slope, hold)
        c = np.asarray(self.output)
        if not derivatives:
            return Response(x @ c, s @ c)
        late = self._velocity(eta[:-1], x, u[begin] + slope * ahead, slope)
        return Response(x @ c, np.column_stack([s @ c, np.where(early, 0.0, -late)]))

    def _onward(
        self,
        eta: FloatArray,
        run: Run,
        begin: Int64Array,
        ahead: FloatArray,
        u: FloatArray,
        slope: FloatArray,
        hold: Hold,
    ) -> tuple[FloatArray, FloatArray]:
        """Return the model's states `ahead` [s] after the instants `begin`, and their sensitivities."""
        intervals, index = np.unique(ahead, return_inverse=True)
        x, s = run.x[begin], run.s[begin]
        parts = self.model.discretise(eta, np.where(intervals > 0, intervals, 1.0), hold)
        inputs = np.stack([u[begin], u[begin] + slope * ahead], axis=1)
        moved, grown = _stepped(parts, index, x, s, inputs)
        on = (intervals > 0)[index]
        return np.where(on[:, None], moved, x), np.where(on[:, None, None], grown, s)

    def _velocity(self, eta: FloatArray, x: FloatArray, u: FloatArray, slope: FloatArray) -> FloatArray:
        """Return ẏ for states of the discretisation, measurand and slope of the measurand."""
        system, n = self.model.state_space(eta), self.n_states
        inner = x[:, :n] - system.d * u[:, None] * system.c
        velocity: FloatArray = inner @ (system.a.T @ system.c) + u * float(system.b @ system.c) + system.d * slope
        return velocity


def _stepped(
    parts: Discretisation, index: Int64Array, x: FloatArray, s: FloatArray, inputs: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Take one step from each of N states x (N, n) and sensitivities s (N, p, n), p = 0 without."""
    dphi, dgamma = parts.dphi[:, : s.shape[1]], parts.dgamma[:, : s.shape[1]]
    if len(parts.phi) > _FEW:
        phi = parts.phi[index]
        moved = np.einsum("kij,kj->ki", phi, x) + np.einsum("kij,kj->ki", parts.gamma[index], inputs)
        grown = np.einsum("kij,krj->kri", phi, s) + np.einsum("krij,kj->kri", dphi[index], x)
        return moved, grown + np.einsum("krij,kj->kri", dgamma[index], inputs)
    moved, grown = np.empty_like(x), np.empty_like(s)
    for q in range(len(parts.phi)):
        rows = index == q
        moved[rows] = x[rows] @ parts.phi[q].T + inputs[rows] @ parts.gamma[q].T
        forced = np.tensordot(x[rows], dphi[q], axes=(1, 2)) + np.tensordot(inputs[rows], dgamma[q], axes=(1, 2))
        grown[rows] = s[rows] @ parts.phi[q].T + forced
    return moved, grown


def _before(steps_ns: Int64Array, delay_s: float) -> tuple[Int64Array, FloatArray]:
    """Return for each instant t the last one at or before t - T (-1: before all of them), and the time from there [s].

    Whole nanoseconds of T are taken off as integers, so that instants lose nothing.
    """
    at = np.concatenate([[0], np.cumsum(steps_ns)])
    nearest = round(delay_s * NS_PER_S)
    exact = abs(delay_s * NS_PER_S - nearest) < _WHOLE_NS
    whole = nearest if exact else int(delay_s * NS_PER_S)
    rest = 0.0 if exact else delay_s - whole / NS_PER_S
    late = at - whole
    begin = np.searchsorted(at, late, side="right" if rest == 0 else "left") - 1
    ahead = (late - at[np.maximum(begin, 0)]) / NS_PER_S - rest
    return begin.astype(np.int64), np.maximum(ahead, 0.0)


def _with_zero(derivatives: FloatArray, axis: int) -> FloatArray:
    """Add the derivative in T, which is none."""
    wide = [(0, 0)] * derivatives.ndim
    wide[axis] = (0, 1)
    return np.pad(derivatives, wide)


def _turn(delay_s: float, f_hz: FloatArray) -> ComplexArray:
    return np.asarray(np.exp(-2j * np.pi * np.asarray(f_hz) * delay_s), dtype=np.complex128)
