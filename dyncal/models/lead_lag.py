# ruff: noqa: D102 (SensorModel says what each method does)
"""Two modes (an RTD in its thermowell): H(s) = g (1 + τz s) / ((1 + τ1 s)(1 + τ2 s)).

For simulation and for estimators it is the sum of two lags, H = g [(1 - α)/(1 + τ1 s) + α/(1 + τ2 s)] with
τz = τ2 + α (τ1 - τ2); the output is linear in g(1 - α) and gα.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import Int64Array
from dyncal.models.base import ComplexArray, Discretisation, Hold, SensorModel, StateSpace
from dyncal.models.lag import lag_interval, lag_sensitivity
from dyncal.models.rational import Rational

_APART: Final = 1e-5
_CLOSE: Final = 0.1


class LeadLag(SensorModel):
    """Two lags and a lead; η = (g, ln τ1, ln τ2, α).

    Equal lags have no modes of their own: in η they are told apart by 2e-5 at a constant product, which changes H by
    1e-10. A simulation does without modes where they are close.
    """

    kind = ModelKind.LEAD_LAG
    names = ("gain", "tau1_s", "tau2_s", "tauz_s")
    n_states = 2
    output = (1.0, 1.0)

    def frequency_response(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        gain, tau1, tau2, tauz = self.check(theta)
        s = 2j * np.pi * np.asarray(f_hz)
        return np.asarray(gain * (1 + s * tauz) / ((1 + s * tau1) * (1 + s * tau2)), dtype=np.complex128)

    def jacobian(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        gain, tau1, tau2, _ = self.check(theta)
        s = 2j * np.pi * np.asarray(f_hz)
        h = self.frequency_response(theta, f_hz)
        lags = 1 / ((1 + s * tau1) * (1 + s * tau2))
        return np.stack([h / gain, -h * s / (1 + s * tau1), -h * s / (1 + s * tau2), gain * s * lags], axis=-1)

    def sensitivity_biquads(self, theta: FloatArray, dt_s: float) -> FloatArray:
        gain, tau1, tau2, tauz = self.check(theta)
        return np.array(
            [
                [-1 / gain, 0.0, 0.0, 0.0, 0.0],
                lag_sensitivity(tau1, dt_s),
                lag_sensitivity(tau2, dt_s),
                lag_sensitivity(tauz, dt_s, -1.0),
            ]
        )

    def to_internal(self, theta: FloatArray) -> FloatArray:
        gain, tau1, tau2, tauz = self.check(theta)
        if tau1 <= 0 or tau2 <= 0:
            raise InvalidData(f"tau1_s and tau2_s must be positive, not {tau1} and {tau2}")
        apart = np.log(tau1 / tau2) / 2
        if abs(apart) < _APART:
            # the product stays, and the sum moves by the square of this alone
            tau1, tau2 = np.sqrt(tau1 * tau2) * np.exp([_APART, -_APART] if apart >= 0 else [-_APART, _APART])
        return np.array([gain, np.log(tau1), np.log(tau2), (tauz - tau2) / (tau1 - tau2)])

    def from_internal(self, eta: FloatArray) -> FloatArray:
        tau1, tau2 = np.exp(eta[1]), np.exp(eta[2])
        return np.array([eta[0], tau1, tau2, tau2 + eta[3] * (tau1 - tau2)])

    def internal_jacobian(self, eta: FloatArray) -> FloatArray:
        tau1, tau2, alpha = np.exp(eta[1]), np.exp(eta[2]), eta[3]
        jacobian = np.diag([1.0, tau1, tau2, tau1 - tau2])
        jacobian[3, 1:3] = alpha * tau1, (1 - alpha) * tau2
        return jacobian

    def state_space(self, eta: FloatArray) -> StateSpace:
        gain, alpha, rate = eta[0], eta[3], np.exp(-eta[1:3])
        b = rate * np.array([1 - alpha, alpha])
        da = np.zeros((4, 2, 2))
        da[1, 0, 0], da[2, 1, 1] = rate
        db = np.zeros((4, 2))
        db[0], db[3] = b, gain * rate * np.array([-1.0, 1.0])
        db[1, 0], db[2, 1] = -gain * b
        return StateSpace(np.diag(-rate), gain * b, np.array(self.output), 0.0, da, db, np.zeros(4))

    def discretise(self, eta: FloatArray, h_s: FloatArray, hold: Hold = Hold.FIRST) -> Discretisation:
        h = np.asarray(h_s)
        m = h.size
        phi, gammas = np.zeros((m, 2, 2)), np.zeros((m, 2, 2))
        dphi, dgammas = np.zeros((m, 4, 2, 2)), np.zeros((m, 4, 2, 2))
        gain, alpha = eta[0], eta[3]
        for mode, (log_tau, share, sign) in enumerate(((eta[1], 1 - alpha, -1.0), (eta[2], alpha, 1.0))):
            a, gamma, da, dgamma = lag_interval(float(np.exp(log_tau)), h, hold)
            phi[:, mode, mode] = a
            gammas[:, mode] = gain * share * gamma
            dphi[:, 1 + mode, mode, mode] = da
            dgammas[:, 0, mode] = share * gamma
            dgammas[:, 1 + mode, mode] = gain * share * dgamma
            dgammas[:, 3, mode] = sign * gain * gamma
        return Discretisation(phi, gammas, dphi, dgammas)

    def simulate_steps(self, theta: FloatArray, steps_ns: Int64Array, u: FloatArray, hold: Hold) -> FloatArray:
        values = self.check(theta)
        gain, tau1, tau2, tauz = values
        if min(tau1, tau2) > 0 and abs(np.log(tau1 / tau2)) < _CLOSE:
            whole = np.array([gain, gain * tauz, tau1 + tau2, tau1 * tau2])
            return Rational(1, 2).simulate_steps(whole, steps_ns, u, hold)
        return super().simulate_steps(values, steps_ns, u, hold)

    def rest(self, eta: FloatArray) -> FloatArray:
        return np.array([eta[0] * (1 - eta[3]), eta[0] * eta[3]])
