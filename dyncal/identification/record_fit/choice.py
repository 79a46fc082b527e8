"""The choice between kinds of model for one record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dyncal.domain.calibration import Verdict
from dyncal.domain.choices import choice
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.identification.expected import check_known
from dyncal.identification.record_fit.fit import fit_record
from dyncal.identification.record_fit.method import WHITE
from dyncal.identification.record_fit.result import RecordFit
from dyncal.identification.record_fit.settings import Method, RecordSettings
from dyncal.identification.records import AlignedRecord
from dyncal.models import ResponseModel, model_of

_CLOSE: Final = 2.0
_DEFAULT: Final = (ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER, ModelKind.LEAD_LAG)
_COMPARABLE: Final = {Verdict.ACCEPTED, Verdict.INCONSISTENT, Verdict.DIVERGED}


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The answer for the model chosen, and those by which models were compared.

    Attributes
    ----------
    fit : RecordFit
        By the rules of `fit_record`.
    candidates : tuple of RecordFit
        All models by one method, between samples alike, the best first by AICc.
    rule : str
        How the model was chosen, in words.
    """

    fit: RecordFit
    candidates: tuple[RecordFit, ...]
    rule: str

    def table(self) -> str:
        """Return the candidates as a table in plain text."""
        lines = [f"{'model':34} {'p':>2} {'ln L':>12} {'AICc':>12} {'white p':>8}  verdict"]
        lines += [
            f"{fit.model.label:34} {fit.model.n_parameters:2d} {fit.log_likelihood:12.2f} {fit.aicc:12.2f}"
            f" {fit.whiteness_p:8.2g}  {fit.verdict}: {fit.detail}"
            for fit in self.candidates
        ]
        return "\n".join(lines)


def choose_model(
    records: AlignedRecord | Sequence[AlignedRecord],
    kinds: Sequence[ModelKind | ResponseModel] = _DEFAULT,
    *,
    settings: RecordSettings | None = None,
) -> Choice:
    """Fit several models to one record and choose.

    All are fitted by output error, with the course between samples that suits the best of them; where even that one
    leaves coloured residuals, by the innovations form, whose likelihood stays a likelihood then. Of the models that the
    record determines, those whose AICc is within 2 of the lowest are taken as equally good, and the one with the fewest
    parameters is chosen (Burnham & Anderson, Model Selection and Multimodel Inference, 2.6).

    Raises
    ------
    InvalidData
        As `fit_record` does, or if there is no model or one is there twice; what is `expected` may be of a parameter
        that only some of them have.
    """
    models = [kind if isinstance(kind, ResponseModel) else model_of(choice(ModelKind, kind, "kind")) for kind in kinds]
    labels = [model.label for model in models]
    if not models or len(set(labels)) < len(labels):
        raise InvalidData(f"models to choose from must be there, and differ: {', '.join(labels) or 'none'}")
    wishes = settings or RecordSettings()
    check_known(wishes.expected, models)
    method = Method.OUTPUT_ERROR
    fits = _compared(records, models, wishes, method)
    best = fits[0]
    if wishes.between is None and best.parameters is not None:
        wishes = replace(wishes, between=best.between)
        fits = _compared(records, models, wishes, method)
    if not fits[0].whiteness_p >= WHITE and fits[0].parameters is not None:
        method = Method.INNOVATIONS
        fits = _compared(records, models, wishes, method)
    eligible = [fit for fit in fits if fit.parameters is not None and fit.verdict in _COMPARABLE]
    close = [fit for fit in eligible if fit.aicc <= eligible[0].aicc + _CLOSE]
    chosen = min(close, key=lambda fit: fit.model.n_parameters) if close else fits[0]
    rule = f"of {len(fits)} models by {method}, within {_CLOSE:g} of the lowest AICc the one with the fewest parameters"
    said = wishes if chosen.parameters is not None else settings or RecordSettings()
    final = fit_record(records, chosen.model, settings=_of(said, chosen.model))
    return Choice(final, tuple(fits), rule)


def _compared(
    records: AlignedRecord | Sequence[AlignedRecord],
    models: Sequence[ResponseModel],
    settings: RecordSettings,
    method: Method,
) -> list[RecordFit]:
    fits = [fit_record(records, model, settings=_of(settings, model), method=method) for model in models]
    return sorted(fits, key=lambda fit: fit.aicc)


def _of(settings: RecordSettings, model: ResponseModel) -> RecordSettings:
    """Return the settings with what is expected of the parameters of one model."""
    return replace(settings, expected={name: ends for name, ends in settings.expected.items() if name in model.names})
