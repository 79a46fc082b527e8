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
        Without recursive sections.
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
        If the record is shorter than the filter or not finite, the filter has recursive sections, the covariance is
        none, or draws are no sensors (`MonteCarloSettings.max_invalid_share`).
    """
    y = _checked_record(correction, raw)
    drawn_from = MultivariateNormal(parameters.values, parameters.cov)
    noise = correction.u_noise / correction.noise_gain if noise_std is None else noise_std
    if not (0 <= noise < math.inf and 0 <= u_t_s < math.inf):
        raise InvalidData(f"noise and clock uncertainty must be finite and not negative, not {noise} and {u_t_s}")
    record = _Extended.of(correction, y)
    here = response.frequency_response(parameters.values, record.f_hz)
    through = _through(correction, record.f_hz) * (noise * math.sqrt(record.length / 2))

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
        corrected = np.convolve(y, correction.fir, mode="valid")
        first = correction.fir.size - 1 - correction.delay
        # before the first corrected value, as in the stream, the indications at the gain at zero frequency
        before = float(correction.fir.sum()) * y[: max(first, 0)]
        known = np.concatenate([before, corrected])
        rest = _memory(correction)
        turn = 0.5 - 0.5 * np.cos(np.pi * (np.arange(rest) + 0.5) / rest)
        back = known[-1] + (known[0] - known[-1]) * turn
        length = _fast(known.size + 2 * rest)
        extended = np.full(length, known[0])
        extended[rest : rest + known.size] = known
        extended[rest + known.size : 2 * rest + known.size] = back
        begin = rest + before.size
        return cls(
            span=slice(first, first + corrected.size),
            kept=slice(begin, begin + corrected.size),
            corrected=corrected,
            length=length,
            f_hz=np.asarray(np.fft.rfftfreq(length, correction.dt_ns / 1e9), np.float64),
            spectrum=np.fft.rfft(extended),
        )


def _checked_record(correction: CorrectionFilter, raw: FloatArray) -> FloatArray:
    y = np.asarray(raw, dtype=np.float64)
    if y.ndim != 1 or y.size < correction.fir.size:
        raise InvalidData(f"a record of shape {y.shape} is shorter than the filter's {correction.fir.size} taps")
    if not bool(np.all(np.isfinite(y))):
        raise InvalidData(f"{int(np.count_nonzero(~np.isfinite(y)))} samples of the record are not finite")
    if correction.sos.shape[0]:
        raise InvalidData("a filter with recursive sections is not drawn; give its FIR part alone")
    if correction.delay >= correction.fir.size:
        raise InvalidData(f"a delay of {correction.delay} samples is longer than the filter")
    return y


def _memory(correction: CorrectionFilter) -> int:
    """Return after how many samples nothing of the sensor's past is left, by the poles of the sensitivities."""
    longest = 16
    for a1, a2 in correction.sensitivities[:, 3:]:
        radius = float(np.max(np.abs(np.roots([1.0, a1, a2]))))
        if not radius < 1:
            raise InvalidData(f"a sensitivity has a pole at radius {radius:.9g}")
        if radius > 0:
            longest = max(longest, math.ceil(math.log(_SETTLED) / math.log(radius)))
    if longest > _LONGEST:
        raise InvalidData(f"the sensor remembers {longest} samples; {_LONGEST} at most")
    return longest


def _through(correction: CorrectionFilter, f_hz: FloatArray) -> ComplexArray:
    """Return the filter's frequency response without its delay, which does not matter to noise."""
    length = 2 * (f_hz.size - 1)
    padded = np.zeros(length)
    padded[: correction.fir.size] = correction.fir
    return np.asarray(np.fft.rfft(padded))


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
