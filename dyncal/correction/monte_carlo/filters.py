"""Monte Carlo of the correction of a uniform record by a filter.

A draw takes parameters θ from their covariance, noise, one error ε of the clock, and what the filter does not restore,

    û = F⁻¹{ H(ω; θ̂)/H(ω; θ) · e^(iωε) · F{g * (y + n)} } + m,

with the exact H of the model at each draw: neither the biquads nor the linearisation that are to be judged take part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from dyncal.correction.monte_carlo.record import CorrectedMonteCarlo, Inputs, memory, padded
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.uncertainty.inputs import MultivariateNormal
from dyncal.uncertainty.procedure import simulate
from dyncal.uncertainty.response import ComplexArray, Response, responses
from dyncal.uncertainty.settings import MonteCarloSettings


def of_filter(
    correction: CorrectionFilter,
    parameters: Parameters,
    response: Response,
    y: FloatArray,
    inputs: Inputs,
    *,
    seed: int,
    settings: MonteCarloSettings | None,
) -> CorrectedMonteCarlo:
    """Return the Monte Carlo of a uniform record, float64 of shape (n,), finite. Raises as `correction_monte_carlo`."""
    least = max(correction.fir.size, correction.delay + 1)
    if y.size < least:
        raise InvalidData(f"a record of shape {y.shape} is shorter than the filter's {least} samples")
    record = _Extended.of(correction, y)
    drawn_from = MultivariateNormal(parameters.values, parameters.cov)
    through = _through(correction, record.f_hz)
    noise = correction.u_noise / _noise_gain(through) if inputs.noise_std is None else inputs.noise_std
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
        if inputs.u_t_s > 0:
            late = inputs.u_t_s * rng.standard_normal((m, 1))
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
        rest = memory(_radii(correction))
        extended = padded(known, rest)
        begin = rest + before.size + early
        n = corrected.size - early
        return cls(
            span=slice(first + early, first + early + n),
            kept=slice(begin, begin + n),
            corrected=corrected[early:],
            length=extended.size,
            f_hz=np.asarray(np.fft.rfftfreq(extended.size, correction.dt_ns / 1e9), np.float64),
            spectrum=np.fft.rfft(extended),
        )


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


def _radii(correction: CorrectionFilter) -> list[float]:
    """Return the largest radius of a pole of each section of filter and sensitivities."""
    denominators = np.concatenate([correction.sensitivities[:, 3:], correction.sos[:, 4:]])
    return [float(np.max(np.abs(np.roots([1.0, a1, a2])))) for a1, a2 in denominators]


def _through(correction: CorrectionFilter, f_hz: FloatArray) -> ComplexArray:
    """Return the filter's frequency response without its delay, which does not matter to noise."""
    length = 2 * (f_hz.size - 1)
    taps = np.zeros(length)
    taps[: correction.fir.size] = correction.fir
    through: ComplexArray = np.asarray(np.fft.rfft(taps))
    z = np.exp(-2j * np.pi * np.arange(f_hz.size) / length)
    for b0, b1, b2, a0, a1, a2 in correction.sos:
        through *= (b0 + (b1 + b2 * z) * z) / (a0 + (a1 + a2 * z) * z)
    return through


def _noise_gain(through: ComplexArray) -> float:
    """Return √Σg² of the filter's impulse response, by Parseval."""
    power = np.abs(through) ** 2
    return math.sqrt(float(2 * power.sum() - power[0] - power[-1]) / (2 * (power.size - 1)))
