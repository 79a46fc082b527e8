"""A simulated sensor on a uniform grid: measurand, dynamics with drift, converter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, Int64Array
from simulators.physics import dynamics
from simulators.physics.characteristic import Characteristic
from simulators.physics.converter import Conversion, Converter
from simulators.physics.dynamics import Form
from simulators.physics.laws import Parameterisation
from simulators.physics.measurand import Multisine, UniformEvaluator
from simulators.physics.waveforms import Delayed, Measurand, Sum

CHUNK: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class Dynamics:
    """A form of dynamics with its parameters over time, and the dead time before it [ns]."""

    form: Form
    parameters: Parameterisation
    delay_ns: DurationNs = DurationNs(0)


class Response:
    """The exact indication, before the converter, of a sensor: to noise it has seen for ever, to all else from rest.

    Parameters
    ----------
    source : Measurand
        Sensors with dynamics are linear: of a sum, each part is taken by itself.
    sensor : Dynamics, optional
        None for an ideal instrument.
    t0_ns, dt_ns : int
        Grid of the samples; drift laws count from `t0_ns`.
    """

    def __init__(self, source: Measurand, sensor: Dynamics | None, t0_ns: InstantNs, dt_ns: DurationNs) -> None:
        self.dt_ns = dt_ns
        if sensor is not None and isinstance(sensor.form, Characteristic):
            self._parts: list[_Part] = [_Static(source, sensor, sensor.form, t0_ns, dt_ns)]
        else:
            parts = source.parts if isinstance(source, Sum) else (source,)
            self._parts = [_of(part, sensor, t0_ns, dt_ns) for part in parts]
        self._next = 0

    def next_chunk(self) -> FloatArray:
        """Return the next `CHUNK` indications, float64."""
        index = self._next
        self._next += 1
        return np.asarray(np.sum([part.chunk(index) for part in self._parts], axis=0), np.float64)


class _Part(Protocol):
    def chunk(self, index: int) -> FloatArray:
        """Return the indications of a chunk; each once, in order."""
        ...


def _of(source: Measurand, sensor: Dynamics | None, t0_ns: InstantNs, dt_ns: DurationNs) -> _Part:
    if sensor is None:
        return _Stationary(source, t0_ns, dt_ns) if isinstance(source, Multisine) else _Ideal(source, t0_ns, dt_ns)
    if not isinstance(source, Multisine):
        late: Measurand = Delayed(source, sensor.delay_ns) if sensor.delay_ns else source
        start = dynamics.state_at_rest(sensor.form, sensor.parameters.theta0, float(late.value(np.array([t0_ns]))[0]))
        return _Integrated(late, sensor, t0_ns, dt_ns, start)
    noise = source.delayed(sensor.delay_ns)
    breaks = sensor.parameters.breakpoints_ns
    stationary = _stationary_response(noise, sensor, t0_ns, dt_ns)
    if not breaks:
        return stationary
    # The chunk that holds the first kink, and all that follow, are integrated.
    first = int(breaks[0] // (dt_ns * CHUNK))
    phasors = noise.phasors(InstantNs(t0_ns + first * CHUNK * dt_ns))
    start = dynamics.stationary_state(sensor.form, sensor.parameters.theta0, noise, phasors)
    return _Until(first, stationary, _Integrated(noise, sensor, t0_ns, dt_ns, start))


def _stationary_response(source: Multisine, sensor: Dynamics, t0_ns: InstantNs, dt_ns: DurationNs) -> _Stationary:
    theta0, at = sensor.parameters.theta0, dynamics.frequency_response
    dc_gain = float(at(sensor.form, theta0, np.zeros(1))[0].real)
    return _Stationary(source.filtered(at(sensor.form, theta0, source.frequencies_hz), dc_gain), t0_ns, dt_ns)


class _Stationary:
    """Noise that is known for ever."""

    def __init__(self, source: Multisine, t0_ns: InstantNs, dt_ns: DurationNs) -> None:
        self._evaluator, self._t0_ns, self._dt_ns = UniformEvaluator(source, dt_ns, CHUNK), t0_ns, dt_ns

    def chunk(self, index: int) -> FloatArray:
        return self._evaluator.chunk(InstantNs(self._t0_ns + index * CHUNK * self._dt_ns))


class _Ideal:
    """What an ideal instrument shows."""

    def __init__(self, source: Measurand, t0_ns: InstantNs, dt_ns: DurationNs) -> None:
        self._source, self._t0_ns, self._dt_ns = source, t0_ns, dt_ns

    def chunk(self, index: int) -> FloatArray:
        grid_ns = self._dt_ns * np.arange(index * CHUNK, (index + 1) * CHUNK, dtype=np.int64)
        return self._source.value(self._t0_ns + grid_ns)


class _Static:
    """What a sensor without dynamics shows."""

    def __init__(
        self, source: Measurand, sensor: Dynamics, form: Characteristic, t0_ns: InstantNs, dt_ns: DurationNs
    ) -> None:
        self._source, self._sensor, self._form, self._t0_ns, self._dt_ns = source, sensor, form, t0_ns, dt_ns

    def chunk(self, index: int) -> FloatArray:
        grid_ns = self._dt_ns * np.arange(index * CHUNK, (index + 1) * CHUNK, dtype=np.int64)
        x = self._source.value(self._t0_ns + grid_ns - self._sensor.delay_ns)
        return self._form.indication(self._sensor.parameters.at(grid_ns), x)


class _Until:
    """One part until a chunk, another from there."""

    def __init__(self, first: int, before: _Part, after: _Part) -> None:
        self._first, self._before, self._after = first, before, after

    def chunk(self, index: int) -> FloatArray:
        return (self._before if index < self._first else self._after).chunk(index)


class _Integrated:
    """A sensor's state, integrated from `state` at the beginning of the first chunk that is asked for."""

    def __init__(
        self, source: Measurand, sensor: Dynamics, t0_ns: InstantNs, dt_ns: DurationNs, state: FloatArray
    ) -> None:
        self._source, self._sensor, self._t0_ns, self._dt_ns, self._state = source, sensor, t0_ns, dt_ns, state

    def chunk(self, index: int) -> FloatArray:
        first, sensor = index * CHUNK, self._sensor
        grid_ns = self._dt_ns * np.arange(first, first + CHUNK + 1, dtype=np.int64)
        edges_ns = self._edges(grid_ns)
        start_ns = int(grid_ns[0])

        def theta_at(t_s: FloatArray) -> FloatArray:
            return sensor.parameters.at(start_ns + t_s * NS_PER_S)

        x_at = self._source.near(InstantNs(self._t0_ns + start_ns))
        states = dynamics.integrate(sensor.form, theta_at, x_at, self._state, (edges_ns - start_ns) / NS_PER_S)
        self._state = states[-1]
        at_samples = states[np.searchsorted(edges_ns, grid_ns[:-1])]
        space = dynamics.state_space(sensor.form, sensor.parameters.at(grid_ns[:-1]))
        indication: FloatArray = np.einsum("nk,nk->n", space.c, at_samples)
        if np.any(space.d):
            indication += space.d * self._source.value(self._t0_ns + grid_ns[:-1])
        return indication

    def _edges(self, grid_ns: Int64Array) -> Int64Array:
        """Return step edges: the grid, subdivided as the rates ask, and the kinks of drift laws and measurand."""
        first, last = (InstantNs(self._t0_ns + int(t)) for t in grid_ns[[0, -1]])
        parameters = self._sensor.parameters
        natural = dynamics.rate(self._sensor.form, parameters.at(grid_ns))
        fastest = max(natural, self._source.fastest_rad_s, parameters.fastest_rad_s)
        n_sub = max(int(np.ceil(fastest * self._dt_ns / NS_PER_S / dynamics.MAX_STEP)), 1)
        fine = grid_ns[:-1, None] + (self._dt_ns * np.arange(n_sub, dtype=np.int64)) // n_sub
        kinks = [t for t in self._sensor.parameters.breakpoints_ns if grid_ns[0] < t < grid_ns[-1]]
        breaks = self._source.breaks_ns(first, last) - self._t0_ns
        return np.unique(np.concatenate((fine.ravel(), grid_ns[-1:], np.array(kinks, dtype=np.int64), breaks)))


class SampledSensor:
    """Streams the converter's output sample by sample of the grid, the same bits however it is asked.

    Parameters
    ----------
    response : Response
    converter : Converter
    rng : Generator
        Source of the converter's noise.
    """

    def __init__(self, response: Response, converter: Converter, rng: np.random.Generator) -> None:
        self._response, self._conversion = response, Conversion(converter, rng)
        self._ready: FloatArray = np.empty(0)
        self._made = 0

    def take(self, n: int) -> FloatArray:
        """Return the next `n` indications, float64, shape (n,)."""
        parts = [self._ready]
        have = self._ready.size
        while have < n:
            since_ns = self._response.dt_ns * np.arange(self._made, self._made + CHUNK, dtype=np.int64)
            chunk = self._conversion.convert(self._response.next_chunk(), since_ns)
            self._made += CHUNK
            parts.append(chunk)
            have += chunk.size
        ready = np.concatenate(parts)
        self._ready = ready[n:]
        return ready[:n]
