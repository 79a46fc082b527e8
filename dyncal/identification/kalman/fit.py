"""Fit of a sensor by the full Kalman likelihood (docs/metrology.md).

Reference and sensor are two noisy measurements of one random measurand, at instants of their own. All that the
measurand did between the samples, and that the reference's noise hides, is integrated out exactly by a Kalman filter;
so the uncertainty of θ holds where the innovations form, which takes the reference for the truth, claims too little.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S
from dyncal.identification.kalman.joint import REFERENCE, SENSOR, Layout
from dyncal.identification.kalman.measurand import Process
from dyncal.identification.kalman.noise_start import noise_start
from dyncal.identification.kalman.problem import Evaluation, Likelihood, Point
from dyncal.identification.kalman.result import KalmanFit
from dyncal.identification.kalman.segments import Segment
from dyncal.identification.kalman.settings import KalmanSettings
from dyncal.identification.records import AlignedRecord
from dyncal.identification.report import ljung_box, unknown
from dyncal.identification.screen import trouble_with, trouble_with_gain
from dyncal.models import SensorModel

_ROUGH: Final = Process.ORNSTEIN_UHLENBECK
_SMOOTH: Final = Process.MATERN_32
_SMOOTHER: Final = (Process.MATERN_52, Process.BUTTERWORTH_2, Process.BUTTERWORTH_4)
_CLEARLY: Final = 20.0
"""By how much Akaike's criterion must be lower for straight lines between samples, which no plant goes in."""
_WHITE: Final = 0.01
"""Least p-value of whiteness of both channels for them; lines with ends between the samples have less."""
_U_LOG_RATE: Final = 3.0
_LEAST_CHI2: Final = 0.7
_NOISE_ROUNDS: Final = 4
_LARGEST_ORDER: Final = 6
_COLOURED: Final = 1e-6  # p-value of whiteness
_UNRELATED: Final = 0.5  # share of the indications' variance that is left


@dataclass(frozen=True, slots=True)
class _Setting:
    """What stays the same while processes are compared."""

    model: SensorModel
    segments: tuple[Segment, ...]
    settings: KalmanSettings
    scale_s: float


def fit_kalman(
    segments: Sequence[AlignedRecord],
    model: SensorModel,
    start_eta: FloatArray,
    *,
    settings: KalmanSettings | None = None,
) -> KalmanFit:
    """Maximise the likelihood of both channels, from `start_eta` on.

    Parameters
    ----------
    segments : sequence of AlignedRecord
        Runs of data, each with an initial state of its own. NaN in the indication or the reference says that it was not
        measured at that instant: the two need no common instants. Intervals may be any; every one is exact.
    model : SensorModel
        At most six states.
    start_eta : float64, shape (p,)
        The model's internal coordinates, roughly right (a lag or a resonance within a factor of about 3).
    settings : KalmanSettings, optional
        With ``process=None`` the process is chosen by Akaike's criterion: the Ornstein-Uhlenbeck process, and where
        Matérn-3/2 is better than it, the best of the smoother ones; straight lines between samples where they are
        clearly better than all of these. Steps are not chosen: they look like a late clock.

    Returns
    -------
    KalmanFit
        With a verdict; a fit that went wrong is a value.

    Raises
    ------
    InvalidData
        If a value is infinite, `start_eta` does not fit the model, or there are too few measurements to speak of.
    """
    settings = settings or KalmanSettings()
    eta = np.asarray(start_eta, dtype=np.float64)
    if eta.shape != (model.n_parameters,) or not bool(np.isfinite(eta).all()):
        raise InvalidData(f"the start must be {model.n_parameters} finite coordinates, not {start_eta!r}")
    if model.n_states > _LARGEST_ORDER:
        raise InvalidData(f"a sensor with {model.n_states} states; at most {_LARGEST_ORDER} can be filtered")
    data = tuple(Segment.of(record) for record in segments)
    trouble = _trouble(data, model, levels=settings.levels)
    if trouble:
        return _refused(model, data, settings, trouble)
    scale_s = float(np.median([segment.interval_s for segment in data]))
    setting = _Setting(model, data, settings, scale_s)
    if settings.process is not None:
        return _fit(setting, eta, settings.process)
    return _chosen(setting, eta)


