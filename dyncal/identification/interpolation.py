"""What the reference did between its samples.

A straight line is right for a measurand as rough as a first-order random process, and wrong for a smooth one by
(ωh)²/12 at angular frequency ω, which at a few samples a period is worse than any noise (h = interval). A spline of
degree 2m - 1 is what a process with a spectrum falling as ω^{-2m} does between its samples on average (Kimeldorf &
Wahba, 1970); a high degree approaches the sinc of a band-limited one. Which of them is right, the data say: the one
with the smallest innovations.

Splines are taken at half-intervals and joined by straight lines, whose own attenuation, sinc² at twice the sampling
frequency, is taken out beforehand by five taps; where the instants are uneven, by the second derivative.
"""

from __future__ import annotations

import enum
import functools
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

CONTEXT: Final = 12
"""Samples that a spline needs on both sides of where it is used."""

_UNEVEN: Final = 0.02


class Interpolation(enum.StrEnum):
    """How the measurand is taken to move between samples of the reference."""

    LINEAR = "linear"
    CUBIC = "cubic"
    QUINTIC = "quintic"

    @property
    def code(self) -> int:
        """The number that kernels know it by."""
        return list(Interpolation).index(self)


def is_even(t_ns: Int64Array) -> bool:
    """Tell whether instants are spaced evenly enough for splines on a uniform grid."""
    steps = np.diff(t_ns)
    return bool(steps.max() - steps.min() <= _UNEVEN * steps.mean()) if steps.size else False


_B_SPLINES: Final = {
    Interpolation.CUBIC: ((4 / 6, 1 / 6), (23 / 48, 1 / 48)),
    Interpolation.QUINTIC: ((66 / 120, 26 / 120, 1 / 120), (1682 / 3840, 237 / 3840, 1 / 3840)),
}
"""Values of the B-spline at 0, 1, … and at ½, 3/2, … intervals from its middle."""
_DEGREES: Final = {Interpolation.CUBIC: 3, Interpolation.QUINTIC: 5}


@functools.cache
def taps(kind: Interpolation) -> tuple[FloatArray, FloatArray]:
    """Return the filters for values at samples (2·CONTEXT + 1 taps) and half-way (2·CONTEXT taps)."""
    at_samples, half_way = _B_SPLINES[kind]
    far = 4 * CONTEXT
    grid = np.arange(-far, far + 1)
    apart = np.abs(grid[:, None] - grid)
    weights = np.pad(np.array(at_samples), (0, 2 * far + 1 - len(at_samples)))
    share = np.linalg.solve(weights[apart], (grid == 0).astype(np.float64))
    basis = np.zeros(2 * len(half_way) + 1 + 2 * len(at_samples))
    middle = basis.size // 2
    for k, value in enumerate(at_samples):
        basis[[middle - 2 * k, middle + 2 * k]] = value
    for k, value in enumerate(half_way):
        basis[[middle - 2 * k - 1, middle + 2 * k + 1]] = value
    spread = np.zeros(4 * far + 1)
    spread[::2] = share
    cardinal = np.convolve(spread, basis, mode="same")  # at half-intervals, 0 in the middle
    half = CONTEXT - 1  # two half-intervals are left for the compensation
    fine = cardinal[2 * far - 2 * half : 2 * far + 2 * half + 1]
    both = np.convolve(fine, _compensation())
    even, odd = both[::2], both[1::2]
    return even / even.sum(), odd / odd.sum()


def refined_unevenly(t: Int64Array, r: FloatArray, kind: Interpolation) -> tuple[Int64Array, FloatArray]:
    """Return instants and values at samples and half-way between, (2n - 1,), of what was sampled at any instants.

    The spline of that degree through all values; straight lines between the points returned have its integral: a line
    over δ lies δ²/12 of the second derivative too high on average.

    Parameters
    ----------
    t : int64, shape (n + 2·CONTEXT,), strictly increasing
        Instants, in any unit.
    r : float64, of the same shape
    kind : Interpolation
        A spline.
    """
    from scipy.interpolate import make_interp_spline  # noqa: PLC0415 - only where instants are uneven

    unit = float(np.median(np.diff(t)))
    spline = make_interp_spline(t / unit, r, k=_DEGREES[kind])
    inner = t[CONTEXT : t.size - CONTEXT]
    points = np.empty(2 * inner.size - 1, dtype=np.int64)
    points[::2], points[1::2] = inner, inner[:-1] + np.diff(inner) // 2
    steps = np.diff(points) / unit
    before, after = np.append(steps[0], steps), np.append(steps, steps[-1])
    bend = spline.derivative(2)(points / unit) * (before**3 + after**3) / (before + after) / 12
    return points, np.asarray(spline(points / unit) - bend)


def left_out(t: Int64Array, r: FloatArray, kind: Interpolation) -> tuple[FloatArray, FloatArray]:
    """Return every second value of r (n,) and what the others say of them, away from the ends; any instants t (n,)."""
    coarse, between = r[::2], r[1::2]
    if kind is Interpolation.LINEAR:
        found = np.interp(t[1::2], t[::2], coarse)[: coarse.size - 1]
        return between[: found.size][CONTEXT:-CONTEXT], found[CONTEXT:-CONTEXT]
    if is_even(t):
        found = refined(coarse, kind)[1::2]
        return between[CONTEXT : CONTEXT + found.size], found
    from scipy.interpolate import make_interp_spline  # noqa: PLC0415 - only where instants are uneven

    unit = float(np.median(np.diff(t)))
    asked = slice(CONTEXT, coarse.size - 1 - CONTEXT)
    spline = make_interp_spline(t[::2] / unit, coarse, k=_DEGREES[kind])
    return between[asked], np.asarray(spline(t[1::2][asked] / unit))


def _compensation() -> FloatArray:
    """Return five symmetric taps with the response 1/sinc² of straight lines over half-intervals, up to Nyquist."""
    x = np.linspace(1e-3, np.pi / 4, 200)
    wanted = (x / np.sin(x)) ** 2 - 1
    basis = np.stack([2 * np.cos(2 * x) - 2, 2 * np.cos(4 * x) - 2], axis=1)
    a, b = np.linalg.lstsq(basis, wanted, rcond=None)[0]
    return np.array([b, a, 1 - 2 * a - 2 * b, a, b])


def refined(r: FloatArray, kind: Interpolation) -> FloatArray:
    """Return values at samples and half-way between, (2n - 1,), for r of shape (n + 2·CONTEXT,) with context."""
    even, odd = taps(kind)
    fine = np.empty(2 * (r.size - 2 * CONTEXT) - 1)
    fine[::2] = np.convolve(r, even, mode="valid")
    fine[1::2] = np.convolve(r, odd, mode="valid")[1:-1]
    return fine
