"""One call for a calibration record with a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.choices import choice
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.expected import check_known
from dyncal.identification.record_fit import judge
from dyncal.identification.record_fit.assemble import Parts, assembled, exact, refusal, unexplained
from dyncal.identification.record_fit.colour import by_coloured_noise, coloured_stage
from dyncal.identification.record_fit.departures import departed
from dyncal.identification.record_fit.full_likelihood import FullFit, full_likelihood
from dyncal.identification.record_fit.lateness import later_than
from dyncal.identification.record_fit.method import (
    WHITE,
    OutputErrorSays,
    after_innovations,
    against_innovations,
    between_both,
    by_output_error,
    reference_noise,
    time_constants,
)
from dyncal.identification.record_fit.misfit import MUCH_MORE, left_by_higher_order
from dyncal.identification.record_fit.numbers import of_innovations, of_kalman
from dyncal.identification.record_fit.result import RecordFit
from dyncal.identification.record_fit.segments import Taken, take
from dyncal.identification.record_fit.settings import SPLINES, Method, RecordSettings
from dyncal.identification.record_fit.smoothness import spline_fits
from dyncal.identification.record_fit.spikes import explains_more, with_spikes, without_dropouts
from dyncal.identification.record_fit.spurious import made_by_noise
from dyncal.identification.record_fit.stages import (
    Setup,
    Stage,
    first_stage,
    innovations_stage,
    input_noise,
    second_stage,
)
from dyncal.identification.record_fit.standstill import with_standstill
from dyncal.identification.record_fit.start import starts
from dyncal.identification.record_fit.unstated import unstated
from dyncal.identification.records import AlignedRecord
from dyncal.identification.report import ljung_box
from dyncal.identification.screen import kelvin
from dyncal.models import DELAY, Delayed, ResponseModel, SensorModel, model_of

_WORTH_SAYING: Final = 0.3  # standard uncertainties
_LITTLE: Final = 0.02  # share of the indications' variance
_TOLD: Final = 0.5  # share of the record: in it the course between samples is looked for
_FAR_SHARE: Final = 0.3  # of the record: dead times that are looked at where those of a tenth do not do


def fit_record(
    records: AlignedRecord | Sequence[AlignedRecord],
    model: ModelKind | ResponseModel,
    *,
    settings: RecordSettings | None = None,
    method: Method | None = None,
    start: FloatArray | Sequence[float] | None = None,
) -> RecordFit:
    """Fit a sensor model to records with a reference by maximum likelihood (docs/metrology.md, 2.2).

    Shock, step, sweep, PRBS, plant operation; one or several runs, holes in them, irregular instants. Every segment
    has an initial state of its own, which is estimated. Starts come from a grid and from refined instrumental
    variables. Output error is used where its residuals are white and the reference's noise is negligible; else the
    innovations form where its gain is below 0.2, the sampling interval below a tenth of the shortest time constant and
    the record above a hundred times the longest; else the full Kalman likelihood.

    Parameters
    ----------
    records : AlignedRecord or sequence of AlignedRecord
        NaN in the reference is bridged (up to three in a row, even sampling) or cuts a record into segments; NaN in the
        indication leaves that instant unobserved.
    model : ModelKind or ResponseModel
        A `Delayed` model has its dead time estimated.
    method : Method, optional
        Instead of the rules.
    start : p numbers, optional
        θ to begin from, beside the starts that are found anyway.

    Raises
    ------
    InvalidData
        If there is no record or one is there twice, if the model has no dynamics that a record could show (static), if
        `start` is no such sensor, or something is expected of a parameter that there is not.
    """
    wishes = settings or RecordSettings()
    method = None if method is None else choice(Method, method, "method")
    outer = model if isinstance(model, ResponseModel) else model_of(choice(ModelKind, model, "model"))
    core = outer.model if isinstance(outer, Delayed) else outer
    if not isinstance(core, SensorModel):
        raise InvalidData(f"{outer.label}: a record fit takes a model with dynamics")
    check_known(wishes.expected, [outer])
    given = None if start is None else outer.check_physical(np.asarray(start, dtype=np.float64))
    task, taken = _Task(outer, core, wishes, method, given), take(records)
    found = _of_records(task, records, taken)
    cleaned = without_dropouts(records)
    other = None if cleaned is None else _of_records(task, cleaned.records, take(cleaned.records))
    if cleaned is not None and other is not None and explains_more(other, found):
        return cleaned.named(other, found)
    return _with_units(with_spikes(found, taken), taken)


def _with_units(fit: RecordFit, taken: Taken) -> RecordFit:
    """Return a fit that was not accepted with what the levels of its channels say of their units."""
    if fit.accepted or not taken.segments:
        return fit
    y, r = (np.concatenate([getattr(segment, name) for segment in taken.segments]) for name in "yr")
    words = kelvin(y, r)
    return replace(fit, detail=f"{words}; with that, {fit.detail}") if words else fit


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What is asked for: the model, with and without its dead time, and how."""

    outer: ResponseModel
    core: SensorModel
    settings: RecordSettings
    method: Method | None
    start: FloatArray | None


