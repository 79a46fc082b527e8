# ruff: noqa: D102 (SensorModel says what each method does)
"""Second order: H(s) = S0 ω0² / (s² + 2δω0 s + ω0²), θ = (gain, damping, f0_hz)."""

from __future__ import annotations

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models.base import ComplexArray, Discretisation, Hold, SensorModel, StateSpace

_SERIES_BELOW = 1e-4


def circle(q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return C = cos√q, S = sin√q/√q and their derivatives in q, for q of either sign, shape (m,).

    C' = -S/2 and S' = (C - S)/2q; hyperbolic for q < 0, series for |q| < 1e-4.
    """
    root = np.sqrt(np.abs(q))
    safe = np.where(root > 0, root, 1.0)
    c = np.where(q >= 0, np.cos(root), np.cosh(root))
    s = np.where(q >= 0, np.sin(root) / safe, np.sinh(root) / safe)
    small = np.abs(q) < _SERIES_BELOW
    s = np.where(small, 1 - q / 6 * (1 - q / 20), s)
    ds = np.where(small, -1 / 6 + q / 60 - q**2 / 1680, (c - s) / np.where(small, 1.0, 2 * q))
    return c, s, -s / 2, ds


class SecondOrder(SensorModel):
    """One resonance (or two real lags, damping > 1); η = (S0, ln δ, ln f0).

    The state is (z, ż/ω0), so that everything but the gain depends on δ and φ = ω0 h alone: with
    M = [[0, 1], [-1, -2δ]] and q = φ²(1 - δ²), Φ = e^{-δφ}[C·I + φS(M + δI)]. A line u(t) = u + (u₊ - u)t/h has the
    particular solution S0(e1 u(t) + w (u₊ - u)), w = (-2δ/φ, 1/φ).
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
        angle = 2 * np.pi * np.exp(eta[2]) * np.asarray(h_s)
        phi, ddamping, dangle = _transition(damping, angle)
        m = angle.size
        unit, dunit = _forcing(damping, angle, phi, ddamping, dangle, hold)
        dphi = np.stack([np.zeros((m, 2, 2)), damping * ddamping, angle[:, None, None] * dangle], axis=1)
        dgamma = np.stack([unit, gain * damping * dunit[0], gain * angle[:, None, None] * dunit[1]], axis=1)
        return Discretisation(phi, gain * unit, dphi, dgamma)

    def rest(self, eta: FloatArray) -> FloatArray:
        return np.array([eta[0], 0.0])


def _transition(damping: float, angle: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return Φ and its derivatives in δ and φ, each of shape (m, 2, 2)."""
    c, s, dc, ds = circle(angle**2 * (1 - damping**2))
    eye = np.eye(2)
    rotation = np.array([[damping, 1.0], [-1.0, -damping]])
    decay = np.exp(-damping * angle)[:, None, None]
    wide = angle[:, None, None]
    phi = decay * (c[:, None, None] * eye + wide * s[:, None, None] * rotation)
    dq = -2 * damping * angle**2
    ddamping = -wide * phi + decay * (
        (dc * dq)[:, None, None] * eye
        + wide * (ds * dq)[:, None, None] * rotation
        + wide * s[:, None, None] * np.diag([1.0, -1.0])
    )
    dangle = np.array([[0.0, 1.0], [-1.0, -2 * damping]]) @ phi
    return phi, ddamping, dangle


def _forcing(
    damping: float, angle: FloatArray, phi: FloatArray, ddamping: FloatArray, dangle: FloatArray, hold: Hold
) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Return Γ for gain 1 and its derivatives in δ and φ, each of shape (m, 2, 2)."""
    if hold is Hold.ZERO:
        unit, d0, d1 = (np.zeros_like(phi) for _ in range(3))
        unit[:, :, 0] = np.array([1.0, 0.0]) - phi[:, :, 0]
        d0[:, :, 0], d1[:, :, 0] = -ddamping[:, :, 0], -dangle[:, :, 0]
        return unit, (d0, d1)
    w = np.stack([-2 * damping / angle, 1 / angle], axis=-1)[:, :, None]
    dw = np.stack([-2 / angle, np.zeros_like(angle)], axis=-1)[:, :, None]
    lead = w - phi @ w
    first = np.array([1.0, 0.0])
    unit = np.stack([-phi[:, :, 0] - lead[:, :, 0], first + lead[:, :, 0]], axis=-1)
    lead_damping = (dw - phi @ dw - ddamping @ w)[:, :, 0]
    # dw/dφ = -w/φ
    lead_angle = (-lead / angle[:, None, None] - dangle @ w)[:, :, 0]
    d0 = np.stack([-ddamping[:, :, 0] - lead_damping, lead_damping], axis=-1)
    d1 = np.stack([-dangle[:, :, 0] - lead_angle, lead_angle], axis=-1)
    return unit, (d0, d1)
