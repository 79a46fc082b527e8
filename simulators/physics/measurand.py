"""Measurands: what a sensor is exposed to, known exactly at any instant.

A measurand is a sum of many sinusoids with random phases, whose frequencies are whole multiples of 1 / period. Phases
are then integers modulo the period in nanoseconds: no rounding builds up, however late the instant.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, Int64Array

ComplexArray = npt.NDArray[np.complex128]

PERIOD_S: Final = 1000
_PERIOD_NS: Final = PERIOD_S * NS_PER_S
_CHUNK: Final = 512
_FINE: Final = 16
_TAIL: Final = 100
MAX_HZ: Final = 9_000.0  # (frequency · period) · period [ns] must stay below 2^63


@dataclass(frozen=True, slots=True, eq=False)
class Multisine:
    """x(t) = mean + Re Σ a_m exp(2πi k_m t / period).

    Attributes
    ----------
    mean : float
        In the unit of the measurand.
    cycles : int64, shape (n_lines,), strictly increasing
        Cycles k_m in one period of `PERIOD_S` seconds.
    amplitudes : complex128, shape (n_lines,)
        Complex amplitudes a_m at t = 0, in the unit of the measurand.
    """

    mean: float
    cycles: Int64Array
    amplitudes: ComplexArray

    def __post_init__(self) -> None:
        if self.cycles.shape != self.amplitudes.shape or self.cycles.ndim != 1:
            raise InvalidData(f"{self.cycles.shape} frequencies do not fit {self.amplitudes.shape} amplitudes")
        if self.cycles.size and not 0 < self.cycles[0] <= self.cycles[-1] <= MAX_HZ * PERIOD_S:
            raise InvalidData(f"frequencies must lie above 0 and at most at {MAX_HZ} Hz")

    @property
    def frequencies_hz(self) -> FloatArray:
        """Frequencies of the lines [Hz], shape (n_lines,)."""
        return self.cycles / PERIOD_S

    @property
    def rms(self) -> float:
        """Root of the mean square about the mean."""
        return float(np.sqrt(0.5 * np.sum(np.abs(self.amplitudes) ** 2)))

    def value(self, t_ns: Int64Array) -> FloatArray:
        """Return x at the instants `t_ns`, int64, shape (n,): float64, shape (n,)."""
        out = np.empty(t_ns.size)
        for first in range(0, t_ns.size, 4096):  # bounds the (n, n_lines) table
            part = slice(first, first + 4096)
            turns = self._turns(t_ns[part, None])
            out[part] = np.cos(turns) @ self.amplitudes.real - np.sin(turns) @ self.amplitudes.imag
        return out + self.mean

    @property
    def fastest_rad_s(self) -> float:
        """That of the highest line."""
        return 2 * np.pi * float(self.frequencies_hz[-1]) if self.cycles.size else 0.0

    def near(self, t_ns: InstantNs) -> Callable[[FloatArray], FloatArray]:
        """Return x as a function of the seconds since `t_ns`: a short way on from an exact phase."""
        turns, phasors = 2j * np.pi * self.frequencies_hz, self.phasors(t_ns)

        def x(t_s: FloatArray) -> FloatArray:
            values: FloatArray = (np.exp(t_s[:, None] * turns) @ phasors).real + self.mean
            return values

        return x

    def breaks_ns(self, from_ns: InstantNs, to_ns: InstantNs) -> Int64Array:
        """Return none."""
        del from_ns, to_ns
        return np.empty(0, np.int64)

    def delayed(self, delay_ns: DurationNs) -> Multisine:
        """Return what comes `delay_ns` later."""
        if not delay_ns:
            return self
        return Multisine(self.mean, self.cycles, self.amplitudes * np.exp(-1j * self._turns(np.int64(delay_ns))))

    def phasors(self, t_ns: InstantNs) -> ComplexArray:
        """Return a_m exp(2πi k_m t / period) at one instant, shape (n_lines,)."""
        rotated: ComplexArray = self.amplitudes * np.exp(1j * self._turns(np.int64(t_ns)))
        return rotated

    def filtered(self, response: ComplexArray, dc_gain: float) -> Multisine:
        """Return the stationary response of a linear system: `response` at the lines, shape (n_lines,), and at 0 Hz."""
        return Multisine(self.mean * dc_gain, self.cycles, self.amplitudes * response)

    def _turns(self, t_ns: Int64Array | np.int64) -> FloatArray:
        turns = (self.cycles * (t_ns % _PERIOD_NS)) % _PERIOD_NS
        return turns.astype(np.float64) * (2 * np.pi / _PERIOD_NS)


class UniformEvaluator:
    """Evaluates a multisine on chunks of a uniform grid, at a small matrix product a chunk.

    exp(iω(j + k)dt) = exp(iωj dt) exp(iωk dt): a table of every `_FINE` samples and one of those between, for what
    would take the product of their sizes.

    Parameters
    ----------
    source : Multisine
    dt_ns : int
        Interval of the grid [ns].
    n : int
        Samples of a chunk.
    """

    def __init__(self, source: Multisine, dt_ns: DurationNs, n: int) -> None:
        self._source, self._n = source, n
        self._coarse = np.exp(1j * self._turned(dt_ns * np.arange(0, n, _FINE, dtype=np.int64)))
        # As numpy lays complex numbers out: real and imaginary part side by side, and Re(a b) = Re a Re b - Im a Im b.
        self._fine = np.exp(-1j * self._turned(dt_ns * np.arange(_FINE, dtype=np.int64))).view(np.float64).T.copy()

    def chunk(self, t0_ns: InstantNs) -> FloatArray:
        """Return x at t0, t0 + dt, …: float64, shape (n,)."""
        phasors = self._coarse * self._source.phasors(t0_ns)
        values = phasors.view(np.float64) @ self._fine
        return np.asarray(values.ravel()[: self._n] + self._source.mean, np.float64)

    def _turned(self, offsets_ns: Int64Array) -> FloatArray:
        turns = (self._source.cycles * (offsets_ns[:, None] % _PERIOD_NS)) % _PERIOD_NS
        return turns.astype(np.float64) * (2 * np.pi / _PERIOD_NS)


def on_grid(source: Multisine, t0_ns: InstantNs, dt_ns: DurationNs, t_ns: Int64Array) -> FloatArray:
    """Return x at `t_ns`, shape (n,), fast for instants of the grid t0 + k dt, and right for all others too."""
    out = np.empty(t_ns.size)
    index, rest = np.divmod(t_ns - t0_ns, dt_ns)
    off = (rest != 0) | (index < 0)
    out[off] = source.value(t_ns[off])
    on = np.flatnonzero(~off)
    chunks, places = np.divmod(index[on], _CHUNK)
    evaluator = UniformEvaluator(source, dt_ns, _CHUNK)
    firsts = np.flatnonzero(np.diff(chunks, prepend=-1))
    for first, last in itertools.pairwise([*firsts.tolist(), on.size]):
        start = InstantNs(t0_ns + int(chunks[first]) * _CHUNK * dt_ns)
        out[on[first:last]] = evaluator.chunk(start)[places[first:last]]
    return out


def power_spectrum(f_hz: FloatArray, band_hz: float, order: int) -> FloatArray:
    """Return 1 / (1 + (f / band)^(2 order)), the shape of the power density of `band_limited_noise`."""
    density: FloatArray = 1.0 / (1.0 + (f_hz / band_hz) ** (2 * order))
    return density


def band_limited_noise(
    rng: np.random.Generator, *, mean: float, rms: float, band_hz: float, order: int = 4, n_lines: int = 128
) -> Multisine:
    """Draw a measurand that looks like filtered noise, of density 1 / (1 + (f/band)^(2 order)) up to 3 band: `noise`.

    Raises
    ------
    InvalidData
        If the band holds fewer multiples of 1 / `PERIOD_S` than lines, or lies too high.
    """
    if 3 * band_hz > MAX_HZ or band_hz * PERIOD_S < 2 * n_lines:
        raise InvalidData(
            f"band_hz = {band_hz}: must lie between {2 * n_lines / PERIOD_S} (for {n_lines} lines) and {MAX_HZ / 3}"
        )
    grid = np.linspace(0.0, 3 * band_hz, 6001)
    return noise(rng, grid, power_spectrum(grid, band_hz, order), mean=mean, rms=rms, n_lines=n_lines)


def autoregressive_noise(
    rng: np.random.Generator,
    *,
    mean: float,
    rms: float,
    time_constants_s: Sequence[float] = (),
    resonances: Sequence[tuple[float, float]] = (),
    n_lines: int = 128,
) -> Multisine:
    """Draw process noise: a continuous autoregression, AR(p), of poles -1/τ and complex pairs; see `noise`.

    Its density is Π 1 / (1 + (2πfτ)²) · Π 1 / |1 - (f/f0)² + 2iδf/f0|², `resonances` being pairs of f0 [Hz] and δ.

    Lines reach up to 100 times the highest corner: of one pole alone, half a percent of the power lies beyond.

    Raises
    ------
    InvalidData
        If there is no pole, or a corner lies too low for the lines or too high.
    """
    corners = [1 / (2 * np.pi * tau) for tau in time_constants_s if tau > 0]
    corners += [f0 for f0, damping in resonances if f0 > 0 and damping > 0]
    if not corners or len(corners) < len(time_constants_s) + len(resonances):
        raise InvalidData("time constants and resonances of process noise must be above 0, and at least one")
    top_hz = _TAIL * max(corners)
    if top_hz > MAX_HZ or min(corners) * PERIOD_S < 1:
        raise InvalidData(
            f"time constants {list(time_constants_s)}, resonances {list(resonances)}: corners of {min(corners):.3g} to"
            f" {max(corners):.3g} Hz must lie between {1 / PERIOD_S} and {MAX_HZ / _TAIL} Hz"
        )

    near = [f0 * np.linspace(max(1 - 20 * d, 0.02), 1 + 20 * d, 2001) for f0, d in resonances]  # a narrow peak
    grid = np.unique(np.concatenate(([0.0], np.geomspace(1e-2 * min(corners), top_hz, 6000), *near)))
    real = corners[: len(time_constants_s)]
    density = 1.0 / np.prod([np.ones(grid.size), *(1.0 + (grid / corner) ** 2 for corner in real)], axis=0)
    for f0, damping in resonances:
        share = grid / f0
        density /= (1.0 - share**2) ** 2 + (2.0 * damping * share) ** 2
    return noise(rng, grid, density, mean=mean, rms=rms, n_lines=n_lines)


def noise(
    rng: np.random.Generator, f_hz: FloatArray, density: FloatArray, *, mean: float, rms: float, n_lines: int
) -> Multisine:
    """Draw a measurand that looks like noise of a power density: lines of equal power, as dense as that.

    The density, given at `f_hz`, both of shape (n,), is cut into `n_lines` strata of equal power; each holds one line,
    at a random place and with a random phase (Schoukens & Pintelon, *System Identification*, 2.2: random-phase
    multisine).
    """
    cumulative = np.concatenate(([0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(f_hz))))
    places = (np.arange(n_lines) + rng.uniform(size=n_lines)) / n_lines
    frequencies = np.interp(places * cumulative[-1], cumulative, f_hz)
    cycles = np.maximum(np.round(frequencies * PERIOD_S).astype(np.int64), 1)
    cycles, counts = np.unique(cycles, return_counts=True)  # two neighbours may round to one line
    amplitudes = rms * np.sqrt(2.0 * counts / n_lines) * np.exp(2j * np.pi * rng.uniform(size=cycles.size))
    return Multisine(mean, cycles, amplitudes)
