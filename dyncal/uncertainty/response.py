"""Monte Carlo of what follows from a sensor's parameters: its frequency response, or any function of them."""

from __future__ import annotations

import enum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.uncertainty.inputs import MultivariateNormal
from dyncal.uncertainty.procedure import Model, monte_carlo
from dyncal.uncertainty.result import MonteCarloResult
from dyncal.uncertainty.settings import MonteCarloSettings

ComplexArray = npt.NDArray[np.complex128]


class Response(Protocol):
    """What is used of a sensor model."""

    def frequency_response(self, theta: FloatArray, f_hz: FloatArray) -> ComplexArray:
        """Return H(j2πf) for frequencies of shape (n_f,)."""


class Parts(enum.StrEnum):
    """The two real outputs for each frequency."""

    CARTESIAN = "cartesian"
    """Real parts, then imaginary parts."""

    POLAR = "polar"
    """Magnitudes, then phases [rad], within π of the phase at the estimate."""


def response_model(response: Response, theta: FloatArray, f_hz: FloatArray, parts: Parts = Parts.CARTESIAN) -> Model:
    """Return the frequency response as a model of θ: (m, p) → (m, 2 n_f); NaN where θ is no sensor."""
    f = np.asarray(f_hz, dtype=np.float64)
    here = response.frequency_response(np.asarray(theta, dtype=np.float64), f)

    def model(drawn: FloatArray) -> FloatArray:
        h = responses(response, drawn, f)
        if parts is Parts.CARTESIAN:
            return np.concatenate([h.real, h.imag], axis=1)
        return np.concatenate([np.abs(h), np.angle(here) + np.angle(h * here.conj())], axis=1)

    return model


def response_monte_carlo(
    response: Response,
    parameters: Parameters,
    f_hz: FloatArray,
    *,
    parts: Parts = Parts.CARTESIAN,
    seed: int,
    settings: MonteCarloSettings | None = None,
) -> MonteCarloResult:
    """Propagate the parameters' covariance to the frequency response; 2 n_f outputs as `parts` says.

    Raises
    ------
    InvalidData
        If the covariance is none, or draws are no sensors (`MonteCarloSettings.max_invalid_share`).
    """
    model = response_model(response, parameters.values, f_hz, parts)
    return transform_monte_carlo(parameters, model, seed=seed, settings=settings)


def transform_monte_carlo(
    parameters: Parameters, model: Model, *, seed: int, settings: MonteCarloSettings | None = None
) -> MonteCarloResult:
    """Propagate the parameters' covariance through any function of them, (m, p) → (m, n) or (m,).

    Raises
    ------
    InvalidData
        As `dyncal.uncertainty.monte_carlo`.
    """
    return monte_carlo(MultivariateNormal(parameters.values, parameters.cov), model, seed=seed, settings=settings)


def responses(response: Response, drawn: FloatArray, f_hz: FloatArray) -> ComplexArray:
    """Return the responses of parameter vectors (m, p), shape (m, n_f); NaN where one is no sensor."""
    h = np.empty((drawn.shape[0], f_hz.size), dtype=np.complex128)
    for row, theta in zip(h, drawn, strict=True):
        try:
            row[:] = response.frequency_response(theta, f_hz)
        except InvalidData:
            row[:] = np.nan
    return h