def _chosen(setting: _Setting, eta: FloatArray) -> KalmanFit:
    rough = _fit(setting, eta, _ROUGH)
    smooth = _fit(setting, _start(rough, eta), _SMOOTH)
    best, lines = _better(rough, smooth), [Process.LINES]
    if smooth.aic < rough.aic or not rough.converged:
        lines.append(Process.SMOOTH_LINES)
        for process in _SMOOTHER:
            best = _better(best, _fit(setting, _start(best, eta), process))
    if not setting.model.n_states:  # to which lines are the process itself
        return best
    drawn = [_fit(setting, _start(best, eta), process) for process in lines]
    white = [fit for fit in drawn if min(fit.whiteness_p) >= _WHITE]
    return _better(best, functools.reduce(_better, white), _CLEARLY) if white else best


def _start(known: KalmanFit, eta: FloatArray) -> FloatArray:
    return known.eta if known.converged else eta


def _better(best: KalmanFit, other: KalmanFit, margin: float = 0.0) -> KalmanFit:
    return other if other.converged and (other.aic < best.aic - margin or not best.converged) else best


def _trouble(segments: Sequence[Segment], model: SensorModel, *, levels: bool) -> str:
    """Say what is wrong with the data before anything is fitted, or nothing."""
    if not segments:
        raise InvalidData("no data to fit")
    needed = 4 * (model.n_parameters + model.n_states)
    for channel, name in ((SENSOR, "indication"), (REFERENCE, "reference")):
        values = np.concatenate([segment.z[:, channel] for segment in segments])
        values = values[~np.isnan(values)]
        if values.size < needed:
            raise InvalidData(f"{values.size} values of the {name}; a {model.kind} sensor takes {needed} at least")
        trouble = trouble_with(name, values)
        if trouble and not (levels and "saturated" in trouble):
            return trouble
    return ""


def _fit(setting: _Setting, eta: FloatArray, process: Process) -> KalmanFit:
    model, segments, settings = setting.model, setting.segments, setting.settings
    layout = Layout(model.n_parameters, model.n_states, process)
    noise = noise_start(list(segments), process, settings.u_reference_noise, setting.scale_s)
    h = np.concatenate([eta, noise.coordinates(process), [0.0]])
    likelihood = _likelihood(setting, layout, h)
    start = Point(h, tuple(np.zeros(layout.n_initial) for _ in segments))
    found = likelihood.maximise(_with_noise(likelihood, start), settings.max_passes)
    if found is None:
        return _refused(model, segments, settings, "the model cannot be evaluated at its start", Verdict.DIVERGED)
    return _result(setting, likelihood, *found)


def _likelihood(setting: _Setting, layout: Layout, h: FloatArray) -> Likelihood:
    settings = setting.settings
    mean, information = h.copy(), np.zeros(h.size)
    fixed = set()
    if settings.u_reference_noise is not None:
        fixed.add(layout.reference_noise)
    if layout.process.stationary:
        information[layout.rate] = 1 / _U_LOG_RATE**2
    for position, u in ((layout.clock, settings.u_clock_s), (layout.offset, settings.u_reference)):
        if u > 0:
            information[position] = 1 / u**2
        else:
            fixed.add(position)
    free = np.array([i for i in range(h.size) if i not in fixed], dtype=np.int64)
    return Likelihood(
        setting.model, layout, setting.segments, setting.scale_s, free, mean, information, _floor(setting, layout)
    )


def _floor(setting: _Setting, layout: Layout) -> FloatArray:
    """Return where noise can no longer be told from none: 120 dB below what its channel shows."""
    floor = np.full(layout.n_coordinates + 1, -np.inf)
    for channel, position in ((SENSOR, layout.sensor_noise), (REFERENCE, layout.reference_noise)):
        values = np.concatenate([segment.z[:, channel] for segment in setting.segments])
        floor[position] = np.log(1e-12 * np.nanvar(values))
    return floor


