"""The measurand's spectrum from indications at instants of any spacing.

The smoother's own filter gives the exact likelihood of a record, -2 ln L = Σ ν²/S + ln S, whatever the intervals
(Kalman likelihood; Jones, Technometrics 22 (1980) 389, for observations that are missing). It is maximised over density
and corner for orders 1, 2, 4 and 8: a grid over corners, with the density that the record's variance gives, and a
search that closes in from the best of each order. Of spectra that the record does not tell apart the one with the
largest u is taken: a corner that is too low loses what u does not say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from dyncal.correction.design.screen import lone_spike, refuse_saturated
from dyncal.correction.design.sensor import Sensor, sensor_of
from dyncal.correction.design.spectrum import MeasurandSpectrum
from dyncal.correction.design.stale import refuse_standstill
from dyncal.correction.smoother import kernels, plain
from dyncal.correction.smoother.build import build_smoother
from dyncal.correction.smoother.intervals import over
from dyncal.correction.smoother.rest import lag_errors, n_lags
from dyncal.correction.streaming.slots import usable
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.kernels import HAVE_NUMBA

_SHORTEST: Final = 128
_LONGEST: Final = 2048  # newest samples that are used
_TICKS: Final = 16  # in a nominal interval: instants are rounded to them, errors do not add up
_ORDERS: Final = (1, 2, 4, 8)
_CORNERS: Final = 7
_FEWEST_PERIODS: Final = 3.0  # of the corner in the record
_STEPS: Final = (0.7, 0.06)  # in ln density and ln corner: first and last; a coarser end takes one order for another
_MOVES: Final = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, 1))  # the last two keep the variance
_AS_GOOD: Final = 2.0  # of -2 ln L: of spectra that the record tells apart no better, the one of the largest u is taken
_ACTIVITY: Final = 30.0  # twice the log-likelihood that a measurand must add to mere noise (p < 1e-5)
_FREQUENCIES: Final = 512
_HALF_STEP: Final = math.sqrt(10.0)  # noises that are tried instead of the stated one are ten times apart at first
_OTHER: Final = 5.0  # factor between a stated noise and the one that shows

Point = tuple[float, float, int]  # ln density, ln corner, order


def fit_measurand(
    t_ns: Int64Array, indication: FloatArray, parameters: Parameters, *, dt_ns: int, noise_std: float
) -> MeasurandSpectrum:
    """Fit the measurand's spectrum to a record: `fit_spectrum` for instants that lie on no grid.

    Parameters
    ----------
    t_ns : int64, shape (n,)
        Strictly increasing.
    indication : float64, shape (n,)
        What is not finite is left out; at least 128 others, of which the newest 2048 are used.
    parameters : Parameters
        Of the sensor.
    dt_ns : int
        Nominal interval [ns]; instants are rounded to a 16th of it.
    noise_std : float
        Standard deviation of the sensor's white noise.

    Raises
    ------
    InvalidData
        If the record is too short, constant, saturated, stands still for a while, is out of order, has a lone spike or
        shows no activity beyond noise, or shows another noise than the stated one, several times as large or as small;
        as `build_smoother`.
    """
    y = np.asarray(indication, np.float64)
    if t_ns.shape != y.shape or t_ns.ndim != 1 or bool(np.any(np.diff(t_ns) <= 0)):
        raise InvalidData("a record needs as many instants as indications, strictly increasing")
    if not (dt_ns > 0 and 0 < noise_std < math.inf):
        raise InvalidData(f"a record needs a positive interval and noise, not {dt_ns} ns and {noise_std}")
    good = usable(y)
    t, y = t_ns[good][-_LONGEST:], y[good][-_LONGEST:]
    if y.size < _SHORTEST:
        raise InvalidData(f"a spectrum is fitted to at least {_SHORTEST} finite samples, not {y.size}")
    spread = float(np.std(y))
    if spread <= 1e-12 * float(np.max(np.abs(y))):
        raise InvalidData("no activity: the indication is constant")
    refuse_saturated(y)
    refuse_standstill(y)
    spike = lone_spike(y)
    if spike is not None:
        raise InvalidData(f"the indication has a lone spike of {y[spike]:.6g} at {int(t[spike])} ns")
    return _Likelihood(t, y, parameters, sensor_of(parameters), dt_ns, noise_std).maximise()


@dataclass(slots=True, eq=False)
class _Likelihood:
    t_ns: Int64Array
    y: FloatArray
    parameters: Parameters
    sensor: Sensor
    dt_ns: int
    noise_std: float
    known: dict[Point, float] = field(default_factory=dict)

    def __call__(self, at: Point) -> float:
        """Return -2 ln L, infinite where no smoother can be made."""
        if at not in self.known:
            self.known[at] = self._computed(at)
        return self.known[at]

    def _computed(self, at: Point) -> float:
        try:
            spectrum = MeasurandSpectrum(math.exp(at[0]), math.exp(at[1]), at[2])
            model = build_smoother(
                self.parameters, dt_ns=self.dt_ns, noise_std=self.noise_std, spectrum=spectrum, lag_s=0.0
            )
        except (InvalidData, OverflowError, np.linalg.LinAlgError):
            return math.inf
        ticks = np.rint((self.t_ns - self.t_ns[0]) * (_TICKS / self.dt_ns)).astype(np.int64)
        different, step = np.unique(np.diff(ticks, prepend=0), return_inverse=True)
        n, size = model.observe.size, self.y.size
        innovations, nothing = np.zeros(6), np.zeros((2, 3))
        with np.errstate(all="ignore"):  # a likelihood that is no number is none
            phi, noise, *_ = over(model, different * (self.dt_ns / NS_PER_S / _TICKS))
            (kernels if HAVE_NUMBA else plain).advance(
                step.astype(np.int64), np.full(size, kernels.MEASURE), self.y, ticks, ticks, ticks, np.zeros(size),
                np.ascontiguousarray(phi), np.ascontiguousarray(noise), model.observe, model.measurand,
                model.start, model.noise_variance, math.inf, 0, model.rest * float(self.y[0]), model.start.copy(),
                np.zeros(2, np.int64), np.zeros((2, 3), np.int64), nothing, np.zeros((2, n)), innovations,
                np.zeros((1, 3), np.int64), np.zeros((1, 3)),
            )  # fmt: skip
        value = float(innovations[0] + innovations[2])
        return value if math.isfinite(value) else math.inf

    def maximise(self) -> MeasurandSpectrum:
        length_s, dt_s = float(self.t_ns[-1] - self.t_ns[0]) / NS_PER_S, self.dt_ns / NS_PER_S
        bounds = math.log(2 * math.pi * _FEWEST_PERIODS / length_s), math.log(2 * math.pi / dt_s)
        found = min((self._closed_in(start, bounds) for start in self._starts(bounds)), key=self)
        gain = self._of_noise() - self(found)
        self._refuse_other_noise(self(found) if gain > _ACTIVITY else self._of_noise(), bounds)
        if not gain > _ACTIVITY:
            raise InvalidData(f"no activity: the indication is noise (log-likelihood ratio {gain:.3g})")
        as_good = [at for at, value in self.known.items() if value <= self(found) + _AS_GOOD]
        found = max(as_good, key=self._error)
        return MeasurandSpectrum(math.exp(found[0]), math.exp(found[1]), found[2], self.noise_std)

    def _starts(self, bounds: tuple[float, float]) -> list[Point]:
        """Return the best corner of a grid for each order."""
        corners = np.linspace(*bounds, _CORNERS).tolist()
        return [min(((self._density(corner, k), corner, k) for corner in corners), key=self) for k in _ORDERS]

    def _refuse_other_noise(self, value: float, bounds: tuple[float, float]) -> None:
        """Refuse a stated noise where another one, several times as large or as small, is far likelier.

        `value` is the least -2 ln L for the stated one; for others that of a grid, from which it could only fall.
        """
        tried = {1.0: value - _ACTIVITY}

        def likelier(ratio: float) -> bool:
            best = min(tried.values())
            tried[ratio] = replace(self, noise_std=ratio * self.noise_std, known={}).coarsely(bounds)
            return tried[ratio] < best

        ratio = 10.0
        while ratio * self.noise_std < float(np.std(self.y)):  # much too small, a noise little larger is no better
            likelier(ratio)
            ratio *= 10
        ratio = 0.1
        while likelier(ratio):
            ratio /= 10
        ratio = min(tried, key=tried.__getitem__)
        if ratio != 1.0:
            likelier(ratio * _HALF_STEP)
            likelier(ratio / _HALF_STEP)
            ratio = min(tried, key=tried.__getitem__)
        if not 1 / _OTHER <= ratio <= _OTHER:
            raise InvalidData(f"the record shows a noise about {ratio:.4g} times the stated one")

    def coarsely(self, bounds: tuple[float, float]) -> float:
        """Return the least -2 ln L of a grid over corners, for any order."""
        return min(self(start) for start in self._starts(bounds))

    def _error(self, at: Point) -> float:
        """Return the rms error that a smoother for this spectrum states of itself, with as much lag as it wants."""
        spectrum = MeasurandSpectrum(math.exp(at[0]), math.exp(at[1]), at[2])
        model = build_smoother(self.parameters, dt_ns=self.dt_ns, noise_std=self.noise_std, spectrum=spectrum)
        return float(lag_errors(model, n_lags(model))[-1])

    def _density(self, corner: float, order: int) -> float:
        """Return ln S0 that gives the record its variance."""
        omega: FloatArray = np.linspace(0, 8 * math.exp(corner), _FREQUENCIES, endpoint=False, dtype=np.float64)
        power = MeasurandSpectrum(1.0, math.exp(corner), order).at(omega) * np.abs(self.sensor.response(omega)) ** 2
        unit = float(np.sum(power)) * float(omega[1] - omega[0]) / math.pi
        signal = max(float(np.var(self.y)) - self.noise_std**2, 1e-3 * float(np.var(self.y)))
        return math.log(signal / max(unit, 1e-300))

    def _closed_in(self, start: Point, bounds: tuple[float, float]) -> Point:
        """Return the best point near `start`, by moves whose steps shrink, from first to last, where none helps."""
        here, step = start, _STEPS[0]
        while step > _STEPS[1]:
            tried = [
                (here[0] + a * step, min(max(here[1] + b * step, bounds[0]), bounds[1]), here[2]) for a, b in _MOVES
            ]
            best = min(tried, key=self)
            here, step = (best, step) if self(best) < self(here) else (here, step / 2)
        return here

    def _of_noise(self) -> float:
        """Return -2 ln L of a constant with white noise as strong as the record."""
        variance = max(float(np.var(self.y)), self.noise_std**2)
        return self.y.size * (math.log(variance) + float(np.var(self.y)) / variance)
