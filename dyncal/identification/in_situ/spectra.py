"""Two sensors' records as spectra, as the cross-relation needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import uniform_filter1d

from dyncal.correction.streaming.slots import LARGEST, usable
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.records import check_arrays
from dyncal.identification.screen import trouble_with
from dyncal.models.base import ComplexArray

SHORTEST: Final = 256
_BAND: Final = 0.45  # of the sampling rate: above, aliases are as large as what they alias
_TRANSIENTS: Final = 4
_NEIGHBOURS: Final = 8
_UNEVEN: Final = 1e-3  # of an interval
_FLOOR: Final = 0.35  # of the sampling rate: above, a sensor that lags shows little but noise


@dataclass(frozen=True, slots=True, eq=False)
class PairRecord:
    """An evenly sampled, gap-free run of two sensors' indications at the same instants.

    Attributes
    ----------
    t_ns : int64, shape (n,), n >= 256
    first, second : float64, shape (n,), finite
        In one unit.
    """

    t_ns: Int64Array
    first: FloatArray
    second: FloatArray

    def __post_init__(self) -> None:
        check_arrays(self, "t_ns", "first", "second")
        if self.t_ns.ndim != 1 or not self.t_ns.shape == self.first.shape == self.second.shape:
            shapes = f"{self.t_ns.shape}, {self.first.shape} and {self.second.shape}"
            raise InvalidData(f"instants and indications of two sensors have one length, not {shapes}")
        if len(self) < SHORTEST:
            raise InvalidData(f"a segment of {len(self)} samples is too short: {SHORTEST} are needed")

    def __len__(self) -> int:
        return int(self.t_ns.size)


@dataclass(frozen=True, slots=True, eq=False)
class PairSpectra:
    """Spectra of several segments, one after another.

    Attributes
    ----------
    f_hz : float64, shape (n_f,)
        Frequencies above 0, up to 0.45 of the sampling rate.
    first, second : complex128, shape (n_f,)
        Discrete Fourier transforms over √n: white noise of variance σ² has E|V|² = σ².
    transients : complex128, shape (n_f, 4·n_segments)
        Powers of s, scaled, of each segment on its own: what the states at a segment's ends and aliases add to a
        relation between spectra is a polynomial in s over the sensors' denominators.
    power : float64, shape (2, n_f)
        Mean of |Y|² over the neighbouring frequencies, without the frequency itself.
    """

    f_hz: FloatArray
    first: ComplexArray
    second: ComplexArray
    transients: ComplexArray
    power: FloatArray
    dt_s: float
    longest_s: float
    n_samples: int

    @classmethod
    def of(cls, segments: Sequence[PairRecord]) -> PairSpectra:
        """Transform segments.

        Raises
        ------
        InvalidData
            If a segment is not finite, constant, saturated, or not evenly sampled.
        """
        if not segments:
            raise InvalidData("there is no record")
        dt_s = _interval(segments)
        parts = [_transformed(segment, dt_s) for segment in segments]
        top = 2 * np.pi * max(float(f.max()) for f, _, _ in parts)
        transients = np.zeros((sum(f.size for f, _, _ in parts), _TRANSIENTS * len(parts)), dtype=np.complex128)
        row = 0
        for k, (f, _, _) in enumerate(parts):
            powers = (2j * np.pi * f / top)[:, None] ** np.arange(_TRANSIENTS)
            transients[row : row + f.size, _TRANSIENTS * k : _TRANSIENTS * (k + 1)] = powers
            row += f.size
        return cls(
            f_hz=np.concatenate([f for f, _, _ in parts]),
            first=np.concatenate([y1 for _, y1, _ in parts]),
            second=np.concatenate([y2 for _, _, y2 in parts]),
            transients=transients,
            power=np.concatenate([np.stack([_around(y1), _around(y2)]) for _, y1, y2 in parts], axis=1),
            dt_s=dt_s,
            longest_s=max(len(segment) for segment in segments) * dt_s,
            n_samples=sum(len(segment) for segment in segments),
        )

    @property
    def s(self) -> ComplexArray:
        """Return j2πf [rad/s]."""
        return np.asarray(2j * np.pi * self.f_hz)

    def floors(self) -> FloatArray:
        """Return what is left of either sensor's variance at the highest frequencies, (2,): noise, or more."""
        high = self.f_hz > _FLOOR / self.dt_s
        # the median of |V|² is ln 2 of its mean, and does not mind a line of the mains
        return np.array([float(np.median(np.abs(y[high]) ** 2)) / np.log(2) for y in (self.first, self.second)])


def _interval(segments: Sequence[PairRecord]) -> float:
    every = np.concatenate([np.diff(segment.t_ns) for segment in segments])
    middle = float(np.median(every))
    if not middle > 0:
        raise InvalidData("instants must increase strictly")
    worst = float(np.max(np.abs(every - middle)))
    if worst > max(_UNEVEN * middle, 1.0):
        detail = f"an interval differs from {middle:.0f} ns by {worst:.0f} ns; cut at gaps, or resample"
        raise InvalidData(f"the cross-relation takes evenly sampled segments: {detail}")
    return middle / 1e9


def _transformed(segment: PairRecord, dt_s: float) -> tuple[FloatArray, ComplexArray, ComplexArray]:
    n = len(segment)
    f = np.fft.rfftfreq(n, dt_s)
    keep = (f > 0) & (f <= _BAND / dt_s)
    spectra: list[ComplexArray] = []
    for name, values in (("first sensor's record", segment.first), ("second sensor's record", segment.second)):
        if not bool(np.all(usable(values))):
            raise InvalidData(f"the {name} is not finite, or beyond {LARGEST:g}: cut it there")
        trouble = trouble_with(name, values)
        if trouble:
            raise InvalidData(trouble)
        spectra.append(np.asarray(np.fft.rfft(values - values.mean())[keep] / np.sqrt(n)))
    return np.asarray(f[keep]), spectra[0], spectra[1]


def _around(spectrum: ComplexArray) -> FloatArray:
    power = np.abs(spectrum) ** 2
    smooth = uniform_filter1d(power, 2 * _NEIGHBOURS + 1, mode="nearest")
    alone = (smooth * (2 * _NEIGHBOURS + 1) - power) / (2 * _NEIGHBOURS)
    return np.asarray(np.maximum(alone, 1e-12 * float(np.mean(power))))
