"""From the coordinates of a fit to the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.coefficients import Parameters
from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit import judge
from dyncal.identification.record_fit.judge import Judgement
from dyncal.identification.record_fit.numbers import Numbers
from dyncal.identification.record_fit.reference import considered
from dyncal.identification.record_fit.result import Nuisance, RecordFit, Series, aicc
from dyncal.identification.record_fit.settings import InterSample, Method
from dyncal.identification.record_fit.stages import Setup, Stage, Unknowns
from dyncal.models.base import ResponseModel

_ROUNDING: Final = 1e-18
_OTHER: Final = 5.0  # factor between a stated noise and the one that shows
_TELLING: Final = 800  # samples: AR(1) of 0.9, five times the white noise, was covered 85 % by 300 to 600, 95 % by 1000


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What an answer is made of.

    Attributes
    ----------
    simple, stage : Stage
        The output-error fit, and the one that counts (the same for output error and for the Kalman likelihood).
    notes : tuple of str
        What is to be said besides.
    """

    outer: ResponseModel
    setup: Setup
    simple: Stage
    stage: Stage
    unknowns: Unknowns
    method: Method
    reason: str
    notes: tuple[str, ...] = field(default=())


def unexplained(stage: Stage) -> float:
    """Return the share of the indications' variance that an output-error fit leaves."""
    return float(np.sum(stage.e**2)) / max(float(np.sum((stage.y - stage.y.mean()) ** 2)), 1e-300)


def exact(stage: Stage) -> bool:
    """Tell whether a fit leaves nothing but rounding."""
    return unexplained(stage) <= _ROUNDING


def assembled(parts: Parts, numbers: Numbers, against: Judgement | None = None) -> RecordFit:
    """Return the answer; `against` is what is known to speak against it before θ is looked at."""
    setup, stage = parts.setup, parts.stage
    effect = effects(parts)
    theta, cov, statistical = _physical(parts, numbers, effect)
    found = judge.of_result(parts.outer, setup.model, setup.taken, setup.settings, numbers.h[: theta.size], theta, cov)
    # what the record does not determine is the reason, where there is one, for an iteration without end
    found = found if found and found.unobservable else against or found
    words = [found.detail if found else f"the model explains {100 * (1 - unexplained(parts.simple)):.4g} %"]
    n, readings = stage.problem.n_y, stage.problem.readings
    if n < _TELLING:
        words.append(f"{n} samples do not tell coloured noise of the sensor from white, for which u holds")
    other = _other_noise(numbers.noise_std, setup.settings.noise_std)
    words += [other] if other else []
    clock, offset = _nuisances(parts, numbers)
    return RecordFit(
        verdict=found.verdict if found else Verdict.ACCEPTED,
        parameters=Parameters(parts.outer.kind, parts.outer.names, theta, cov) if _sound(theta, cov) else None,
        cov_statistical=statistical if _sound(theta, cov) else None,
        model=parts.outer,
        unobservable=found.unobservable if found else (),
        noise_std=numbers.noise_std,
        reduced_chi2=numbers.reduced_chi2,
        whiteness_p=numbers.whiteness_p,
        n_samples=n,
        n_left_out=setup.taken.n_left_out + setup.taken.n - n,
        window_from_ns=min(int(reading.t_ns[0]) for reading in readings),
        window_to_ns=max(int(reading.t_ns[-1]) for reading in readings),
        method=parts.method,
        reason=_reason(parts),
        noise=_noise(parts),
        between=stage.between,
        clock=clock,
        offset=offset,
        initial_states=stage.done.last.at.x0,
        series=tuple(
            Series(reading.t_ns, reading.y, reading.y - raw, raw, white)
            for reading, raw, white in zip(readings, stage.done.last.raw, stage.done.last.e, strict=True)
        ),
        log_likelihood=numbers.log_likelihood,
        aicc=aicc(numbers.log_likelihood, numbers.n_estimated, numbers.n_values),
        n_coordinates=numbers.n_estimated,
        detail="; ".join([*words, *parts.notes]),
    )


def _other_noise(found: float, stated: float | None) -> str:
    """Say that the residuals contradict a stated noise, or return an empty string."""
    if stated is None or stated / _OTHER <= found <= stated * _OTHER:
        return ""
    return f"the residuals show a noise {found / stated:.3g} times the stated one ({found:.3g}, not {stated:.3g})"


def _sound(theta: FloatArray, cov: FloatArray) -> bool:
    return bool(np.all(np.isfinite(theta)) and np.all(np.isfinite(cov)))