def _with_noise(likelihood: Likelihood, start: Point) -> Point:
    """Return the start with a sensor noise that its own innovations bear out."""
    at = start
    for _ in range(_NOISE_ROUNDS):
        there = likelihood.evaluate(at)
        there = likelihood.settled(there) if there is not None else None
        if there is None:
            return at
        ratio = float(np.nanmean(np.concatenate([done.eps[:, SENSOR] ** 2 for done in there.passes])))
        h = there.at.h.copy()
        h[likelihood.layout.sensor_noise] += np.log(np.clip(ratio, 0.01, 100.0))
        at = Point(h, there.at.initial)
        if 0.5 < ratio < 2:
            break
    return at


def _result(setting: _Setting, likelihood: Likelihood, best: Evaluation, converged: bool) -> KalmanFit:
    model, settings, layout = setting.model, setting.settings, likelihood.layout
    p, h = layout.p, best.at.h
    cov = _inverse(best.information)
    eta, cov_eta = h[:p].copy(), cov[:p, :p]
    jacobian = model.internal_jacobian(eta)
    theta, cov_theta = model.from_internal(eta), jacobian @ cov_eta @ jacobian.T
    cov_theta[0, 0] += (theta[0] * settings.u_reference_gain) ** 2
    cov_theta = (cov_theta + cov_theta.T) / 2
    sound = bool(np.isfinite(theta).all() and np.isfinite(cov_theta).all() and np.all(np.diag(cov_theta) > 0))
    unobservable = unknown(model, theta, cov_theta, settings.max_relative_u) if sound else ()
    names = (*layout.names, "reference_offset")
    free = likelihood.free.tolist()
    u = np.zeros(h.size)
    u[likelihood.free] = np.sqrt(np.maximum(np.diag(cov), 0.0))
    n_measured = sum(segment.n_measured for segment in setting.segments)
    likelihood_cost = sum(done.cost for done in best.passes) + n_measured * np.log(2 * np.pi)
    n_unknown = len(free) + layout.n_initial * len(setting.segments)
    innovations = tuple(done.eps for done in best.passes)
    chi2, white = _residuals(innovations)
    verdict, detail = _verdict(model, theta, unobservable, converged=converged, sound=sound)
    against = _unrelated(setting, eta, float(np.exp(h[layout.sensor_noise])), white[1])
    if verdict is Verdict.ACCEPTED and against:
        verdict, detail = Verdict.NOT_EXCITED, against
    return KalmanFit(
        verdict=verdict,
        detail=detail or _doubt(chi2),
        parameters=Parameters(model.kind, model.names, theta, cov_theta) if sound else None,
        eta=eta,
        cov_eta=cov_eta,
        unobservable=unobservable,
        converged=converged,
        process=layout.process,
        sensor_noise=float(np.exp(h[layout.sensor_noise] / 2)),
        reference_noise=float(np.exp(h[layout.reference_noise] / 2)),
        intensity=float(np.exp(h[layout.intensity])) * setting.scale_s ** (1 - 2 * layout.process.order),
        rate_per_s=float(np.exp(h[layout.rate])) if layout.process.stationary else 0.0,
        clock_offset_s=float(h[layout.clock]),
        u_clock_offset_s=float(u[layout.clock]),
        reference_offset=float(h[layout.offset]),
        u_reference_offset=float(u[layout.offset]),
        coordinates=h[:-1].copy(),
        scale_s=setting.scale_s,
        nuisance_names=tuple(names[i - p] for i in free if i >= p),
        nuisance=h[[i for i in free if i >= p]],
        cov=cov,
        log_likelihood=-likelihood_cost / 2,
        aic=likelihood_cost + 2 * n_unknown,
        innovations=innovations,
        reduced_chi2=chi2,
        whiteness_p=white,
        n_samples=_n_samples(setting.segments),
        window=_window(setting.segments),
        n_passes=likelihood.n_passes,
    )


def _verdict(
    model: SensorModel, theta: FloatArray, unobservable: tuple[str, ...], *, converged: bool, sound: bool
) -> tuple[Verdict, str]:
    if not sound:
        return Verdict.DIVERGED, "the estimate or its covariance is not finite"
    against = trouble_with_gain(float(theta[0]))
    if against:
        return Verdict.INCONSISTENT, against
    if unobservable:
        return Verdict.NOT_IDENTIFIABLE, f"the data do not determine {', '.join(unobservable)}"
    if not converged:
        return Verdict.DIVERGED, f"no maximum of the likelihood was found for a {model.label} sensor"
    return Verdict.ACCEPTED, ""


