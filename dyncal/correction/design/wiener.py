"""The default correction: an FIR Wiener filter, exact at DC, of declared latency; recursive where that is much shorter.

For a measurand u of spectrum S, a sensor H and white noise of variance R the taps solve the normal equations

    T a = r_uy,  T[k, l] = (1/π)∫S|H|² cos((k-l)ω dt) dω + R δ_kl,  r_uy[k] = (1/π)∫Re{S H* e^(iω dt (k-D))} dω,

and g = a + λ b with T b = 1 and λ = (1/H(0) - Σa)/Σb makes them exact at DC: the minimum of the mean square error
among filters of that length and latency with g·1 = 1/H(0) (docs/metrology.md, "Correction"). H is any model with a
gain at DC: dead time, zeros in the right half-plane and time constants below dt need nothing special. With poles 1/A(z)
fixed beforehand the same equations hold for the taps before them, with S|H|² + R seen through 1/|A|².
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dyncal.correction.design import tail_poles
from dyncal.correction.design.asked import check_asked, check_limits
from dyncal.correction.design.judge import Judge, Prediction, ResponseBand
from dyncal.correction.design.normal_equations import Problem, all_pole
from dyncal.correction.design.notes import of_lost, of_uncertain, uncertain_names
from dyncal.correction.design.sensor import Sensor, sensor_of
from dyncal.correction.design.spectrum import MeasurandSpectrum, from_bandwidth
from dyncal.correction.folding import ComplexArray, Folding
from dyncal.domain.choices import choice
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs

MAX_DELAY: Final = 4096
"""Longest latency of a design [samples]."""

_POINTS: Final = (1 << 12, 1 << 16)
_MOST_FOLDS: Final = 32
_SECOND_ORDER_FROM: Final = 1.005
_SECOND_ORDER_SAID: Final = 1.02
_FEW_TAPS: Final = 96  # up to here an FIR filter is fast enough as it is
_SHORTER: Final = 0.75  # a recursive form is taken where it does at most this share of the work
_SECTION_WORK: Final = 5


class Form(enum.StrEnum):
    """What kind of filter a design may be."""

    AUTO = "auto"
    FIR = "fir"
    RECURSIVE = "recursive"


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """A filter and what is expected of it.

    Attributes
    ----------
    filter : CorrectionFilter
    noise_gain : float
        √Σg², g the response to an impulse.
    rms_error : float
        Predicted rms error, noise and lost signal, in the sensor's unit; without the parameters' uncertainty.
    rms_error_in_band, rms_uncorrected_in_band : float
        The same of the content up to `filter.band_hz`, with the correction and without.
    prediction : Prediction
        Contribution by contribution.
    notes : tuple of str
        What a user of the filter should know; empty where there is nothing.
    """

    filter: CorrectionFilter
    noise_gain: float
    rms_error: float
    rms_error_in_band: float
    rms_uncorrected_in_band: float
    prediction: Prediction
    notes: tuple[str, ...]
    problem: Problem = field(repr=False)

    @property
    def optimum_ratio(self) -> float:
        """`rms_error` over that of the best filter with the same latency and any length; a long system is solved."""
        return self.rms_error / self.problem.best(self.filter.delay)


def design(
    parameters: Parameters,
    *,
    dt_ns: int,
    noise_std: float,
    spectrum: MeasurandSpectrum,
    max_latency_s: float | None = None,
    band_hz: float | None = None,
    max_taps: int = 512,
    max_noise_gain: float = 100.0,
    u_response: ResponseBand = 0.0,
    form: Form = Form.FIR,
) -> Design:
    """Design the correction of a sensor.

    Latency: the shortest with which the rms error is within 3 % of that of the longest allowed (`max_latency_s`, and
    the sensor's dead time and half of `max_taps`). Length: the fewest taps within 1 % of `max_taps`. Recursive: where
    `form` allows and it does at most three quarters of the work at no more error than the FIR filter.

    Parameters
    ----------
    parameters : Parameters
        The sensor's; the covariance goes into the sensitivities' use, not into the filter.
    dt_ns : int
        Sampling interval [ns].
    noise_std : float
        Standard deviation of the sensor's white noise, in its unit.
    spectrum : MeasurandSpectrum
        What the measurand is like; the predicted errors and u_model are for this spectrum.
    max_latency_s : float, optional
        Longest latency allowed [s].
    band_hz : float, optional
        Bandwidth wished [Hz]: the filter is then made for a measurand with as much variance and this bandwidth.
    max_taps : int
        Most taps, 2 to 4096.
    max_noise_gain : float
        Largest √Σg² times the sensor's gain, 1 or more; reached, the filter is made for more noise than there is.
    u_response : float or (f_hz, u)
        Relative standard uncertainty of the response in band beyond that of the parameters: goes into u_model.
    form : Form
        FIR by default; a recursive filter needs more samples to start.

    Raises
    ------
    InvalidData
        If a number is out of range, the parameters are no stable sensor with a gain at DC, the covariance is none, or
        the dead time is longer than `MAX_DELAY` samples.
    """
    check_asked(dt_ns, noise_std, spectrum, max_latency_s=max_latency_s)
    check_limits(max_taps, max_noise_gain)
    form = choice(Form, form, "form")
    wished = spectrum if band_hz is None else from_bandwidth(band_hz, spectrum.variance)
    sensor = sensor_of(parameters)
    dt_s = dt_ns / NS_PER_S
    longest = _longest(sensor, dt_s, max_latency_s, max_taps)
    folding = _folding(sensor, dt_s, min(wished.corner_rad_s, spectrum.corner_rad_s), wished)
    judge = Judge(sensor, folding, spectrum, noise_std)
    made = _Maker(sensor, folding, wished, judge, noise_std, max_taps, longest, max_noise_gain).make(form)
    digital = made.response(folding)
    prediction = judge.of(digital, made.delay, parameters.cov, u_response)
    problem = made.problem
    if wished is not spectrum:
        problem = Problem(sensor, folding, spectrum, noise_std, max_taps, longest, problem.poles)
    return _design(made, prediction, parameters, dt_ns, problem, spectrum)


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    fir: FloatArray
    delay: int
    problem: Problem

    @property
    def work(self) -> int:
        return int(self.fir.size) + _SECTION_WORK * int(self.problem.poles.shape[0])

    def response(self, folding: Folding) -> ComplexArray:
        digital = folding.response(self.fir)
        if self.problem.poles.size:
            digital = digital * all_pole(self.problem.poles, folding.omega[0] * folding.dt_s)
        return digital


@dataclass(frozen=True, slots=True, eq=False)
class _Maker:
    """Makes filters for one sensor and wish."""

    sensor: Sensor
    folding: Folding
    spectrum: MeasurandSpectrum
    judge: Judge
    noise_std: float
    max_taps: int
    longest: int
    max_noise_gain: float

    def make(self, form: Form) -> _Made:
        problem = self._problem(None)
        delay = problem.shortest_delay(self.longest)
        made = self._solved(problem, delay, problem.fewest_taps(delay))
        if form is Form.FIR or (form is Form.AUTO and made.work <= _FEW_TAPS):
            return made
        found = self._recursive(made, problem)
        if found is None or (form is Form.AUTO and found.work > _SHORTER * made.work):
            return made
        return found

    def _recursive(self, fir: _Made, problem: Problem) -> _Made | None:
        """Return the least work among recursive filters that are no worse than `fir`, or None."""
        rms_error = self.judge.rms_error(fir.response(self.folding), fir.delay)
        tail = problem.solve(fir.delay, self.max_taps)[max(fir.delay - self.prompt, 0) :]
        best: _Made | None = None
        for order in tail_poles.ORDERS:
            poles = tail_poles.poles_of(tail, order)
            if poles.size == 0:
                continue
            behind = self._problem(poles)
            behind.noise_variance = problem.noise_variance
            try:
                taps = behind.fewest_taps(fir.delay, near=1.0, best=rms_error)
            except np.linalg.LinAlgError:  # poles so close to the circle that the equations cannot be solved
                continue
            if taps == 0:
                continue
            tried = self._solved(behind, fir.delay, taps)
            no_worse = self.judge.rms_error(tried.response(self.folding), fir.delay) <= 1.002 * rms_error
            if no_worse and tried.work < (fir if best is None else best).work:
                best = tried
        return best

    @property
    def prompt(self) -> int:
        return max(int(self.sensor.dead_time_s / self.folding.dt_s), 0)

    def _problem(self, poles: FloatArray | None) -> Problem:
        return Problem(self.sensor, self.folding, self.spectrum, self.noise_std, self.max_taps, self.longest, poles)

    def _solved(self, problem: Problem, delay: int, taps: int) -> _Made:
        made = _Made(problem.solve(delay, taps), delay, problem)
        most = max(self.max_noise_gain, 1.0 + 1e-9) / abs(self.sensor.dc_gain)
        while _rms(made.response(self.folding)) > most:
            problem.noise_variance *= 4.0
            made = _Made(problem.solve(delay, taps), delay, problem)
        return made


def _design(
    made: _Made,
    prediction: Prediction,
    parameters: Parameters,
    dt_ns: int,
    problem: Problem,
    spectrum: MeasurandSpectrum,
) -> Design:
    rms_error = math.hypot(prediction.u_noise, prediction.u_lost)
    return Design(
        filter=CorrectionFilter(
            dt_ns=DurationNs(dt_ns),
            fir=made.fir,
            sos=tail_poles.sections(made.problem.poles),
            delay=made.delay,
            sensitivities=_widened(prediction, parameters.names),
            u_noise=prediction.u_noise,
            u_model=prediction.u_model,
            band_hz=prediction.band_hz,
        ),
        noise_gain=prediction.noise_gain,
        rms_error=rms_error,
        rms_error_in_band=prediction.rms_in_band,
        rms_uncorrected_in_band=prediction.rms_uncorrected_in_band,
        prediction=prediction,
        notes=(*_notes(parameters, prediction), *of_lost(rms_error, spectrum, dt_ns / NS_PER_S)),
        problem=problem,
    )


def _widened(prediction: Prediction, names: tuple[str, ...]) -> FloatArray:
    """Return the sensitivities with what terms of the second order add; the gain has none (`second_order`)."""
    ratio = prediction.second_order
    rows = prediction.sensitivities.copy()
    if ratio > _SECOND_ORDER_FROM:
        others = [r for r in range(rows.shape[0]) if names[r % len(names)] != "gain"]
        rows[others, :3] *= ratio  # the poles stay where they are
    return rows


def _notes(parameters: Parameters, prediction: Prediction) -> tuple[str, ...]:
    uncertain = uncertain_names(parameters)
    ratio = prediction.second_order
    if math.isnan(ratio):
        return (f"u of the parameters is beyond what can be propagated: {', '.join(uncertain) or 'all'}",)
    notes = []
    if ratio > _SECOND_ORDER_SAID:
        notes.append(f"sensitivities are {ratio:.3g} times those of the first order, for terms of the second")
    return (*notes, *of_uncertain(parameters))


def _longest(sensor: Sensor, dt_s: float, max_latency_s: float | None, max_taps: int) -> int:
    """Return the longest latency allowed [samples]."""
    dead = max(sensor.dead_time_s, 0.0) / dt_s
    if dead > MAX_DELAY:
        raise InvalidData(f"a dead time of {dead:.0f} samples; at most {MAX_DELAY} can be corrected")
    longest = min(math.ceil(dead) + max_taps // 2, MAX_DELAY)
    return longest if max_latency_s is None else min(int(max_latency_s / dt_s * (1 + 1e-9)), longest)


def _folding(sensor: Sensor, dt_s: float, corner: float, spectrum: MeasurandSpectrum) -> Folding:
    """Choose frequencies close enough for the narrowest feature, and far enough for what is folded back."""
    rates = np.abs(np.concatenate([sensor.poles.real, sensor.zeros.real]))
    narrowest = min([corner, *rates[rates > 0].tolist()])
    dead = int(abs(sensor.dead_time_s) / dt_s)
    least = max(10 * math.pi / (dt_s * narrowest), 4.0 * dead, 1.0)
    points = min(max(1 << math.ceil(math.log2(min(least, 1e9))), _POINTS[0]), _POINTS[1])
    folds = math.ceil(min(4 * spectrum.corner_rad_s * dt_s / math.pi, 1e6))
    return Folding(dt_s, points, min(max(folds, 4), max(_MOST_FOLDS * _POINTS[0] // points, 4)))


def _rms(digital: ComplexArray) -> float:
    return math.sqrt(float(np.mean(np.abs(digital) ** 2)))
