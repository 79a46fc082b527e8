"""Taps for the slope of corrected values, about the same instant as they.

An uncertain instant of standard uncertainty u_t makes u_t |dû/dt| of uncertainty. A backward difference of û is half a
sample late, and short by a sinc: at 4 samples a period it is off by half. The slope is therefore an FIR filter over the
same window of indications, with the sections of the correction behind it: D(ω) ≈ jω G(ω), least squares weighted with
the indications' spectrum, under Σd = 0 and Σ j d_j = -Σg, so that a constant has no slope and a ramp exactly its own.

A set does not say what the spectrum is. A Wiener filter of latency enough restores the measurand S up to where it is
9 times the noise, S|H|² = 9R (error 10 %: the upper end of the band), and up to there 1/G is H. With
S ∝ 1/(1 + (ω/0.6 ω_band)^16) the taps are within 1 % of u of those for the true spectrum, for orders from 2 to 8
(docs/metrology.md, "Uncertainty").
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dyncal.correction.folding import ComplexArray, Folding
from dyncal.domain.samples import FloatArray

_CORNER: Final = 0.6  # of the band
_ORDER: Final = 8
_OVER_NOISE: Final = 9.0  # S|H|²/R at the end of the band
_LEAST_NOISE: Final = 1e-8  # of the mean spectrum: keeps the equations solvable
_LEAST_GAIN: Final = 1e-3  # of the largest: where the filter blocks it does not tell H
_POINTS: Final = 2048  # at least


def slope_taps(fir: FloatArray, sos: FloatArray, dt_s: float, band_hz: float) -> FloatArray:
    """Return taps d [1/s], so that ``sos(d * y)`` is the slope of ``sos(fir * y)``.

    Parameters
    ----------
    fir : float64, shape (n,)
    sos : float64, shape (k, 6)
        Stable sections behind it.
    dt_s : float
        Sampling interval [s].
    band_hz : float
        Upper end of the band in which the correction is valid [Hz].

    Returns
    -------
    float64, shape (n,) or (0,)
        Nothing where a window is so short that a backward difference of the corrected values does better.
    """
    n, scale = fir.size, float(np.max(np.abs(fir)))
    if n < 2 or not 0 < scale < math.inf:
        return np.empty(0)
    g = fir / scale
    folding = Folding(1.0, max(_POINTS, 4 << (n - 1).bit_length()), 1)
    angle = folding.omega[0]
    with np.errstate(all="ignore"):  # what leaves the range of numbers is looked for
        shape, response = _behind(sos, angle), folding.response(g)
        end = min(max(2 * math.pi * band_hz * dt_s, float(angle[1])), math.pi)
        power = _spectrum(np.abs(shape * response), angle, end) * np.abs(shape) ** 2
        target = 1j * angle * response
        d = _solved(folding, power, target, g)
        if d is None or not bool(np.all(np.isfinite(d))):
            return np.empty(0)
        backward = response * (1 - np.exp(-1j * angle))
        better = _error(power, folding.response(d) - target) < _error(power, backward - target)
        return d * (scale / dt_s) if better else np.empty(0)


def _behind(sos: FloatArray, angle: FloatArray) -> ComplexArray:
    z = np.exp(-1j * angle)
    shape = np.ones(angle.size, np.complex128)
    for b0, b1, b2, _, a1, a2 in sos:
        shape *= (b0 + b1 * z + b2 * z * z) / (1 + a1 * z + a2 * z * z)
    return shape


def _spectrum(gain: FloatArray, angle: FloatArray, end: float) -> FloatArray:
    """Return the indications' spectrum that a filter of this gain was made for, up to a factor; `end` is its band's."""
    gain = np.maximum(gain / np.max(gain), _LEAST_GAIN)

    def measurand(at: FloatArray | float) -> FloatArray:
        density: FloatArray = 1 / (1 + (np.asarray(at) / (_CORNER * end)) ** (2 * _ORDER))
        return density

    signal = measurand(angle) / gain**2
    noise = float(measurand(end)) / float(np.interp(end, angle, gain)) ** 2 / _OVER_NOISE
    return signal + max(noise, _LEAST_NOISE * float(np.mean(signal)))


def _solved(folding: Folding, power: FloatArray, target: ComplexArray, fir: FloatArray) -> FloatArray | None:
    """Minimise Σ power |D - target|² under Σd = 0 and Σ j d_j = -Σg; None where rounding is in the way."""
    n = fir.size
    constraints = np.column_stack([np.ones(n), np.arange(n) / n])
    wanted = np.array([0.0, -float(fir.sum()) / n])
    right = folding.cross_covariance(power * target, 0, n)
    x = _toeplitz(folding.covariance(power, n), np.column_stack([right, constraints]))
    if x is None:
        return None
    free, towards = x[:, 0], x[:, 1:]
    try:
        d: FloatArray = free + towards @ np.linalg.solve(constraints.T @ towards, wanted - constraints.T @ free)
    except np.linalg.LinAlgError:
        return None
    d[int(np.argmax(np.abs(d)))] -= math.fsum(d)  # a large constant must not look like a slope
    return d


def _toeplitz(r: FloatArray, right: FloatArray) -> FloatArray | None:
    """Solve T x = `right`, shape (n, k), T symmetric Toeplitz of first column r, by Levinson's recursion: O(n²)."""
    x = np.zeros_like(right)
    x[0] = right[0] / r[0]
    a, left = np.ones(1), float(r[0])
    for k in range(1, r.size):
        backward = r[k:0:-1]
        reflection = -float(a @ backward) / left
        longer = np.append(a, 0.0)
        a = longer + reflection * longer[::-1]
        left *= 1 - reflection**2
        if not left > 0:
            return None
        x[: k + 1] += np.outer(a[::-1], (right[k] - backward @ x[:k]) / left)
    return x


def _error(power: FloatArray, wrong: ComplexArray) -> float:
    return float(np.sum(power * np.abs(wrong) ** 2))
