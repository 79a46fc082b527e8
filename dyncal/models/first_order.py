# ruff: noqa: D102 (SensorModel says what each method does)
"""First order: H(s) = g / (1 + τs), θ = (gain, tau_s)."""

from __future__ import annotations

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models.base import ComplexArray, Discretisation, Hold, SensorModel, StateSpace
from dyncal.models.lag import lag_interval, lag_sensitivity


class FirstOrder(SensorModel):
    """One lag; η = (g, ln τ)."""

    kind = ModelKind.FIRST_ORDER
    names = ("gain", "tau_s")
    n_states = 1
    output = (1.0, 0.0)

    def frequency_response(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        gain, tau = self.check(theta)
        return np.asarray(gain / (1 + 2j * np.pi * np.asarray(f_hz) * tau), dtype=np.complex128)

    def jacobian(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        gain, tau = self.check(theta)
        s = 2j * np.pi * np.asarray(f_hz)
        lag = 1 / (1 + s * tau)
        return np.stack([lag, -gain * s * lag**2], axis=-1)

    def sensitivity_biquads(self, theta: FloatArray, dt_s: float) -> FloatArray:
        gain, tau = self.check(theta)
        return np.array([[-1 / gain, 0.0, 0.0, 0.0, 0.0], lag_sensitivity(tau, dt_s)])

    def to_internal(self, theta: FloatArray) -> FloatArray:
        gain, tau = self.check(theta)
        if tau <= 0:
            raise InvalidData(f"tau_s must be positive, not {tau}")
        return np.array([gain, np.log(tau)])

    def from_internal(self, eta: FloatArray) -> FloatArray:
        return np.array([eta[0], np.exp(eta[1])])

    def internal_jacobian(self, eta: FloatArray) -> FloatArray:
        return np.diag([1.0, np.exp(eta[1])])

    def state_space(self, eta: FloatArray) -> StateSpace:
        gain, rate = eta[0], np.exp(-eta[1])
        da, db = np.zeros((2, 1, 1)), np.array([[rate], [-gain * rate]])
        da[1] = rate
        return StateSpace(np.array([[-rate]]), np.array([gain * rate]), np.ones(1), 0.0, da, db, np.zeros(2))

    def discretise(self, eta: FloatArray, h_s: FloatArray, hold: Hold = Hold.FIRST) -> Discretisation:
        a, gamma, da, dgamma = lag_interval(float(np.exp(eta[1])), np.asarray(h_s), hold)
        m = a.size
        phi, gammas = np.zeros((m, 2, 2)), np.zeros((m, 2, 2))
        dphi, dgammas = np.zeros((m, 2, 2, 2)), np.zeros((m, 2, 2, 2))
        phi[:, 0, 0] = a
        dphi[:, 1, 0, 0] = da
        gammas[:, 0] = eta[0] * gamma
        dgammas[:, 0, 0] = gamma
        dgammas[:, 1, 0] = eta[0] * dgamma
        return Discretisation(phi, gammas, dphi, dgammas)

    def rest(self, eta: FloatArray) -> FloatArray:
        return np.array([eta[0], 0.0])