def _of_records(task: _Task, records: AlignedRecord | Sequence[AlignedRecord], taken: Taken) -> RecordFit:
    """Return the fit with short holes bridged; cut there instead where the reference is too rough for bridges."""
    found = _of_taken(task, taken)
    if found.between in SPLINES or not any(each.bridged.any() for each in taken.segments):
        return found
    cut = take(records, bridges=False)
    told = sum(each.knots[0].size for each in cut.segments if spline_fits(each))
    # in pieces too short for splines a smooth measurand could not be told
    if told < _TOLD * taken.r.size:
        return found
    other = _of_taken(task, cut)
    rough = other.accepted and other.between not in SPLINES
    return other if rough and explains_more(other, found) else found


def _of_taken(task: _Task, taken: Taken) -> RecordFit:
    outer, core, wishes, method, given = task.outer, task.core, task.settings, task.method, task.start
    setup = Setup(core, core is not outer, taken, wishes)
    trouble = judge.before(taken, core, wishes)
    if trouble is not None:
        return refusal(outer, setup, method or Method.OUTPUT_ERROR, trouble)
    found = _fit(outer, setup, method, given)
    if setup.delayed and wishes.max_delay_s is None and (not found.accepted or _beyond(setup, found)):
        farther = replace(setup, settings=replace(wishes, max_delay_s=_FAR_SHARE * taken.length_s))
        again = _fit(outer, farther, method, given)
        if again.accepted or _beyond(setup, found):
            setup, found = farther, again
    if setup.delayed and found.verdict in (Verdict.ACCEPTED, Verdict.DIVERGED) and _beyond(setup, found):
        detail = f"the dead time lies at the end of the {setup.reach[1]:.4g} s that were looked at, or beyond"
        found = replace(found, verdict=Verdict.NOT_IDENTIFIABLE, unobservable=(DELAY,), detail=detail)
    if setup.delayed and wishes.max_delay_s is None:
        found = _with_lateness(found, setup)
    return with_standstill(found, taken)


def _with_lateness(found: RecordFit, setup: Setup) -> RecordFit:
    """Return a fit that says where the dead time seems to be longer than was looked for."""
    late_s = later_than(setup.taken, setup.reach[1])
    if late_s is None:
        return found
    detail = f"the indication follows the reference most closely {late_s:.3g} s later, and dead times were looked for"
    detail = f"{detail} up to {setup.reach[1]:.3g} s: state max_delay_s"
    if found.verdict is not Verdict.ACCEPTED:
        return replace(found, detail=f"{found.detail}; {detail}")
    return replace(found, verdict=Verdict.NOT_IDENTIFIABLE, unobservable=(DELAY,), detail=detail)


def _beyond(setup: Setup, found: RecordFit) -> bool:
    """Tell whether the dead time may be longer than was looked at: what is found there is the end of the range."""
    if found.parameters is None:
        return found.verdict is Verdict.NOT_EXCITED
    # one interval, as a hold between samples passes for half of one
    return float(found.parameters.values[-1]) > setup.reach[1] - setup.taken.dt_s


