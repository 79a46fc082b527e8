"""The default correction: an FIR Wiener filter, exact at DC, of declared latency.

For a measurand u of spectrum S, a sensor H and white noise of variance R the taps solve the normal equations

    T a = r_uy,  T[k, l] = (1/π)∫S|H|² cos((k-l)ω dt) dω + R δ_kl,  r_uy[k] = (1/π)∫Re{S H* e^(iω dt (k-D))} dω,

and g = a + λ b with T b = 1 and λ = (1/H(0) - Σa)/Σb makes them exact at DC: the minimum of the mean square error
among filters of that length and latency with g·1 = 1/H(0) (docs/metrology.md, "Correction").
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dyncal.correction import safety
from dyncal.correction.folding import ComplexArray, Folding
from dyncal.correction.sensitivities import refine
from dyncal.correction.spectrum import MeasurandSpectrum, from_bandwidth
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs, Int64Array
from dyncal.models import SensorModel, model_of

_NEAR_OPTIMUM: Final = 1.03  # rms error that a shorter latency may cost against the longest
_NEAR_LONGEST: Final = 1.01  # rms error that fewer taps may cost against the most
_BAND_ERROR: Final = 0.1  # |G H e^(iωD) - 1| up to which the correction is called valid
_LEAST_NOISE: Final = 1e-10  # of the indication's variance: keeps the normal equations solvable without noise
_TRIED: Final = 17  # latencies at a time: two rounds find one of 256
_HUGE: Final = 1e300
_OPTIMUM_TAPS: Final = 2048
_POINTS: Final = (1 << 12, 1 << 16)
_MOST_FOLDS: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """A filter and what is expected of it.

    Attributes
    ----------
    filter : CorrectionFilter
    noise_gain : float
        √Σg².
    rms_error : float
        Predicted rms error, noise and lost signal, in the sensor's unit; without the parameters' uncertainty.
    rms_error_in_band, rms_uncorrected_in_band : float
        The same of the content up to `filter.band_hz`, with the correction and without.
    """

    filter: CorrectionFilter
    noise_gain: float
    rms_error: float
    rms_error_in_band: float
    rms_uncorrected_in_band: float
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
) -> Design:
    """Design the correction of a sensor.

    Latency: the shortest with which the rms error is within 3 % of that of the longest allowed (`max_latency_s`, and
    half of `max_taps`). Length: the fewest taps within 1 % of `max_taps`.

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
        Most taps.
    max_noise_gain : float
        Largest √Σg² times the sensor's gain; reached, the filter is made for more noise than there is.

    Raises
    ------
    InvalidData
        If a number is out of range, or the sensor has no gain at DC.
    """
    if not (dt_ns > 0 and 0 <= noise_std < math.inf and max_taps >= 2 and max_noise_gain > 0):
        raise InvalidData("a design needs dt_ns > 0, a finite noise_std, at least 2 taps, and a positive noise gain")
    if max_latency_s is not None and not max_latency_s >= 0:
        raise InvalidData(f"max_latency_s cannot be {max_latency_s}")
    wished = spectrum if band_hz is None else from_bandwidth(band_hz, spectrum.variance)
    dt_s = dt_ns / NS_PER_S
    model = model_of(parameters.model)
    _dc_gain(model, parameters.values)
    sensitivities = model.sensitivity_biquads(parameters.values, dt_s)
    folding = _folding(sensitivities, dt_s, min(wished.corner_rad_s, spectrum.corner_rad_s), wished)
    problem = Problem(model, parameters.values, folding, wished, noise_std, max_taps)
    longest = max_taps // 2 if max_latency_s is None else min(int(max_latency_s / dt_s), max_taps // 2)
    delay = problem.shortest_delay(longest)
    taps = problem.fewest_taps(delay)
    fir = problem.solve(delay, taps)
    while float(np.linalg.norm(fir)) * abs(problem.dc_gain) > max(max_noise_gain, 1.0 + 1e-9):
        problem.noise_variance *= 4.0
        fir = problem.solve(delay, taps)
    judge = Judge(model, parameters.values, folding, spectrum, noise_std)
    sensitivities = judge.refined(sensitivities, fir)
    if wished is not spectrum:
        problem = Problem(model, parameters.values, folding, spectrum, noise_std, max_taps)
    return judge.of(fir, delay, sensitivities, dt_ns, problem)


def _folding(sensitivities: FloatArray, dt_s: float, corner: float, spectrum: MeasurandSpectrum) -> Folding:
    """Choose frequencies close enough for the narrowest feature, and far enough for what is folded back."""
    radius = safety.pole_radius(sensitivities[:, 3:5])
    narrowest = min(corner, -math.log(radius) / dt_s) if 0 < radius < 1 else corner
    points = 1 << math.ceil(math.log2(max(10 * math.pi / (dt_s * narrowest), 1.0)))
    points = min(max(points, _POINTS[0]), _POINTS[1])
    folds = math.ceil(4 * spectrum.corner_rad_s * dt_s / math.pi)
    return Folding(dt_s, points, min(max(folds, 4), max(_MOST_FOLDS * _POINTS[0] // points, 4)))


class Problem:
    """The normal equations for one sensor, spectrum and noise; `noise_variance` may be raised."""

    def __init__(
        self,
        model: SensorModel,
        theta: FloatArray,
        folding: Folding,
        spectrum: MeasurandSpectrum,
        noise_std: float,
        max_taps: int,
    ) -> None:
        self.dc_gain = _dc_gain(model, theta)
        self._max_taps = max_taps
        length = min(max(_OPTIMUM_TAPS, max_taps), folding.points)
        omega = folding.omega
        response = _response(model, theta, omega)
        density = spectrum.at(omega)
        seen = density * np.abs(response) ** 2
        self._auto = folding.covariance(folding.fold(seen).real, length)
        self._back = max_taps
        self._cross = folding.cross_covariance(folding.fold(density * np.conj(response)), self._back, length)
        self._signal = spectrum.variance
        self._least = 1e-14 * self._signal
        self.noise_variance = max(noise_std**2, _LEAST_NOISE * float(self._auto[0]))

    def solve(self, delay: int, taps: int) -> FloatArray:
        """Return the constrained taps."""
        a, b = self._solve(delay, taps).T
        return self._exact(np.asarray(a + (1 / self.dc_gain - a.sum()) / b.sum() * b))

    def best(self, delay: int) -> float:
        """Return the rms error of the unconstrained solution with many taps."""
        from scipy.linalg import solve_toeplitz  # noqa: PLC0415 - only where the optimum is asked for

        right = self._right(delay, self._auto.size)
        return math.sqrt(self._floored(float(right @ solve_toeplitz(self._column(self._auto.size), right))))

    def shortest_delay(self, longest: int) -> int:
        """Return the shortest latency whose error is near that of the longest allowed (the error falls with it)."""
        low, high, bound = 0, longest, math.inf
        while low < high:
            tried = np.unique(np.linspace(low, high, _TRIED).astype(np.int64))
            squares = self._errors(tried)[:, -1]
            if math.isinf(bound):
                bound = _NEAR_OPTIMUM**2 * float(squares[-1])
            first = int(np.argmax(squares <= bound))
            high = int(tried[first])
            low = int(tried[first - 1]) + 1 if first else high
        return high

    def fewest_taps(self, delay: int) -> int:
        """Return the smallest number of taps whose error is near that of the most."""
        squares = self._errors(np.array([delay]))[0]
        enough = np.flatnonzero(squares <= _NEAR_LONGEST**2 * squares[-1])
        return max(int(enough[0]) + 1, min(delay + 1, self._max_taps))

    def _errors(self, delays: Int64Array) -> FloatArray:
        """Return the mean square error for each of the delays and 1 … max_taps taps, shape (n, max_taps).

        With T = L Lᵀ, w = L⁻¹ r_uy and v = L⁻¹ 1, the first k entries of w and v belong to k taps: rᵀa = Σw², 1ᵀa = Σwv
        and 1ᵀb = Σv². Bordering T with the right sides gives w and v as further rows of one Cholesky factor.
        """
        n, k = self._max_taps, delays.size
        column = self._column(n)
        bordered = np.zeros((n + k + 1, n + k + 1))
        bordered[:n, :n] = np.lib.stride_tricks.sliding_window_view(np.append(column[:0:-1], column), n)[::-1]
        for row, delay in enumerate(delays.tolist()):
            bordered[n + row, :n] = self._right(delay, n)
        bordered[-1, :n] = 1.0
        border = np.arange(n, n + k + 1)
        bordered[border, border] = _HUGE
        factor = np.linalg.cholesky(bordered)
        w, v = factor[n:-1, :n], factor[-1, :n]
        missing = 1 / self.dc_gain - np.cumsum(w * v, axis=1)
        squares: FloatArray = self._signal - np.cumsum(w**2, axis=1) + missing**2 / np.cumsum(v**2)
        return np.maximum(squares, self._least)

    def _right(self, delay: int, taps: int) -> FloatArray:
        start = self._back - delay
        return self._cross[start : start + taps]

    def _column(self, taps: int) -> FloatArray:
        column = self._auto[:taps].copy()
        column[0] += self.noise_variance
        return column

    def _solve(self, delay: int, taps: int) -> FloatArray:
        column = self._column(taps)
        matrix = np.lib.stride_tricks.sliding_window_view(np.append(column[:0:-1], column), taps)[::-1]
        return np.asarray(
            np.linalg.solve(matrix, np.column_stack([self._right(delay, taps), np.ones(taps)])), np.float64
        )

    def _exact(self, taps: FloatArray) -> FloatArray:
        # Rounding in the solution is put where it shows least: on the largest tap.
        taps[int(np.argmax(np.abs(taps)))] += 1 / self.dc_gain - math.fsum(taps)
        return taps

    def _floored(self, explained: float) -> float:
        return max(self._signal - explained, self._least)


class Judge:
    """Predicts the errors of any taps, by the integrals, without the cancellation that normal equations suffer."""

    def __init__(
        self, model: SensorModel, theta: FloatArray, folding: Folding, spectrum: MeasurandSpectrum, noise_std: float
    ) -> None:
        self._folding = folding
        self._model, self._theta = model, theta
        self._omega = folding.omega
        self._response = _response(model, theta, self._omega)
        self._weight = spectrum.at(self._omega) / (folding.points * folding.dt_s)
        self._beyond = max(spectrum.variance - float(self._weight.sum()), 0.0)
        self._noise_std = noise_std

    def of(self, fir: FloatArray, delay: int, sensitivities: FloatArray, dt_ns: int, problem: Problem) -> Design:
        """Return the design that these taps are."""
        digital = self._folding.response(fir)
        restored = self._folding.unfold(digital) * self._response
        restored *= np.exp(1j * self._omega * delay * self._folding.dt_s)
        lost = np.abs(restored - 1) ** 2
        gain = float(np.linalg.norm(fir))
        u_noise = self._noise_std * gain
        u_model = math.sqrt(float((self._weight * lost).sum()) + self._beyond)
        band = self._band(restored)
        rms_error = math.hypot(u_noise, u_model)
        corrected, uncorrected = self._in_band(band, lost, digital)
        return Design(
            filter=CorrectionFilter(
                dt_ns=DurationNs(dt_ns),
                fir=fir,
                sos=np.empty((0, 6)),
                delay=delay,
                sensitivities=sensitivities,
                u_noise=u_noise,
                u_model=u_model,
                band_hz=band,
            ),
            noise_gain=gain,
            rms_error=rms_error,
            rms_error_in_band=corrected,
            rms_uncorrected_in_band=uncorrected,
            problem=problem,
        )

    def refined(self, sensitivities: FloatArray, fir: FloatArray) -> FloatArray:
        """Return sensitivity biquads that hold for what these taps make of the signal."""
        omega, digital = self._omega[0], self._folding.response(fir)
        f_hz = omega / (2 * np.pi)
        response = self._response[0]
        exact = -self._model.jacobian(self._theta, f_hz) / response[:, None]
        power = np.abs(digital) ** 2 * (self._weight[0] * np.abs(response) ** 2 + self._noise_std**2 / omega.size)
        return refine(sensitivities, exact, omega * self._folding.dt_s, power)

    def _band(self, restored: ComplexArray) -> float:
        """Return the frequency [Hz] up to which the response is right to `_BAND_ERROR`, Nyquist at most."""
        wrong = np.flatnonzero(np.abs(restored[0] - 1) > _BAND_ERROR)
        last = int(wrong[0]) if wrong.size else self._folding.points
        return max(last, 0.5) / (2 * self._folding.points * self._folding.dt_s)

    def _in_band(self, band_hz: float, lost: FloatArray, digital: ComplexArray) -> tuple[float, float]:
        inside = self._omega[0] <= 2 * math.pi * band_hz
        weight, each = self._weight[0][inside], self._noise_std**2 / self._folding.points
        raw = np.abs(self._response[0][inside] - 1) ** 2
        corrected = float((weight * lost[0][inside]).sum()) + each * float((np.abs(digital[inside]) ** 2).sum())
        uncorrected = float((weight * raw).sum()) + each * int(np.count_nonzero(inside))
        return math.sqrt(corrected), math.sqrt(uncorrected)


def _response(model: SensorModel, theta: FloatArray, omega: FloatArray) -> ComplexArray:
    response: ComplexArray = model.frequency_response(theta, omega.ravel() / (2 * np.pi)).reshape(omega.shape)
    return response


def _dc_gain(model: SensorModel, theta: FloatArray) -> float:
    gain = float(model.frequency_response(theta, np.zeros(1))[0].real)
    if not (math.isfinite(gain) and gain != 0):
        raise InvalidData(f"a sensor with gain {gain} at DC cannot be corrected")
    return gain
