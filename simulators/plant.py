"""A plant: the channels of a scenario, running from an instant, and the truth behind them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import DurationNs, InstantNs, Int64Array
from simulators.physics.laws import Parameterisation
from simulators.physics.measurand import Multisine, on_grid
from simulators.physics.sensor import Response, SampledSensor
from simulators.physics.waveforms import Measurand
from simulators.scenarios.scenario import Scenario, StationSpec

Role = Literal["sensor", "reference"]
_STREAMS: Final = {"measurand": 0, "sensor": 1, "reference": 2, "sensor-transport": 3, "reference-transport": 4}


@dataclass(frozen=True, slots=True, eq=False)
class Publication:
    """A block of samples that a device hands over at once: `t_ns` int64 and `value` float64, shape (n,).

    `overtaken` says that later ones may come before.
    """

    t_ns: Int64Array
    value: FloatArray
    copies: int
    due_ns: InstantNs
    overtaken: bool = False


class Channel:
    """One measuring channel: an endless stream of publications, the same bits for the same seed and start.

    Attributes
    ----------
    id : str
    station : StationSpec
    role : "sensor" or "reference"
    t0_ns : int
        Instant of the first sample.
    """

    def __init__(self, plant: Plant, station: StationSpec, role: Role) -> None:
        if role == "reference":
            station, role = plant.home(station.reference_id)
        self.station, self.role, self.t0_ns = station, role, plant.t0_ns
        self.id = station.id if role == "sensor" else station.reference_id
        self.dt_ns = DurationNs(station.dt_ns)
        sensor = station.dynamics if role == "sensor" else station.reference.dynamics
        converter = station.converter if role == "sensor" else station.reference.converter
        transport = station.transport if role == "sensor" else station.reference.transport
        response = Response(plant.measurand(station), sensor, self.t0_ns, self.dt_ns)
        self._samples = SampledSensor(response, converter.converter(), plant.rng(station, role))
        self._transport = transport.transport()
        self._rng = plant.rng(station, f"{role}-transport")
        self._taken = 0
        self._said = float("nan")  # the last value published, where that matters

    def next_publication(self) -> Publication:
        """Return the next block; `copies` is 0 where it was lost or the channel was silent at its last sample."""
        n, way = self.station.block, self._transport
        t_ns = self.t0_ns + self.dt_ns * np.arange(self._taken, self._taken + n, dtype=np.int64)
        self._taken += n
        value = self._samples.take(n)
        fate = way.fate(self._rng)
        said = not way.is_silent(t_ns[-1:] - self.t0_ns)[0] and not abs(value[-1] - self._said) <= way.deadband
        if said and way.deadband > 0:
            self._said = float(value[-1])
        due_ns = InstantNs(int(t_ns[-1]) + fate.delay_ns)
        shown_ns = way.clock.shown(t_ns, self.t0_ns)
        return Publication(shown_ns, value, fate.copies if said else 0, due_ns, fate.overtaken)


class Plant:
    """All channels of a scenario.

    Parameters
    ----------
    scenario : Scenario
    t0_ns : int
        Instant of the first sample of every channel, a whole number of microseconds.
    """

    def __init__(self, scenario: Scenario, t0_ns: InstantNs) -> None:
        self.scenario, self.t0_ns = scenario, t0_ns
        self._measurands: dict[str, Measurand] = {}
        self._homes: dict[str, tuple[StationSpec, Role]] = {
            (s.id if role == "sensor" else s.reference_id): (s, role) for s in scenario.stations for role in _roles(s)
        }

    def channels(self, surface: Literal["opcua", "mqtt"] | None = None) -> list[Channel]:
        """Return fresh channels, sensor then its own reference for every station, of one surface or of all."""
        stations = [s for s in self.scenario.stations if surface in (None, s.surface)]
        return [Channel(self, station, role) for station in stations for role in _roles(station)]

    def home(self, channel: str) -> tuple[StationSpec, Role]:
        """Return the station that has a channel, and what it is there. Raises `KeyError`."""
        return self._homes[channel]

    def channel(self, station: StationSpec, role: Role) -> Channel:
        """Return one fresh channel; the reference may be that of a station beside it."""
        return Channel(self, station, role)

    def measurand(self, station: StationSpec) -> Measurand:
        """Return what the station is exposed to: the truth at any instant."""
        place = station.beside or station.id
        if place not in self._measurands:
            rng = self._rng(place, "measurand")
            self._measurands[place] = station.measurand.measurand(rng, self.t0_ns)
        return self._measurands[place]

    def truth(self, station: StationSpec, t_ns: Int64Array) -> FloatArray:
        """Return what the station is exposed to at `t_ns`, shape (n,); fast for instants of its grid."""
        source = self.measurand(station)
        if isinstance(source, Multisine):
            return on_grid(source, self.t0_ns, DurationNs(station.dt_ns), t_ns)
        return source.value(t_ns)

    def parameters(self, station: StationSpec) -> Parameterisation:
        """Return the true parameters of the station's sensor over the time since `t0_ns`."""
        return station.dynamics.parameters

    def rng(self, station: StationSpec, stream: str) -> np.random.Generator:
        """Return the generator of one stream of a station: it depends on nothing but seed and names."""
        return self._rng(station.id, stream)

    def _rng(self, name: str, stream: str) -> np.random.Generator:
        return np.random.default_rng([self.scenario.seed, zlib.crc32(name.encode()), _STREAMS[stream]])


def _roles(station: StationSpec) -> tuple[Role, ...]:
    """Return the channels that a station has itself."""
    return ("sensor",) if station.referenced_by is not None else ("sensor", "reference")
