"""Whether a record has the spectrum of another one, without a model: their powers by octaves, compared.

Cheap beside a fit: one periodogram, and what it shows by itself decides. With P the averaged periodogram of each
record, K averages, and means over the n bins of octaves::

    Q = Σ_octaves (mean ln P₁ - mean ln P₂)² / (v₁ + v₂),    v = 1.5 ψ'(K) / n

is near χ² of as many degrees as there are octaves where both are of one spectrum, whatever its slope; 1.5 is what
neighbouring bins have in common under a Hann window (its equivalent noise bandwidth: Harris, Proc. IEEE 66 (1978) 51).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.correction.design.spectrum import SHORTEST, averaged_periodogram, averages_of, segment_length
from dyncal.correction.inputs import Numbers, samples
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

_FIRST: Final = 2  # lowest bin, as for a fit
_BINS_ALIKE: Final = 1.5
_LEVEL: Final = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class Octaves:
    """Powers of a record by octaves.

    Attributes
    ----------
    length : int
        Samples of the segments that were averaged.
    logarithms, variances : float64, shape (k,)
        Mean ln of the power in bins 2 and 3, 4 to 7, and so on [unit²], and how these scatter.
    """

    length: int
    logarithms: FloatArray
    variances: FloatArray


def octaves(indication: Numbers) -> Octaves:
    """Return the powers of a record by octaves.

    Parameters
    ----------
    indication : float64, shape (n,), n >= 128
        Uniform.

    Raises
    ------
    InvalidData
        If the record is too short or not one of numbers.
    """
    y = samples("the indications", indication)
    if y.size < SHORTEST:
        raise InvalidData(f"octaves are told from at least {SHORTEST} samples")
    length = segment_length(y.size)
    k, bounds = averages_of(y.size, length), _bounds(length)
    with np.errstate(all="ignore"):  # what is not finite is like nothing
        logarithms = np.log(averaged_periodogram(y, length)[: length // 2])
        bins = np.diff([*bounds, length // 2])
        scatter = 1 / k + 1 / (2 * k**2) + 1 / (6 * k**3)  # ψ'(k), to 3 % for k = 1
        return Octaves(length, np.add.reduceat(logarithms, bounds) / bins, _BINS_ALIKE * scatter / bins)


def alike(a: Octaves, b: Octaves) -> bool:
    """Tell whether two records may be of one spectrum: their octaves differ no more than 1 in 100 by chance.

    Records of other lengths, as far as segments go, cannot be compared and are not alike; nor are such without power,
    or not finite.
    """
    if a.length != b.length:
        return False
    with np.errstate(invalid="ignore"):
        squares = (a.logarithms - b.logarithms) ** 2 / (a.variances + b.variances)
    return bool(squares.sum() <= _limit(squares.size))


@functools.lru_cache(maxsize=16)
def _bounds(length: int) -> tuple[int, ...]:
    """Return the first bin of each octave below that of Nyquist's frequency."""
    return tuple(_FIRST << k for k in range((length // 2 // _FIRST).bit_length() - 1))


@functools.lru_cache(maxsize=16)
def _limit(n: int) -> float:
    from scipy.special import chdtri  # noqa: PLC0415 - a service that starts does not wait for it

    return float(chdtri(n, 1 - _LEVEL))
