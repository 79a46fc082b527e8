"""What the Monte Carlos of a corrected record have in common: inputs, outcome, and the ends of the record."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.uncertainty.result import MonteCarloResult
from dyncal.uncertainty.validation import GumResult, Validation, validate

_SETTLED: Final = 1e-4
_SHORTEST: Final = 16
LONGEST: Final = 1 << 20
"""Most samples that a record, or the memory of a sensor, may have."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Standard deviation of the sensor's noise, None for what the correction says; and of the clock [s]."""

    noise_std: float | None
    u_t_s: float

    def __post_init__(self) -> None:
        noise = 0.0 if self.noise_std is None else self.noise_std
        if not (0 <= noise < math.inf and 0 <= self.u_t_s < math.inf):
            raise InvalidData(
                f"noise and clock uncertainty must be finite and not negative, not {noise} and {self.u_t_s}"
            )


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

    def validated(self, value: FloatArray, u: FloatArray, digits: int = 1) -> Validation:
        """Judge the u of a stream (JCGM 101, clause 8), where it says something.

        Parameters
        ----------
        value, u : float64, shape (n_raw,)
            As `dyncal.correction.forms.correct_at` or `dyncal.correction.streaming.record.correct` gives them for the
            same record; NaN what shall not be judged.
        digits : int
            Significant decimal digits of u that count.

        Raises
        ------
        InvalidData
            If there are fewer values than samples, or none is to be judged.
        """
        if value.shape != u.shape or value.ndim != 1 or value.size < self.span.stop:
            raise InvalidData(
                f"a record of {self.span.stop} samples or more, with values {value.shape} and u {u.shape}"
            )
        judged = np.isfinite(value[self.span]) & np.isfinite(u[self.span])
        if not judged.any():
            raise InvalidData("no value is there to be judged")
        law = GumResult(value[self.span][judged], u[self.span][judged])
        r = self.result
        draws = replace(r, low=r.low[judged], high=r.high[judged], u=r.u[judged], spread=r.spread[:, judged])
        return validate(law, draws, digits)


def memory(radii: Iterable[float]) -> int:
    """Return after how many samples nothing of the past is left, by the radii of poles. Raises `InvalidData`."""
    longest = _SHORTEST
    for radius in radii:
        if not radius < 1:
            raise InvalidData(f"a section has a pole at radius {radius:.9g}")
        if radius > 0:
            longest = max(longest, math.ceil(math.log(_SETTLED) / math.log(radius)))
    if longest > LONGEST:
        raise InvalidData(f"sensor and filter remember {longest} samples; {LONGEST} at most")
    return longest


def padded(known: FloatArray, rest: int) -> FloatArray:
    """Return records, along the last axis, between `rest` samples of their first value and a way back to it.

    So the discrete Fourier transform sees no edge.
    """
    turn = 0.5 - 0.5 * np.cos(np.pi * (np.arange(rest) + 0.5) / rest)
    first, last = known[..., :1], known[..., -1:]
    n = known.shape[-1]
    extended = np.empty((*known.shape[:-1], _fast(n + 2 * rest)))
    extended[:] = first
    extended[..., rest : rest + n] = known
    extended[..., rest + n : 2 * rest + n] = last + (first - last) * turn
    return extended


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
