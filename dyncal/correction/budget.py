"""The uncertainty budget of corrected values, contribution by contribution (GUM, JCGM 100, 5.1.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.correction.design.judge import Prediction
from dyncal.correction.streaming.record import correct
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

_SUMMED: Final = ("noise", "model", "parameters", "time", "reference_gain", "reference_offset")


@dataclass(frozen=True, slots=True, eq=False)
class Contribution:
    """One line of a budget: `u`, float64 of shape (n,), in the sensor's unit, NaN where the value is NaN."""

    name: str
    u: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Budget:
    """A budget for each sample of a record.

    Attributes
    ----------
    value, u : float64, shape (n,)
        Corrected value and combined standard uncertainty, reference gain included.
    contributions : tuple of Contribution
        ``noise``, ``model``, ``parameter:<name>`` for each parameter by itself, ``parameters`` for all with their
        correlations, ``time``, ``reference_gain``, ``reference_offset``: u² is the sum of the squares of those, the
        single parameters not counted. With a prediction, ``model`` also in its parts, ``model:lost``,
        ``model:response`` and ``model:unexplained``; and ``parameters:second_order``, what of ``parameters`` is beyond
        the first order (the gain has no such part). Parts do not count again.
    """

    value: FloatArray
    u: FloatArray
    contributions: tuple[Contribution, ...]

    def __getitem__(self, name: str) -> FloatArray:
        """Return the contribution of this name, float64, shape (n,)."""
        for contribution in self.contributions:
            if contribution.name == name:
                return contribution.u
        raise KeyError(name)


def include_reference_gain(parameters: Parameters, u_relative: float) -> Parameters:
    """Return the parameters with the reference's gain uncertainty in the variance of ``gain``.

    A sensor calibrated against a reference takes over its relative gain error whole and fully correlated: once it is in
    the covariance, the edge propagates it as it does the rest. Where there is no ``gain``, nothing is changed.

    Parameters
    ----------
    u_relative : float
        Relative standard uncertainty of the reference's gain, from its certificate.
    """
    if not 0 <= u_relative < float("inf"):
        raise InvalidData(f"a relative uncertainty must be finite and not negative, not {u_relative}")
    if "gain" not in parameters.names:
        return parameters
    i = parameters.names.index("gain")
    cov = parameters.cov.copy()
    cov[i, i] += (parameters.values[i] * u_relative) ** 2
    return Parameters(parameters.model, parameters.names, parameters.values, cov)


def budget(
    correction: CorrectionFilter,
    parameters: Parameters,
    raw: FloatArray,
    *,
    u_t_s: float = 0.0,
    u_reference_gain: float = 0.0,
    u_reference_offset: float = 0.0,
    prediction: Prediction | None = None,
) -> Budget:
    """Return the budget of a uniform record.

    Parameters
    ----------
    correction : CorrectionFilter
    parameters : Parameters
        Without the reference's gain uncertainty if that is given here, so that it does not count twice.
    raw : float64, shape (n,)
        Indications every ``correction.dt_ns``.
    u_t_s : float
        Standard uncertainty of the instants [s].
    u_reference_gain : float
        Relative standard uncertainty of the reference's gain.
    u_reference_offset : float
        Standard uncertainty of the reference's zero, in the measurand's unit; the same for all samples.
    prediction : Prediction, optional
        Of the design that the filter came from (`Design.prediction`), for the parts of its terms.

    Raises
    ------
    InvalidData
        As `dyncal.correction.streaming.record.correct`; if an uncertainty is negative or not finite.
    """
    for what, u in (
        ("u_t_s", u_t_s),
        ("u_reference_gain", u_reference_gain),
        ("u_reference_offset", u_reference_offset),
    ):
        if not 0 <= u < float("inf"):
            raise InvalidData(f"{what} must be finite and not negative, not {u}")
    value, fixed = correct(correction, _with_cov(parameters, np.zeros_like(parameters.cov)), raw)

    def beyond(cov: FloatArray, u_t: float) -> FloatArray:
        _, u = correct(correction, _with_cov(parameters, cov), raw, u_t_s=u_t)
        return np.sqrt(np.maximum(u**2 - fixed**2, 0.0))

    def steady(u: float) -> FloatArray:
        return np.where(np.isnan(value), np.nan, u)

    lines = {"noise": steady(correction.u_noise), "model": steady(correction.u_model)}
    for i, name in enumerate(parameters.names):
        alone = np.zeros_like(parameters.cov)
        alone[i, i] = parameters.cov[i, i]
        lines[f"parameter:{name}"] = beyond(alone, 0.0)
    lines["parameters"] = beyond(parameters.cov, 0.0)
    lines["time"] = beyond(np.zeros_like(parameters.cov), u_t_s)
    lines["reference_gain"] = np.abs(value) * u_reference_gain
    lines["reference_offset"] = steady(u_reference_offset)
    squares = [lines[name] ** 2 for name in _SUMMED]
    if prediction is not None:
        lines["model:lost"] = steady(prediction.u_lost)
        lines["model:response"] = steady(prediction.u_in_band)
        lines["model:unexplained"] = steady(prediction.u_unexplained)
        others = _without(parameters.cov, [i for i, name in enumerate(parameters.names) if name == "gain"])
        lines["parameters:second_order"] = beyond(others, 0.0) * _beyond_first(prediction.second_order)
    return Budget(value, np.sqrt(np.sum(squares, axis=0)), tuple(Contribution(n, u) for n, u in lines.items()))


def _without(cov: FloatArray, left_out: list[int]) -> FloatArray:
    rest = cov.copy()
    rest[left_out], rest[:, left_out] = 0.0, 0.0
    return rest


def _beyond_first(ratio: float) -> float:
    """Return the share of u_par that terms of the second order have; NaN where they cannot be told."""
    return math.sqrt(max(1 - 1 / ratio**2, 0.0)) if ratio > 0 else math.nan


def _with_cov(parameters: Parameters, cov: FloatArray) -> Parameters:
    return Parameters(parameters.model, parameters.names, parameters.values, cov)
