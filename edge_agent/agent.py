"""The edge agent's engine: events in, effects out. It reads no clock, no disk and no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import DurationNs, InstantNs, Int64Array
from edge_agent.acceptance import Policy
from edge_agent.events import (
    AgentLimits,
    ClockTold,
    Committed,
    DesiredSet,
    Drain,
    Effect,
    Event,
    Kind,
    Notice,
    Release,
    SamplesRead,
    ShadowSet,
    SourceLost,
    StreamConfig,
    StreamStart,
    TellResiduals,
    Tick,
)
from edge_agent.stream import Stream


class AgentEngine:
    """Everything that an edge decides.

    Parameters
    ----------
    edge : str
        Name of this edge.
    epoch : int
        Identity of its spool.
    configs : iterable of StreamConfig
        The sensors.
    starts : mapping of sensor to StreamStart
        Where the records of each go on, by the spool; absent ones begin.
    newest : mapping of sensor to array of int64, optional
        Instants [ns] of the samples that an earlier life spooled last: they are not taken again.
    refused : mapping of sensor to mapping, optional
        What an earlier life told last of what it refused, with the instants [ns]: it is not told again.
    """

    def __init__(
        self,
        edge: EdgeId,
        epoch: int,
        configs: Iterable[StreamConfig],
        starts: Mapping[SensorId, StreamStart],
        *,
        limits: AgentLimits,
        policy: Policy,
        newest: Mapping[SensorId, Int64Array] | None = None,
        refused: Mapping[SensorId, Mapping[int, InstantNs]] | None = None,
    ) -> None:
        self._edge = edge
        self._epoch = epoch
        self._limits = limits
        self._policy = policy
        self._streams: dict[SensorId, Stream] = {}
        self._residuals_ns = InstantNs(0)
        self._u_clock_ns = DurationNs(0)
        self.add(configs, starts)
        for sensor, t_ns in ({} if newest is None else newest).items():
            if sensor in self._streams:
                self._streams[sensor].know(t_ns)
        for sensor, told in ({} if refused is None else refused).items():
            if sensor in self._streams:
                self._streams[sensor].refusals.know(told)

    def add(self, configs: Iterable[StreamConfig], starts: Mapping[SensorId, StreamStart]) -> None:
        """Take up sensors, whose records go on where `starts` says."""
        for config in configs:
            name = config.sensor.id
            start = starts.get(name, StreamStart())
            stream = Stream(config, self._edge, self._epoch, start, self._limits, self._policy)
            stream.clock(ClockTold(self._u_clock_ns, InstantNs(0)))
            self._streams[name] = stream

    def remove(self, sensors: Iterable[SensorId], now: InstantNs) -> list[Effect]:
        """Let go of sensors that nobody reads any more; return what is to be done with what was read of them."""
        gone = [self._streams.pop(sensor) for sensor in sensors if sensor in self._streams]
        return [effect for stream in gone for effect in stream.cut(now)]

    @property
    def streams(self) -> Mapping[SensorId, Stream]:
        """The sensors' streams, to look at."""
        return self._streams

    def restore(
        self, kept: Mapping[SensorId, bytes], now: InstantNs, highest: Mapping[SensorId, int] | None = None
    ) -> list[Effect]:
        """Apply the last-known-good sets that were on disk, where also the `highest` sequences were. Called first."""
        effects: list[Effect] = []
        known = {} if highest is None else highest
        for sensor, stream in self._streams.items():
            if sensor in kept or sensor in known:
                effects += stream.adjustment.restore(kept.get(sensor), known.get(sensor, 0), now)
        return effects

    def handle(self, event: Event) -> list[Effect]:
        """Take an event and return what must be done, in that order."""
        match event:
            case SamplesRead():
                return self._read(event)
            case Tick(now):
                effects = [effect for stream in self._streams.values() for effect in stream.tick(now)]
                return effects + self._residuals(now)
            case Drain(now, sensors):
                chosen = self._streams if sensors is None else sensors
                return [
                    effect for sensor in chosen if sensor in self._streams for effect in self._streams[sensor].cut(now)
                ]
            case SourceLost():
                for sensor in event.sensors:
                    if sensor in self._streams:
                        self._streams[sensor].lost(event.cause)
                return []
            case DesiredSet() | ShadowSet():
                return self._desired(event)
            case Committed():
                return self._committed(event)
            case ClockTold():
                self._u_clock_ns = event.u_ns
                return [effect for stream in self._streams.values() for effect in stream.clock(event)]

    def _read(self, event: SamplesRead) -> list[Effect]:
        """Take samples; those of a sensor that was let go while they were on their way are nobody's any more."""
        stream = self._streams.get(event.sensor)
        if stream is not None:
            return stream.take(event)
        return [] if event.receipt is None else [Release((event.receipt,))]

    def _residuals(self, now: InstantNs) -> list[Effect]:
        """Tell every few seconds what is new of the residuals."""
        if 0 <= now - self._residuals_ns < self._limits.residuals_ns:
            return []
        self._residuals_ns = now
        found = [report for stream in self._streams.values() for report in stream.adjustment.residuals()]
        return [TellResiduals(tuple(found), now)] if found else []

    def _desired(self, event: DesiredSet | ShadowSet) -> list[Effect]:
        stream = self._streams.get(event.sensor)
        if stream is None:
            return [Notice(Kind.DESIRED_SET_IGNORED, event.at_ns, None, f"no sensor {event.sensor} on this edge")]
        # What was read before goes through the set that was in force.
        effects = stream.cut(event.at_ns)
        if isinstance(event, ShadowSet):
            stream.adjustment.accompany(event.envelope, event.at_ns)
            return effects
        return [*effects, *stream.adjustment.desire(event.envelope, event.at_ns)]

    def _committed(self, event: Committed) -> list[Effect]:
        """Number above what the store has: only after a loss of power can it have more than the spool remembers."""
        effects: list[Effect] = []
        # Sets begin and expire by the services' clock: with ours behind, a rollback would wait for as long as that.
        behind_ns = max(0, event.said_ns - event.at_ns)
        for stream in self._streams.values():
            stream.adjustment.behind_ns = behind_ns
        if event.epoch != self._epoch:
            return effects
        for sensor, upto in event.upto.items():
            numbered = self._streams.get(sensor)
            if numbered is not None and upto >= numbered.next_sequence:
                detail = f"from {numbered.next_sequence} to {upto + 1}: the store has more than the spool remembered"
                numbered.jump(upto + 1)
                effects.append(Notice(Kind.SEQUENCE_JUMPED, event.at_ns, sensor, detail))
        return effects