def _doubt(chi2: tuple[float, float]) -> str:
    """Say of an accepted fit what speaks against its model of the measurand, or nothing."""
    if all(_LEAST_CHI2 <= each <= 1 / _LEAST_CHI2 for each in chi2):
        return ""
    return (
        f"the mean square innovations of reference and sensor are {chi2[0]:.2f} and {chi2[1]:.2f} times what they"
        " should be: the measurand is none of the processes, and the uncertainty is to be doubted"
    )


def _unrelated(setting: _Setting, eta: FloatArray, noise_variance: float, whiteness_p: float) -> str:
    """Say why coloured residuals are more than a misfit: little is explained, or by a lag that no record shows."""
    if not whiteness_p < _COLOURED:
        return ""
    y = np.concatenate([segment.z[:, SENSOR] for segment in setting.segments])
    share = noise_variance / max(float(np.nanvar(y)), 1e-300)
    if share > _UNRELATED:
        return f"the reference does not explain {100 * min(share, 1):.0f} % of what the sensor shows"
    slowest = 1 / max(
        float(np.min(np.abs(np.linalg.eigvals(setting.model.state_space(eta).a)), initial=np.inf)), 1e-300
    )
    longest = max(float(segment.t_ns[-1] - segment.t_ns[0]) / NS_PER_S for segment in setting.segments)
    if slowest > longest:
        return f"a record of {longest:.3g} s is short against a time constant of about {slowest:.3g} s"
    return ""


def _residuals(innovations: Sequence[FloatArray]) -> tuple[tuple[float, float], tuple[float, float]]:
    chi2, white = [], []
    for channel in (REFERENCE, SENSOR):
        parts = [eps[:, channel] for eps in innovations]
        parts = [part[~np.isnan(part)] for part in parts]
        chi2.append(float(np.mean(np.concatenate(parts) ** 2)))
        white.append(ljung_box(max(parts, key=len)))
    return (chi2[0], chi2[1]), (white[0], white[1])


def _inverse(information: FloatArray) -> FloatArray:
    """Invert, scaled to a unit diagonal so that units do not matter; NaN where nothing is known."""
    diagonal = np.diag(information)
    if not bool(np.all(diagonal > 0)):
        return np.full_like(information, np.nan)
    scale = 1 / np.sqrt(diagonal)
    try:
        inverse: FloatArray = np.linalg.inv(information * np.outer(scale, scale)) * np.outer(scale, scale)
    except np.linalg.LinAlgError:
        return np.full_like(information, np.nan)
    return (inverse + inverse.T) / 2


def _n_samples(segments: Sequence[Segment]) -> int:
    return sum(int(np.count_nonzero(~np.isnan(segment.z[:, SENSOR]))) for segment in segments)


def _window(segments: Sequence[Segment]) -> tuple[int, int]:
    return int(min(segment.t_ns[0] for segment in segments)), int(max(segment.t_ns[-1] for segment in segments))


def _refused(
    model: SensorModel,
    segments: Sequence[Segment],
    settings: KalmanSettings,
    detail: str,
    verdict: Verdict = Verdict.BAD_DATA,
) -> KalmanFit:
    nan, p = float("nan"), model.n_parameters
    return KalmanFit(
        verdict=verdict,
        detail=detail,
        parameters=None,
        eta=np.full(p, nan),
        cov_eta=np.full((p, p), nan),
        unobservable=(),
        converged=False,
        process=settings.process or _ROUGH,
        sensor_noise=nan,
        reference_noise=nan,
        intensity=nan,
        rate_per_s=nan,
        clock_offset_s=nan,
        u_clock_offset_s=nan,
        reference_offset=nan,
        u_reference_offset=nan,
        coordinates=np.full(0, nan),
        scale_s=nan,
        nuisance_names=(),
        nuisance=np.zeros(0),
        cov=np.full((p, p), nan),
        log_likelihood=nan,
        aic=float("inf"),
        innovations=(),
        reduced_chi2=(nan, nan),
        whiteness_p=(nan, nan),
        n_passes=0,
        n_samples=_n_samples(segments),
        window=_window(segments),
    )
