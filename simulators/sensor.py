"""A simulated sensor on a uniform grid: measurand, dynamics with drift, converter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, Int64Array
from simulators import dynamics
from simulators.converter import Converter
from simulators.laws import Parameterisation
from simulators.measurand import Multisine, UniformEvaluator

CHUNK: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class Dynamics:
    """A kind of model with its parameters over time."""

    kind: ModelKind
    parameters: Parameterisation


class Response:
    """The exact indication, before the converter, of a sensor that has seen its measurand for ever.

    Parameters
    ----------
    source : Multisine
    sensor : Dynamics, optional
        None for an ideal instrument.
    t0_ns, dt_ns : int
        Grid of the samples; drift laws count from `t0_ns`.
    """

    def __init__(self, source: Multisine, sensor: Dynamics | None, t0_ns: InstantNs, dt_ns: DurationNs) -> None:
        self._source, self._sensor, self._t0_ns, self._dt_ns = source, sensor, t0_ns, dt_ns
        stationary = source
        if sensor is not None:
            theta0, at = sensor.parameters.theta0, dynamics.frequency_response
            dc_gain = float(at(sensor.kind, theta0, np.zeros(1))[0].real)
            stationary = source.filtered(at(sensor.kind, theta0, source.frequencies_hz), dc_gain)
        self._stationary = UniformEvaluator(stationary, dt_ns, CHUNK)
        breaks = sensor.parameters.breakpoints_ns if sensor is not None else ()
        # The chunk that holds the first kink, and all that follow, are integrated.
        self._first_integrated = int(breaks[0] // (dt_ns * CHUNK)) if breaks else None
        self._state: FloatArray | None = None
        self._next = 0

    def next_chunk(self) -> FloatArray:
        """Return the next `CHUNK` indications, float64."""
        index = self._next
        self._next += 1
        if self._first_integrated is not None and index >= self._first_integrated and self._sensor is not None:
            return self._integrated(self._sensor, index * CHUNK)
        return self._stationary.chunk(InstantNs(self._t0_ns + index * CHUNK * self._dt_ns))

    def _integrated(self, sensor: Dynamics, first: int) -> FloatArray:
        grid_ns = self._dt_ns * np.arange(first, first + CHUNK + 1, dtype=np.int64)
        edges_ns = self._edges(sensor, grid_ns)
        start_ns = int(grid_ns[0])
        phasors = self._source.phasors(InstantNs(self._t0_ns + start_ns))
        if self._state is None:
            self._state = dynamics.stationary_state(sensor.kind, sensor.parameters.theta0, self._source, phasors)
        turns = 2j * np.pi * self._source.frequencies_hz

        def theta_at(t_s: FloatArray) -> FloatArray:
            return sensor.parameters.at(start_ns + t_s * NS_PER_S)

        def x_at(t_s: FloatArray) -> FloatArray:  # instants between nanoseconds: a short way on from an exact phase
            values: FloatArray = (np.exp(t_s[:, None] * turns) @ phasors).real + self._source.mean
            return values

        states = dynamics.integrate(sensor.kind, theta_at, x_at, self._state, (edges_ns - start_ns) / NS_PER_S)
        self._state = states[-1]
        on_grid = np.searchsorted(edges_ns, grid_ns[:-1])
        c = dynamics.state_space(sensor.kind, sensor.parameters.at(grid_ns[:-1])).c
        return np.asarray(np.einsum("nd,nd->n", c, states[on_grid]), dtype=np.float64)

    def _edges(self, sensor: Dynamics, grid_ns: Int64Array) -> Int64Array:
        """Return step edges: the grid, subdivided as the rates ask, and the kinks of the drift laws."""
        fastest = max(
            dynamics.rate(sensor.kind, sensor.parameters.at(grid_ns)), 2 * np.pi * self._source.frequencies_hz[-1]
        )
        n_sub = max(int(np.ceil(fastest * self._dt_ns / NS_PER_S / dynamics.MAX_STEP)), 1)
        fine = grid_ns[:-1, None] + (self._dt_ns * np.arange(n_sub, dtype=np.int64)) // n_sub
        kinks = [t for t in sensor.parameters.breakpoints_ns if grid_ns[0] < t < grid_ns[-1]]
        return np.unique(np.concatenate((fine.ravel(), grid_ns[-1:], np.array(kinks, dtype=np.int64))))


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
        self._response, self._converter, self._rng = response, converter, rng
        self._ready: FloatArray = np.empty(0)

    def take(self, n: int) -> FloatArray:
        """Return the next `n` indications, float64, shape (n,)."""
        parts = [self._ready]
        have = self._ready.size
        while have < n:
            chunk = self._converter.convert(self._response.next_chunk(), self._rng)
            parts.append(chunk)
            have += chunk.size
        ready = np.concatenate(parts)
        self._ready = ready[n:]
        return ready[:n]
