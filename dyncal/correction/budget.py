"""The uncertainty budget of corrected values, contribution by contribution (GUM, JCGM 100, 5.1.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dyncal.correction.design.judge import Prediction
from dyncal.correction.forms import correct_at
from dyncal.correction.inputs import Numbers, instants, samples, standard_uncertainty
from dyncal.correction.smoother.account import AccountingSmoother, NoisePart
from dyncal.correction.smoother.build import model_of
from dyncal.correction.streaming.record import correct
from dyncal.domain import covariances
from dyncal.domain.coefficients import Correction, CorrectionFilter, CorrectionSmoother, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

_SUMMED: Final = ("noise", "model", "sampling", "parameters", "time", "reference_gain", "reference_offset")


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
        ``noise``, ``model`` (what of the measurand is not restored; of a smoother: not resolved within its lag),
        ``parameter:<name>`` for each parameter by itself, ``parameters`` for all with their correlations, ``time``,
        ``reference_gain``, ``reference_offset``: u² is the sum of the squares of those, the single parameters not
        counted. Of a filter on given instants also ``sampling``, which counts too: instants beside the grid, and
        samples bridged. With a prediction, ``model`` also in its parts, ``model:lost``,
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
    correction: Correction,
    parameters: Parameters,
    raw: Numbers,
    *,
    t_ns: Sequence[int] | Int64Array | None = None,
    u_t_s: float = 0.0,
    u_reference_gain: float = 0.0,
    u_reference_offset: float = 0.0,
    prediction: Prediction | None = None,
) -> Budget:
    """Return the budget of a record.

    Parameters
    ----------
    correction : CorrectionFilter or CorrectionSmoother
    parameters : Parameters
        Without the reference's gain uncertainty if that is given here, so that it does not count twice.
    raw : float64, shape (n,)
        Indications; NaN where there is none.
    t_ns : int64, shape (n,), optional
        Their instants, strictly increasing; without them the record is uniform, every ``correction.dt_ns``.
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
        As `dyncal.correction.forms.correct_at`; if an uncertainty is negative or not finite, or there is a prediction
        beside a smoother: that has none.
    """
    u_t_s = standard_uncertainty("u_t_s", u_t_s)
    reference = (
        standard_uncertainty("u_reference_gain", u_reference_gain),
        standard_uncertainty("u_reference_offset", u_reference_offset),
    )
    y = samples("raw", raw)
    t = None if t_ns is None else instants("t_ns", t_ns)
    if isinstance(correction, CorrectionFilter):
        value, lines = _of_filter(correction, parameters, y, t, u_t_s, prediction)
    elif prediction is not None:
        raise InvalidData("a prediction is of a filter's design, and the correction is a smoother")
    else:
        t = correction.dt_ns * np.arange(y.size, dtype=np.int64) if t is None else t
        value, lines = _of_smoother(correction, parameters, t, y, u_t_s)
    lines["reference_gain"] = np.abs(value) * reference[0]
    lines["reference_offset"] = np.where(np.isnan(value), np.nan, reference[1])
    squares = [lines[name] ** 2 for name in _SUMMED if name in lines]
    return Budget(value, np.sqrt(np.sum(squares, axis=0)), tuple(Contribution(n, u) for n, u in lines.items()))


def _of_filter(
    correction: CorrectionFilter,
    parameters: Parameters,
    y: FloatArray,
    t_ns: Int64Array | None,
    u_t_s: float,
    prediction: Prediction | None,
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Return corrected values and lines: what u grows by if one thing after another is uncertain."""

    def corrected(cov: FloatArray, u_t: float) -> tuple[FloatArray, FloatArray]:
        known = replace(parameters, cov=cov)
        if t_ns is None:
            return correct(correction, known, y, u_t_s=u_t)
        return correct_at(correction, known, t_ns, y, u_t_s=u_t)

    nothing = np.zeros_like(parameters.cov)
    value, fixed = corrected(nothing, 0.0)

    def beyond(cov: FloatArray, u_t: float) -> FloatArray:
        _, u = corrected(cov, u_t)
        return np.sqrt(np.maximum(u**2 - fixed**2, 0.0))

    def steady(u: float) -> FloatArray:
        return np.where(np.isnan(value), np.nan, u)

    lines = {"noise": steady(correction.u_noise), "model": steady(correction.u_model)}
    if t_ns is not None:
        lines["sampling"] = np.sqrt(np.maximum(fixed**2 - correction.u_noise**2 - correction.u_model**2, 0.0))
    for i, name in enumerate(parameters.names):
        alone = nothing.copy()
        alone[i, i] = parameters.cov[i, i]
        lines[f"parameter:{name}"] = beyond(alone, 0.0)
    lines["parameters"] = beyond(parameters.cov, 0.0)
    lines["time"] = beyond(nothing, u_t_s)
    if prediction is not None:
        lines["model:lost"] = steady(prediction.u_lost)
        lines["model:response"] = steady(prediction.u_in_band)
        lines["model:unexplained"] = steady(prediction.u_unexplained)
        others = _without(parameters.cov, [i for i, name in enumerate(parameters.names) if name == "gain"])
        lines["parameters:second_order"] = beyond(others, 0.0) * _beyond_first(prediction.second_order)
    return value, lines


def _of_smoother(
    correction: CorrectionSmoother, parameters: Parameters, t_ns: Int64Array, y: FloatArray, u_t_s: float
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Return corrected values and lines: those of the recursion itself."""
    model = model_of(correction, parameters)
    noise = NoisePart(model)
    account = AccountingSmoother(model, parameters, noise).record(t_ns, y, u_t_s)

    def laid(of_told: FloatArray) -> FloatArray:
        whole = np.full(y.size, np.nan)
        whole[account.at] = of_told
        return whole

    of_noise = np.concatenate([*noise.told, np.empty(0)])[account.row]
    lines = {"noise": laid(np.sqrt(of_noise)), "model": laid(np.sqrt(np.maximum(account.whole - of_noise, 0.0)))}
    for i, name in enumerate(parameters.names):
        lines[f"parameter:{name}"] = laid(np.abs(account.directions[:, i]) * parameters.u[i])
    root = covariances.root(parameters.cov, "the parameters' covariance")
    lines["parameters"] = laid(np.linalg.norm(account.directions @ root.T, axis=1))
    lines["time"] = laid(np.sqrt(account.time))
    return laid(account.value), lines


def _without(cov: FloatArray, left_out: list[int]) -> FloatArray:
    rest = cov.copy()
    rest[left_out], rest[:, left_out] = 0.0, 0.0
    return rest


def _beyond_first(ratio: float) -> float:
    """Return the share of u_par that terms of the second order have; NaN where they cannot be told."""
    return math.sqrt(max(1 - 1 / ratio**2, 0.0)) if ratio > 0 else math.nan