def _physical(parts: Parts, numbers: Numbers, effect: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return θ, its covariance (of the noise, of the reference's offset, gain and clock), and that of the noise alone.

    What is estimated of the reference with a prior of its own counts as noise.
    """
    model, settings = parts.setup.model, parts.setup.settings
    p, delayed = model.n_parameters, parts.setup.delayed
    n = p + delayed
    # the rows after η are T and the offset: T is a parameter where the model has a dead time
    jacobian = np.eye(n)
    jacobian[:p, :p] = model.internal_jacobian(numbers.h[:p])
    theta = np.append(model.from_internal(numbers.h[:p]), numbers.h[p : p + delayed])
    statistical = jacobian @ numbers.cov[:n, :n] @ jacobian.T
    cov = jacobian @ (numbers.cov + effect @ effect.T)[:n, :n] @ jacobian.T
    cov[0, 0] += (theta[0] * settings.u_reference_gain) ** 2
    if delayed:
        # T is dead time and clock together: nothing in the data tells them apart
        cov[p, p] += settings.u_clock_s**2
    return theta, (cov + cov.T) / 2, (statistical + statistical.T) / 2


def effects(parts: Parts) -> FloatArray:
    """Return what one u of an unknown that is not freed does to (η, T, offset): columns for clock and offset."""
    setup, a, core = parts.setup, parts.stage.done.last.a, parts.stage.core
    p, settings = setup.model.n_parameters, parts.setup.settings
    effect = np.zeros((p + 2, 2))
    inside = core < p + 2
    if settings.u_clock_s > 0 and not setup.delayed and not parts.unknowns.clock_freed:
        effect[core[inside], 0] = settings.u_clock_s * considered(a, core, p)[inside]
    if settings.u_reference > 0 and not parts.unknowns.offset_freed:
        effect[core[inside], 1] = settings.u_reference * considered(a, core, p + 1)[inside]
    return effect


def _nuisances(parts: Parts, numbers: Numbers) -> tuple[Nuisance, Nuisance]:
    p, settings, unknowns = parts.setup.model.n_parameters, parts.setup.settings, parts.unknowns
    found = []
    for index, prior_u, size, freed in (
        (p, settings.u_clock_s, unknowns.clock, unknowns.clock_freed),
        (p + 1, settings.u_reference, unknowns.offset, unknowns.offset_freed),
    ):
        value = float(numbers.h[index]) if freed else 0.0
        u = float(np.sqrt(numbers.cov[index, index])) if freed else prior_u
        found.append(Nuisance(prior_u, size, freed, value, u))
    return found[0], found[1]


def _reason(parts: Parts) -> str:
    words = [parts.reason]
    if parts.method is not Method.KALMAN:
        why = "as set" if parts.setup.settings.between else "the smallest residuals of those tried"
        words.append(f"between samples {parts.stage.between} ({why})")
    if parts.setup.settings.u_clock_s > 0 and not parts.setup.delayed:
        word = "estimated" if parts.unknowns.clock_freed else "not estimated, it widens the covariance"
        words.append(f"clock {word}: alone it would multiply u of the dynamics by {parts.unknowns.clock:.2g}")
    return "; ".join(words)


def _noise(parts: Parts) -> str:
    if parts.stage.problem.noise is not None:
        return f"of the sensor, {parts.stage.problem.noise.label}"
    at_input = {Method.INNOVATIONS: ", and white at the sensor's input", Method.KALMAN: ", and white of the reference"}
    return f"of the sensor, white{at_input.get(parts.method, '')}"


def refusal(outer: ResponseModel, setup: Setup, method: Method, why: Judgement) -> RecordFit:
    """Return an answer without numbers."""
    nan = float("nan")
    nothing = Nuisance(prior_u=0.0, inflation=nan, freed=False, value=0.0, u=0.0)
    segments = setup.taken.segments
    return RecordFit(
        verdict=why.verdict,
        parameters=None,
        cov_statistical=None,
        model=outer,
        unobservable=why.unobservable,
        noise_std=nan,
        reduced_chi2=nan,
        whiteness_p=nan,
        n_samples=0,
        n_left_out=setup.taken.n_left_out + setup.taken.n,
        window_from_ns=min((int(each.t_ns[0]) for each in segments), default=0),
        window_to_ns=max((int(each.t_ns[-1]) for each in segments), default=0),
        method=method,
        reason="",
        noise="",
        between=setup.settings.between or InterSample.LINEAR,
        clock=nothing,
        offset=nothing,
        initial_states=np.empty((0, max(1, setup.model.n_states))),
        series=(),
        log_likelihood=nan,
        aicc=float("inf"),
        n_coordinates=0,
        detail=why.detail,
    )
