"""What the reference did between its samples.

A straight line is right for a measurand as rough as a first-order random process, and wrong for a smooth one by
(ωh)²/12 at angular frequency ω, which at a few samples a period is worse than any noise (h = interval). A spline of
degree 2m - 1 is what a process with a spectrum falling as ω^{-2m} does between its samples on average (Kimeldorf &
Wahba, 1970); a high degree approaches the sinc of a band-limited one. Which of them is right, the data say: the one
with the smallest innovations.

Splines are taken at half-intervals and joined by straight lines, whose own attenuation, sinc² at twice the sampling
frequency, is taken out beforehand by five taps.
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