def _fit(outer: ResponseModel, setup: Setup, method: Method | None, given: FloatArray | None) -> RecordFit:
    """Return the answer, in doubt where the sensor does what its model cannot."""
    found, parts = _answer(outer, setup, method, given)
    if parts is None:
        return found

    # a short part would not show the noise of the reference that the whole record does
    own = Method.KALMAN if found.method is Method.KALMAN else method

    def of_part(taken: Taken) -> RecordFit:
        settings = replace(setup.settings, max_delay_s=setup.reach[1] if setup.delayed else None)
        part = replace(setup, taken=taken, settings=settings)
        trouble = judge.before(taken, setup.model, settings)
        known = None if found.parameters is None else found.parameters.values
        return refusal(outer, part, found.method, trouble) if trouble else _answer(outer, part, own, known)[0]

    return departed(parts, found, of_part)


def _answer(
    outer: ResponseModel, setup: Setup, method: Method | None, given: FloatArray | None
) -> tuple[RecordFit, Parts | None]:
    """Return the answer of a record, and what it is made of where there was a fit to be chosen between likelihoods."""
    core, taken = setup.model, setup.taken
    own = None if given is None else given[: core.n_parameters]
    begins = starts(core, taken, setup.reach if setup.delayed else (0.0, 0.0), own)
    first = first_stage(setup, begins)
    if first is None:
        diverged = judge.Judgement(Verdict.DIVERGED, "no start led to a fit")
        return refusal(outer, setup, method or Method.OUTPUT_ERROR, diverged), None
    evidence = judge.Evidence(
        first.h[: core.n_parameters], first.e, first.y, unexplained(first), ljung_box(first.e)
    )  # fmt: skip
    trouble = judge.against_pair(core, taken, evidence)
    if trouble is not None:
        return refusal(outer, setup, method or Method.OUTPUT_ERROR, trouble), None
    stage, unknowns = second_stage(setup, first)
    names, share = made_by_noise(setup, stage)
    if names:
        detail = f"the measurand is too slow for {', '.join(names)}: of what tells it, the reference's noise"
        misled = judge.Judgement(Verdict.NOT_EXCITED, f"{detail} may make {100 * min(share, 1):.0f} %", names)
        return _by_innovations(Parts(outer, setup, stage, stage, unknowns, Method.OUTPUT_ERROR, ""), misled), None
    which, reason, moved = _likelihood(setup, stage, method)
    parts = Parts(outer, setup, stage, moved or stage, unknowns, which, reason)
    # residuals whitened by a noise of their own have been tested for what follows from the reference
    # (of smooth signals little is left of that: a noise that hides much of the indications is not believed for it)
    tested = parts.stage.problem.noise is not None and taken.even and unexplained(first) < _LITTLE
    # a shift between clocks colours the residuals until it is free
    white = not evidence.misfit or ljung_box(stage.e) >= WHITE
    fits = which is Method.OUTPUT_ERROR and (white or exact(parts.simple) or tested)
    against = None if fits else _wrong_kind(parts)
    answer = _by_kalman if which is Method.KALMAN else _by_innovations
    return answer(parts, against), parts


def _wrong_kind(parts: Parts) -> judge.Judgement | None:
    """Say that a model of higher order explains far more, which no noise model must hide; None where none does."""
    model, h = parts.setup.model, parts.simple.h
    p = model.n_parameters
    variance = float(np.mean(parts.simple.e**2))
    ratio = left_by_higher_order(model, h[:p], parts.setup.taken, float(h[p]), float(h[p + 1]), variance)
    if ratio < MUCH_MORE:
        return None
    detail = f"a model of higher order leaves {ratio:.3g} times less of the indications: not the kind of this sensor"
    return judge.Judgement(
        Verdict.INCONSISTENT,
        f"{detail}, or a dead time, or an offset of clock or zero, that is not allowed for, or a measurand that moves "
        "otherwise between samples than any course through them",
    )


