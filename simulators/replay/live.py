"""Onto a live broker at true pace, or a multiple of it: devices that publish what a source has, when it arrived there.

Each channel publishes JSON to ``devices/<id>/data``, as the simulated fleet does: ``{"time": <ns since 1970>, "value":
…}`` with arrays for blocks, where ``time`` is that of the first value if the others follow at the declared interval,
and a list if not; and ``quality``, the OPC UA status code of all, or a list of them.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import numpy as np

from dyncal.adapters.mqtt import open_bus
from dyncal.domain.errors import InvalidSetting
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs
from dyncal.ports.clock import Clock
from dyncal.runtime.settings import BrokerSettings
from edge_agent.sources import Connect
from simulators.replay.sources import Block, Source
from simulators.surfaces.addresses import topic
from simulators.surfaces.mqtt_fleet import MqttFleet

CLIENT_ID: Final = "dyncal-replay"
DRAIN_S: Final = 5.0
COALESCE_NS: Final = DurationNs(20_000_000)


class Played(msgspec.Struct, frozen=True):
    """What was published.

    Attributes
    ----------
    complete : bool
        False where it was broken off.
    max_late_s : float
        How late the latest message was handed to the broker [s].
    n_lost : int
        Messages that the broker had not acknowledged in the end.
    """

    source: str
    speed: float
    complete: bool
    n_samples: int
    n_messages: int
    n_loops: int
    span_s: float
    took_s: float
    max_late_s: float
    n_lost: int


async def play(
    source: Source,
    broker: BrokerSettings,
    clock: Clock,
    stop: asyncio.Event,
    *,
    speed: float = 1.0,
    restamp: bool = False,
    loop: bool = False,
    progress: Callable[[InstantNs, int], None] | None = None,
    connect: Connect = open_bus,
) -> Played:
    """Publish all of a source.

    Parameters
    ----------
    speed : float
        Times real time.
    restamp : bool
        Whether times are moved so that the first block arrives now; without, samples bear the times that they had.
    loop : bool
        Whether it begins again at its end, with later times, until `stop`.
    connect : callable
        Opens the bus; tests give another.

    Raises
    ------
    InvalidSetting
        If times are to be moved at another speed than 1: samples would run ahead of the clock.
    InvalidData
        If the source is damaged.
    """
    if restamp and speed != 1.0:
        raise InvalidSetting(f"at {speed:g} times real time, times cannot be moved to now: they would run ahead of it")
    async with connect(broker, CLIENT_ID, will=None, clean=True) as bus, MqttFleet(bus, stop) as fleet:
        waiting = asyncio.ensure_future(bus.wait_connected())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (waiting, stopping):
            task.cancel()
        player = _Player(source, fleet, clock, stop, speed, restamp=restamp, loop=loop)
        await player.run(progress)
        await fleet.drain(DRAIN_S)
        return player.played(fleet.n_left)


class _Player:
    def __init__(
        self,
        source: Source,
        fleet: MqttFleet,
        clock: Clock,
        stop: asyncio.Event,
        speed: float,
        *,
        restamp: bool,
        loop: bool,
    ) -> None:
        self._source, self._fleet, self._clock, self._stop = source, fleet, clock, stop
        self._speed, self._restamp, self._loop = speed, restamp, loop
        self._n_samples = self._n_messages = self._n_loops = self._max_late_ns = 0
        self._complete = False
        self._dt_ns = {stream.sensor.id: stream.sensor.dt_ns for stream in source.streams}
        self._begin_ns = self._at_ns = 0
        self._begun_s = clock.monotonic_s()

    async def run(self, progress: Callable[[InstantNs, int], None] | None) -> None:
        """Publish until the end, or until `stop`."""
        begun_ns: int | None = None
        shift_ns = 0
        for block, moved_ns in self._blocks():
            now = self._clock.now()
            if begun_ns is None:
                begun_ns, self._begin_ns = now, block.arrival_ns
                shift_ns = now - block.arrival_ns if self._restamp else 0
            at_ns = block.arrival_ns + moved_ns
            due_ns = begun_ns + round((at_ns - self._begin_ns) / self._speed)
            if not await self._wait(due_ns - now):
                return
            self._max_late_ns = max(self._max_late_ns, self._clock.now() - due_ns)
            await self._fleet.send(
                topic(block.channel), payload(block, DurationNs(moved_ns + shift_ns), self._dt_ns[block.channel])
            )
            self._at_ns, self._n_messages = at_ns, self._n_messages + 1
            self._n_samples += block.t_ns.size
            if progress is not None:
                progress(InstantNs(at_ns), self._n_samples)
        self._complete = True

    async def _wait(self, span_ns: int) -> bool:
        """Wait, where it is worth it; tell whether to go on."""
        if span_ns > COALESCE_NS:
            try:
                async with asyncio.timeout(span_ns / NS_PER_S):
                    await self._stop.wait()
            except TimeoutError:
                pass
        return not self._stop.is_set()

    def _blocks(self) -> Iterator[tuple[Block, int]]:
        """Iterate over blocks, each with what is to be added to its times: that of a loop follows the one before."""
        moved_ns = 0
        for number in itertools.count():
            first: int | None = None
            last = 0
            for block in self._source.blocks():
                first = int(block.arrival_ns) if first is None else first
                last = int(block.arrival_ns)
                yield block, moved_ns
            if first is None:
                raise InvalidSetting(f"{self._source.name}: there is not one sample to replay")
            self._n_loops = number + 1
            if not self._loop:
                return
            step = max((stream.sensor.dt_ns for stream in self._source.streams), default=NS_PER_S)
            moved_ns += max(last - first, 0) + step

    def played(self, n_lost: int) -> Played:
        """Return what was published."""
        return Played(
            self._source.name,
            self._speed,
            self._complete,
            self._n_samples,
            self._n_messages,
            self._n_loops,
            (self._at_ns - self._begin_ns) / NS_PER_S if self._n_messages else 0.0,
            self._clock.monotonic_s() - self._begun_s,
            self._max_late_ns / NS_PER_S,
            n_lost,
        )


def payload(block: Block, shift_ns: DurationNs, dt_ns: DurationNs) -> bytes:
    """Return the JSON of a block whose times are moved; floats come back exactly, a NaN as null."""
    t_ns = block.t_ns + shift_ns
    even = bool(np.all(np.diff(t_ns) == dt_ns))
    values: list[float] = block.raw.tolist()
    one = len(values) == 1
    content: dict[str, Any] = {
        "time": int(t_ns[0]) if one or even else t_ns.tolist(),
        "value": values[0] if one else values,
    }
    codes = block.codes.tolist()
    content["quality"] = codes[0] if len(set(codes)) == 1 else codes
    return msgspec.json.encode(content)
