# ruff: noqa: D102 (SensorModel says what each method does)
"""Second order: H(s) = S0 ω0² / (s² + 2δω0 s + ω0²), θ = (gain, damping, f0_hz)."""

from __future__ import annotations

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models.base import ComplexArray, Discretisation, Hold, SensorModel, StateSpace
from dyncal.models.pair import pair_interval


class SecondOrder(SensorModel):
    """One resonance (or two real lags, damping > 1); η = (S0, ln δ, ln f0).

    The state is (z, ż/ω0); `dyncal.models.pair` solves it.
    """

    kind = ModelKind.SECOND_ORDER
    names = ("gain", "damping", "f0_hz")
    n_states = 2
    output = (1.0, 0.0)

    def frequency_response(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        gain, damping, f0 = self.check(theta)
        x = np.asarray(f_hz) / f0
        return np.asarray(gain / (1 - x**2 + 2j * damping * x), dtype=np.complex128)

    def jacobian(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        gain, damping, f0 = self.check(theta)
        x = np.asarray(f_hz) / f0
        unit = 1 / (1 - x**2 + 2j * damping * x)
        return np.stack([unit, -gain * 2j * x * unit**2, -gain * unit**2 * (2 * x**2 - 2j * damping * x) / f0], axis=-1)

    def sensitivity_biquads(self, theta: FloatArray, dt_s: float) -> FloatArray:
        gain, damping, f0 = self.check(theta)
        omega = 2 * np.pi * f0
        # prewarped at ω0, where the sensitivity peaks; not possible for a resonance beyond Nyquist
        k = omega / np.tan(omega * dt_s / 2) if f0 * dt_s < 0.49 else 2 / dt_s
        den = np.array([k**2 + 2 * damping * omega * k + omega**2, 2 * (omega**2 - k**2), 0.0])
        den[2] = k**2 - 2 * damping * omega * k + omega**2
        first = np.array([k, 0.0, -k])  # s, over (1 + z⁻¹)²
        second = np.array([k**2, -2 * k**2, k**2])  # s²
        rows = np.zeros((3, 5))
        rows[0, 0] = -1 / gain
        rows[1, :3] = 2 * omega * first / den[0]
        rows[2, :3] = -2 / f0 * (second + damping * omega * first) / den[0]
        rows[1:, 3:] = den[1:] / den[0]
        return rows

    def to_internal(self, theta: FloatArray) -> FloatArray:
        gain, damping, f0 = self.check(theta)
        if damping <= 0 or f0 <= 0:
            raise InvalidData(f"damping and f0_hz must be positive, not {damping} and {f0}")
        return np.array([gain, np.log(damping), np.log(f0)])

    def from_internal(self, eta: FloatArray) -> FloatArray:
        return np.array([eta[0], np.exp(eta[1]), np.exp(eta[2])])

    def internal_jacobian(self, eta: FloatArray) -> FloatArray:
        return np.diag([1.0, np.exp(eta[1]), np.exp(eta[2])])

    def state_space(self, eta: FloatArray) -> StateSpace:
        gain, damping, omega = eta[0], np.exp(eta[1]), 2 * np.pi * np.exp(eta[2])
        a = omega * np.array([[0.0, 1.0], [-1.0, -2 * damping]])
        da, db = np.zeros((3, 2, 2)), np.zeros((3, 2))
        da[1, 1, 1], da[2] = -2 * damping * omega, a
        db[0, 1], db[2, 1] = omega, gain * omega
        return StateSpace(a, np.array([0.0, gain * omega]), np.array(self.output), 0.0, da, db, np.zeros(3))

    def discretise(self, eta: FloatArray, h_s: FloatArray, hold: Hold = Hold.FIRST) -> Discretisation:
        gain, damping = eta[0], float(np.exp(eta[1]))
        angle = 2 * np.pi * np.exp(eta[2]) * np.asarray(h_s, dtype=np.float64)
        phi, unit, dphi, dunit = pair_interval(damping, angle, hold)
        still = np.zeros_like(phi)
        dgamma = np.stack([unit, gain * dunit[0], gain * dunit[1]], axis=1)
        return Discretisation(phi, gain * unit, np.stack([still, *dphi], axis=1), dgamma)

    def rest(self, eta: FloatArray) -> FloatArray:
        return np.array([eta[0], 0.0])
