"""Monte Carlo of the correction of a record: the judge of the streaming uncertainty.

A draw takes parameters θ from their covariance, noise, one error ε of the clock, and what the filter does not restore,

    û = F⁻¹{ H(ω; θ̂)/H(ω; θ) · e^(iωε) · F{g * (y + n)} } + m,

with the exact H of the model at each draw: neither the biquads nor the linearisation that are to be judged take part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator

from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.uncertainty.inputs import MultivariateNormal
from dyncal.uncertainty.procedure import simulate
from dyncal.uncertainty.response import ComplexArray, Response, responses
from dyncal.uncertainty.result import MonteCarloResult
from dyncal.uncertainty.settings import MonteCarloSettings

_SETTLED: Final = 1e-4
_LONGEST: Final = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedMonteCarlo:
    """A Monte Carlo of corrected samples.

    Attributes
    ----------
    span : slice
        Of the raw samples: those that have a corrected value.
    corrected : float64, shape (n,)
        The corrected values of the span.
    result : MonteCarloResult
        One output for each.
    """

    span: slice
    corrected: FloatArray
    result: MonteCarloResult


def correction_monte_carlo(
    correction: CorrectionFilter,
    parameters: Parameters,
    response: Response,
    raw: FloatArray,
    *,
    noise_std: float | None = None,
    u_t_s: float = 0.0,
    seed: int,
    settings: MonteCarloSettings | None = None,
) -> CorrectedMonteCarlo:
    """Propagate all that `CorrectionFilter` and `Parameters` say through the correction of a record.

    Parameters
    ----------
    correction : CorrectionFilter
        Recursive sections start in the steady state of their first input; the samples until they have settled, NaN in
        a stream, are in the result.
    parameters : Parameters
        θ̂ and its covariance, the reference's gain uncertainty included.
    response : Response
        The sensor model.
    raw : float64, shape (n,)
        Indications every ``correction.dt_ns``, finite; before them the sensor rested at the first.
    noise_std : float, optional
        Standard deviation of the sensor's white noise; by default what `correction.u_noise` came from.
    u_t_s : float
        Standard uncertainty of the clock [s], common to the record's samples.

    Raises
    ------
    InvalidData
        If the record is shorter than the filter or not finite, a pole is not inside the unit circle, the covariance is
        none, or draws are no sensors (`MonteCarloSettings.max_invalid_share`).
    """
    y = _checked_record(correction, raw)
    record = _Extended.of(correction, y)
    drawn_from = MultivariateNormal(parameters.values, parameters.cov)
    through = _through(correction, record.f_hz)
    noise = correction.u_noise / _noise_gain(through) if noise_std is None else noise_std
    if not (0 <= noise < math.inf and 0 <= u_t_s < math.inf):
        raise InvalidData(f"noise and clock uncertainty must be finite and not negative, not {noise} and {u_t_s}")
    here = response.frequency_response(parameters.values, record.f_hz)
    through *= noise * math.sqrt(record.length / 2)

    def simulation(rng: Generator, m: int) -> FloatArray:
        h = responses(response, drawn_from.draw(rng, m), record.f_hz)
        lines = rng.standard_normal((m, record.f_hz.size, 2)).view(np.complex128)[..., 0]
        lines[:, [0, -1]] = lines[:, [0, -1]].real * math.sqrt(2)
        lines *= through
        lines += record.spectrum
        with np.errstate(all="ignore"):  # a response of 0 gives what is not finite, which is counted
            lines *= here / h
        if u_t_s > 0:
            late = u_t_s * rng.standard_normal((m, 1))
            lines *= np.exp(2j * np.pi * record.f_hz * late)
        values = np.ascontiguousarray(np.fft.irfft(lines, record.length, axis=1)[:, record.kept].T)
        if correction.u_model > 0:
            values += correction.u_model * rng.standard_normal(values.shape)
        return values

    result = simulate(simulation, seed=seed, settings=settings)
    return CorrectedMonteCarlo(record.span, record.corrected, result)


@dataclass(frozen=True, slots=True, eq=False)
class _Extended:
    """Corrected values between a rest and a way back to it, so that the discrete Fourier transform sees no edge."""

    span: slice
    kept: slice
    corrected: FloatArray
    length: int
    f_hz: FloatArray
    spectrum: ComplexArray

    @classmethod
    def of(cls, correction: CorrectionFilter, y: FloatArray) -> _Extended:
        corrected = _corrected(correction, y)
        first = correction.fir.size - 1 - correction.delay
        # before the first corrected value, as in the stream, the indications at the gain at zero frequency
        before = _dc_gain(correction) * y[: max(first, 0)]
        known = np.concatenate([before, corrected])
        early = max(-first, 0)  # values about instants before the record, where the delay is longer than the window
        rest = _memory(correction)
        turn = 0.5 - 0.5 * np.cos(np.pi * (np.arange(rest) + 0.5) / rest)
        back = known[-1] + (known[0] - known[-1]) * turn
        length = _fast(known.size + 2 * rest)
        extended = np.full(length, known[0])
        extended[rest : rest + known.size] = known
        extended[rest + known.size : 2 * rest + known.size] = back
        begin = rest + before.size + early
        n = corrected.size - early
        return cls(
            span=slice(first + early, first + early + n),
            kept=slice(begin, begin + n),
            corrected=corrected[early:],
            length=length,
            f_hz=np.asarray(np.fft.rfftfreq(length, correction.dt_ns / 1e9), np.float64),
            spectrum=np.fft.rfft(extended),
        )


def _checked_record(correction: CorrectionFilter, raw: FloatArray) -> FloatArray:
    y = np.asarray(raw, dtype=np.float64)
    least = max(correction.fir.size, correction.delay + 1)
    if y.ndim != 1 or y.size < least:
        raise InvalidData(f"a record of shape {y.shape} is shorter than the filter's {least} samples")
    if not bool(np.all(np.isfinite(y))):
        raise InvalidData(f"{int(np.count_nonzero(~np.isfinite(y)))} samples of the record are not finite")
    return y


def _corrected(correction: CorrectionFilter, y: FloatArray) -> FloatArray:
    windows = np.convolve(y, correction.fir, mode="valid")
    if correction.sos.shape[0] == 0:
        return windows
    from scipy.signal import sosfilt, sosfilt_zi  # noqa: PLC0415 - only where there are sections

    start = sosfilt_zi(correction.sos) * windows[0]
    return np.asarray(sosfilt(correction.sos, windows, zi=start)[0], np.float64)


def _dc_gain(correction: CorrectionFilter) -> float:
    sections = correction.sos[:, :3].sum(axis=1) / correction.sos[:, 3:].sum(axis=1)
    return float(correction.fir.sum() * np.prod(sections))


def _memory(correction: CorrectionFilter) -> int:
    """Return after how many samples nothing of the past is left, by the poles of the filter and the sensitivities."""
    longest = 16
    for a1, a2 in np.concatenate([correction.sensitivities[:, 3:], correction.sos[:, 4:]]):
        radius = float(np.max(np.abs(np.roots([1.0, a1, a2]))))
        if not radius < 1:
            raise InvalidData(f"a section has a pole at radius {radius:.9g}")
        if radius > 0:
            longest = max(longest, math.ceil(math.log(_SETTLED) / math.log(radius)))
    if longest > _LONGEST:
        raise InvalidData(f"sensor and filter remember {longest} samples; {_LONGEST} at most")
    return longest


def _through(correction: CorrectionFilter, f_hz: FloatArray) -> ComplexArray:
    """Return the filter's frequency response without its delay, which does not matter to noise."""
    length = 2 * (f_hz.size - 1)
    padded = np.zeros(length)
    padded[: correction.fir.size] = correction.fir
    through: ComplexArray = np.asarray(np.fft.rfft(padded))
    z = np.exp(-2j * np.pi * np.arange(f_hz.size) / length)
    for b0, b1, b2, a0, a1, a2 in correction.sos:
        through *= (b0 + (b1 + b2 * z) * z) / (a0 + (a1 + a2 * z) * z)
    return through


def _noise_gain(through: ComplexArray) -> float:
    """Return √Σg² of the filter's impulse response, by Parseval."""
    power = np.abs(through) ** 2
    return math.sqrt(float(2 * power.sum() - power[0] - power[-1]) / (2 * (power.size - 1)))


def _fast(n: int) -> int:
    """Return an even length of factors 2, 3 and 5 that is n or a little more."""
    best = 1 << max(n - 1, 1).bit_length()
    for five in (1, 5, 25):
        for three in (1, 3, 9, 27):
            size = 2 * five * three
            while size < n:
                size *= 2
            best = min(best, size)
    return best
