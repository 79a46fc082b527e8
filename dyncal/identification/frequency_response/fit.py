"""The fit of models to frequency-response points, and the choice between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.choices import choice
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.identification.expected import check_known
from dyncal.identification.frequency_response.candidate import Fitted, fit_model
from dyncal.identification.frequency_response.diagnosis import explain
from dyncal.identification.frequency_response.points import FrequencyPoints
from dyncal.identification.frequency_response.result import Birge, FrequencyFit, FrequencyFitSettings
from dyncal.models import model_of
from dyncal.models.base import ResponseModel

_CLOSE: Final = 2.0
_DEFAULT: Final = (ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER, ModelKind.LEAD_LAG)


def fit_frequency_response(
    points: FrequencyPoints | Sequence[FrequencyPoints],
    kinds: ModelKind | ResponseModel | Sequence[ModelKind | ResponseModel] = _DEFAULT,
    settings: FrequencyFitSettings | None = None,
) -> FrequencyFit:
    """Fit models to the points of one or more laboratories by maximum likelihood, and choose one.

    With the systematic errors of the laboratories as parameters with priors (`Problem`), χ² = -2 ln L is minimised by
    Levenberg-Marquardt with analytic Jacobian from the best starts of a grid; cov θ̂ is the inverse of the Fisher
    information, JᵀJ. ν = n - p: each prior is one more value for one more parameter.

    Of the models that the points determine, those within 2 of the lowest criterion are taken as equally good, and the
    one with the fewest parameters is chosen (Burnham & Anderson, Model Selection and Multimodel Inference, 2.6).

    Parameters
    ----------
    kinds : ModelKind, ResponseModel or sequence of them
        What to try. `Rational` and `Delayed` models are given as such.

    Raises
    ------
    InvalidData
        If there are no points, two laboratories of one name, two models of one name, a kind without a model, or
        something is expected of a parameter that no model has.
    """
    wishes = settings or FrequencyFitSettings()
    laboratories = [points] if isinstance(points, FrequencyPoints) else list(points)
    tried = [kinds] if isinstance(kinds, (str, ResponseModel)) else kinds
    models = [kind if isinstance(kind, ResponseModel) else model_of(choice(ModelKind, kind, "kind")) for kind in tried]
    _check_names("laboratory", [each.laboratory for each in laboratories])
    _check_names("model", [model.label for model in models])
    check_known(wishes.expected, models)
    fits = sorted(
        (fit_model(model, laboratories, wishes) for model in models), key=lambda fit: fit.score(wishes.criterion)
    )
    chosen = _choose(fits, models, wishes)
    doubtful = chosen.row.verdict is Verdict.INCONSISTENT or chosen.row.p_value < wishes.consistency_level
    explanation = explain(models, laboratories, wishes) if doubtful and wishes.diagnose else ""
    return _result(chosen, fits, wishes, explanation)


def _check_names(what: str, names: list[str]) -> None:
    if not names:
        raise InvalidData(f"there is no {what}")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InvalidData(f"{what} {twice[0]!r} is there twice")


def _choose(fits: list[Fitted], models: list[ResponseModel], settings: FrequencyFitSettings) -> Fitted:
    eligible = [fit for fit in fits if fit.eligible]
    if not eligible:
        return fits[0]
    if all(fit.row.p_value < settings.consistency_level for fit in eligible):
        # a model that would fit, were the points enough, says more than one that does not fit
        vague = [fit for fit in fits if fit.row.unobservable and fit.row.p_value >= settings.consistency_level]
        if vague:
            return min(vague, key=lambda fit: fit.row.n_parameters)
    best = eligible[0].score(settings.criterion)
    close = [fit for fit in eligible if fit.score(settings.criterion) <= best + _CLOSE]
    # the same model in two parametrisations scores the same but for rounding: the one asked for first
    return min(
        close,
        key=lambda fit: (fit.row.n_parameters, round(fit.score(settings.criterion), 2), models.index(fit.model)),
    )


def _result(chosen: Fitted, fits: list[Fitted], settings: FrequencyFitSettings, explanation: str) -> FrequencyFit:
    row, parameters = chosen.row, None
    if chosen.theta is not None and chosen.cov is not None:
        names = chosen.model.names
        parameters = Parameters(chosen.model.kind, names, chosen.theta, (chosen.cov + chosen.cov.T) / 2)
    ratio = float(np.sqrt(row.chi2 / row.dof)) if row.dof > 0 else float("nan")
    applied = settings.birge is Birge.SCALE and parameters is not None and ratio > 1
    return FrequencyFit(
        verdict=row.verdict,
        parameters=parameters,
        model=chosen.model if parameters is not None else None,
        unobservable=row.unobservable,
        chi2=row.chi2,
        dof=row.dof,
        p_value=row.p_value,
        birge_ratio=ratio,
        birge_applied=applied,
        laboratories=chosen.laboratories,
        candidates=tuple(fit.row for fit in fits),
        rule=_rule(settings, len(fits)),
        detail=_detail(chosen, ratio, applied, settings, explanation),
    )


def _rule(settings: FrequencyFitSettings, n: int) -> str:
    if n == 1:
        return "the one model asked for"
    return (
        f"of {n} models, those that the points determine and whose {settings.criterion} is within {_CLOSE:g} of the "
        "lowest; of these the one with the fewest parameters"
    )


def _detail(chosen: Fitted, ratio: float, applied: bool, settings: FrequencyFitSettings, explanation: str) -> str:
    row = chosen.row
    words = [row.detail] if row.detail else []
    if not np.isfinite(row.chi2):
        return row.detail
    words.append(f"χ² = {row.chi2:.4g} for {row.dof} degrees of freedom (p = {row.p_value:.2g})")
    if applied:
        words.append(f"covariance multiplied by χ²/ν, standard uncertainties by the Birge ratio {ratio:.3g}, as asked")
    elif row.p_value < settings.consistency_level:
        words.append(f"the points scatter {ratio:.3g} times as much as they say; the covariance is not enlarged")
    elif 1 - row.p_value < settings.consistency_level / 100:
        words.append("the points scatter far less than they say: uncertainties stated too large, or correlated")
    if explanation:
        words.append(explanation)
    return "; ".join(words)