def _likelihood(setup: Setup, stage: Stage, method: Method | None) -> tuple[Method, str, Stage | None]:
    """Return which likelihood, why, and the fit in the innovations form where it is the one."""
    if method is not None:
        if method is not Method.INNOVATIONS:
            return method, "as asked", None
        moved = innovations_stage(stage)
        if moved is None:
            return Method.OUTPUT_ERROR, "output error: the innovations form was asked for and has no start", None
        return method, "as asked", moved
    says = _says(setup, stage)
    why = by_output_error(says)
    if why:
        return Method.OUTPUT_ERROR, f"output error: {why}", None
    why = between_both(says)
    moved = innovations_stage(stage) if why else None
    if moved is not None:
        return Method.INNOVATIONS, f"innovations form: {why}", moved
    coloured = None if says.reference_matters else coloured_stage(setup, stage)
    if coloured is not None:
        return Method.OUTPUT_ERROR, f"output error: {by_coloured_noise(coloured)}", coloured
    against = against_innovations(says)
    if against:
        return Method.KALMAN, f"full Kalman likelihood: {against}", None
    moved = innovations_stage(stage)
    if moved is None:
        return Method.KALMAN, "full Kalman likelihood: the innovations form has no start", None
    which, why = after_innovations(moved.problem.output_gain(moved.h), ljung_box(moved.e))
    return which, f"{which}: {why}", moved if which is Method.INNOVATIONS else None


def _by_innovations(parts: Parts, against: judge.Judgement | None = None) -> RecordFit:
    """Return the answer of output error or of the innovations form."""
    numbers = of_innovations(parts.setup, parts.stage)
    if numbers.widened > 1:
        note = f"the residuals are not white, and the covariance is multiplied by {numbers.widened:.3g} for it"
        parts = replace(parts, notes=(*parts.notes, note))
    if numbers.by_bridges > _WORTH_SAYING:
        note = f"bridges over what the reference misses move parameters by {numbers.by_bridges:.2g} u, counted in u"
        parts = replace(parts, notes=(*parts.notes, note))
    left_out = parts.setup.taken.n - sum(int(np.isfinite(r.segment.y).sum()) for r in parts.stage.problem.readings)
    if left_out:
        note = f"{left_out} samples lie in pieces of the reference too short for splines, and are left out"
        parts = replace(parts, notes=(*parts.notes, note))
    u = np.sqrt(np.maximum(np.diag(numbers.cov), 1e-300))
    for rival in parts.stage.rivals:
        if float(np.max(np.abs(rival.moved[: u.size]) / u)) > _WORTH_SAYING:
            note = f"{rival.between} between samples would do as well, and is counted as uncertainty"
            parts = replace(parts, notes=(*parts.notes, note))
    if against is None and not parts.stage.done.converged:
        against = judge.Judgement(Verdict.DIVERGED, "the iteration did not come to an end")
    return assembled(parts, numbers, against or unstated(parts, numbers))


def _by_kalman(parts: Parts, wrong: judge.Judgement | None) -> RecordFit:
    """Return the answer of the full Kalman likelihood; where it has none, that of output error, not to be accepted."""
    found = full_likelihood(parts.setup, parts.stage, parts.unknowns)
    if isinstance(found, FullFit):
        parts, numbers = (
            replace(parts, notes=(f"measurand taken as {found.fit.process}",)),
            of_kalman(parts.setup, found),
        )
        return assembled(parts, numbers, wrong or unstated(parts, numbers))
    why = f"the full Kalman likelihood is called for, and gives no answer: {found}"
    against = judge.Judgement(Verdict.INCONSISTENT, why)
    return _by_innovations(replace(parts, method=Method.OUTPUT_ERROR), wrong or against)


def _says(setup: Setup, stage: Stage) -> OutputErrorSays:
    model, taken, e = setup.model, setup.taken, stage.e
    eta = stage.h[: model.n_parameters]
    fast, slow = time_constants(model, eta)
    return OutputErrorSays(
        whiteness_p=ljung_box(e),
        input_noise=input_noise(stage),
        noise_std=float(np.sqrt(np.mean(e**2))),
        spread=float(np.std(taken.y)),
        reference_std=setup.settings.u_reference_noise * reference_noise(model, eta, taken.dt_s),
        n=e.size,
        even=taken.even,
        coarseness=taken.dt_s / fast,
        memories=taken.length_s / max(slow, 1e-300),
    )
