"""The network-free driver: a source through the engines of edge, ingest and calibrate, under a simulated clock.

Events are merged by (instant, who, order): samples that arrive, then the edges' ticks, then ingest's, then
calibration's. What a program publishes reaches the others at the same instant, and what they answer as well, until
nothing more is said. Nothing sleeps, and nothing reads the machine's clock.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from dyncal.adapters.registry import open_registry
from dyncal.contracts.topics import EdgeAddress
from dyncal.correction.safety import SafetyLimits
from dyncal.domain.errors import InvalidSetting
from dyncal.domain.samples import MAX_BLOCK_SAMPLES
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, duration
from dyncal.ports.registry import Registry
from dyncal.ports.sample_store import SampleStore
from dyncal.runtime.clocks import SimulatedClock
from dyncal.runtime.settings import RegistrySettings
from edge_agent.acceptance import Policy
from edge_agent.events import AgentLimits, StreamConfig
from services.calibrate.settings import CalibrateSection
from services.ingest.pipeline import Limits
from simulators.replay.calibrate import CalibrateDriver
from simulators.replay.edge import EdgeDriver
from simulators.replay.effects import Effects
from simulators.replay.ingest import IngestDriver
from simulators.replay.keys import Trusts, seeded_signer
from simulators.replay.recorder import Recorder
from simulators.replay.simulated import T0, SimulatedSource
from simulators.replay.sources import Block, Source, gathered
from simulators.replay.stores import DigestStore, MemoryLedger, OnCorrected
from simulators.replay.wires import Wire, place
from simulators.scenarios.scenario import Scenario

_SETTLE_NS: Final = duration(1.0)  # after the last sample: what waits for others is cut, stored and dealt with
_AT_ONCE_NS: Final = DurationNs(1)

Progress = Callable[[InstantNs, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What effects depend on beside the source; all of it is in their record.

    Attributes
    ----------
    seed : int
        Of the signing key, and of what ingest leaves to chance.
    flush_ns : int
        Longest that a sample waits at the edge for others of its block [ns].
    tick_ns, poll_ns : int
        Interval of calibration's ticks, and of its looks at the registry [ns].
    gather_ns : int, optional
        Samples that arrive within spans of this length are taken together, at the end of each; the edges' ticks come
        as often [ns]. It makes a replay fast, and decisions wait for the end of a span. None: as they arrive.
    rules : CalibrateSection
    ingest : Limits
    """

    seed: int = 0
    flush_ns: DurationNs = DurationNs(400_000_000)
    tick_ns: DurationNs = DurationNs(NS_PER_S)
    poll_ns: DurationNs = DurationNs(NS_PER_S)
    gather_ns: DurationNs | None = None
    rules: CalibrateSection = field(default_factory=lambda: CalibrateSection(snapshot_s=1e9))
    ingest: Limits = field(default_factory=Limits)

    def record(self) -> dict[str, Any]:
        """Return them as they are put down."""
        return {
            "seed": self.seed,
            "flush_ns": self.flush_ns,
            "tick_ns": self.tick_ns,
            "poll_ns": self.poll_ns,
            "gather_ns": self.gather_ns,
            "calibrate": self.rules.model_dump(mode="json"),
            "ingest": msgspec.to_builtins(self.ingest),
        }

    @property
    def edge_tick_ns(self) -> int:
        """Interval of the edges' ticks: four in a flush interval, as the agent has them."""
        return max(self.flush_ns // 4, 1) if self.gather_ns is None else self.gather_ns

    @property
    def limits(self) -> AgentLimits:
        """The edge's limits."""
        if self.gather_ns is None:
            return AgentLimits(flush_ns=self.flush_ns)
        return AgentLimits(flush_ns=_AT_ONCE_NS, block_samples=MAX_BLOCK_SAMPLES)


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """A replay that has ended: its effects, the samples that went through it, and the span of simulated time [ns]."""

    effects: Effects
    n_samples: int
    span_ns: DurationNs


def run_scenario(
    scenario: Scenario, seconds: float | None = None, options: Options | None = None, *, t0_ns: InstantNs = T0
) -> Effects:
    """Replay a scenario without network, for as long as it lasts or for `seconds`, and return what came of it.

    Raises
    ------
    InvalidSetting, InvalidData
        If the scenario declares what no edge takes.
    """
    span_ns = duration(scenario.lasts_s if seconds is None else seconds)
    return replay(SimulatedSource(scenario, span_ns, t0_ns), options).effects


def replay(
    source: Source,
    options: Options | None = None,
    *,
    store: SampleStore | None = None,
    on_corrected: OnCorrected | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Replayed:
    """Replay a source without network.

    Parameters
    ----------
    store : SampleStore, optional
        Gets all samples, too, and is closed.
    on_corrected : callable, optional
        As `DigestStore` has it.
    progress : callable
        Gets the simulated instant and the number of samples so far, at most once a tick.
    stop : callable
        Asked before every event; True ends the replay, whose effects are then marked as not complete.

    Raises
    ------
    InvalidSetting
        If the source has no channels.
    InvalidData
        If it is damaged.
    """
    chosen = options or Options()
    with tempfile.TemporaryDirectory(prefix="dyncal-replay-") as scratch:
        registry = open_registry(RegistrySettings(url="sqlite://"), Path(scratch))
        with closing(registry), closing(DigestStore(store, on_corrected)) as kept:
            run = _Run(source, chosen, kept, registry, Path(scratch))
            return run.run(progress, stop)


class _Run:
    """One replay: the programs, what waits to arrive, and when each timer is due."""

    def __init__(self, source: Source, options: Options, store: DigestStore, registry: Registry, scratch: Path) -> None:
        if not source.streams:
            raise InvalidSetting(f"{source.name}: there are no channels to replay")
        self._source, self._options, self._store = source, options, store
        self._clock = SimulatedClock()
        self._recorder = Recorder()
        self._signer = seeded_signer(options.seed)
        site = source.streams[0].sensor.site
        self._ingest = IngestDriver(
            store, MemoryLedger(), scratch / "quarantine", self._clock, options.ingest, options.seed
        )
        self._calibrate = CalibrateDriver(options.rules, registry, store, self._signer, self._clock, site)
        self._edges: dict[EdgeAddress, EdgeDriver] = {}
        self._edge_of: dict[str, EdgeDriver] = {}
        self._blocks = self._arriving()
        self._next = next(self._blocks, None)
        if self._next is None:
            raise InvalidSetting(f"{source.name}: there is not one sample to replay")
        self._begin_ns = self._clock.instant = self._next.arrival_ns
        self._end_ns: int | None = None
        self._edge_ns = self._tick_ns = self._poll_ns = int(self._begin_ns)

    def run(self, progress: Progress | None, stop: Callable[[], bool]) -> Replayed:
        """Go through all events."""
        self._begin(self._begin_ns)
        complete = True
        while (now := self._next_ns()) is not None:
            if stop():
                complete = False
                break
            self._clock.instant = now
            self._deliver(self._arrive(now) + self._tick_edges(now))
            due = self._ingest.next_ns()
            if due is not None and due <= now:
                self._to_edges(self._ingest.tick())
            if self._tick_calibration(now) and progress is not None:
                progress(now, self._store.n_samples)
        self._end()
        span_ns = DurationNs(self._clock.now() - self._begin_ns)
        return Replayed(self._effects(complete=complete), self._store.n_samples, span_ns)

    def _next_ns(self) -> InstantNs | None:
        """Return when something happens next; None when all is over."""
        if self._next is None and self._end_ns is None:
            self._end_ns = self._clock.now() + _SETTLE_NS
        due = [self._edge_ns, self._tick_ns, self._poll_ns]
        due += [] if self._next is None else [self._next.arrival_ns]
        ingest = self._ingest.next_ns()
        due += [] if ingest is None else [max(ingest, self._clock.now())]
        now = min(due)
        return None if self._end_ns is not None and now > self._end_ns else InstantNs(now)

    def _arrive(self, now: InstantNs) -> list[Wire]:
        said: list[Wire] = []
        while self._next is not None and self._next.arrival_ns <= now:
            said += self._edge_of[self._next.channel].read(self._next)
            self._next = next(self._blocks, None)
        return said

    def _tick_edges(self, now: InstantNs) -> list[Wire]:
        if now < self._edge_ns:
            return []
        self._edge_ns = now + self._options.edge_tick_ns
        return [message for edge in self._edges.values() for message in edge.tick(now)]

    def _tick_calibration(self, now: InstantNs) -> bool:
        """Let calibration look and tick where it is time; tell whether it has ticked."""
        if self._poll_ns <= now:
            self._poll_ns = now + self._options.poll_ns
            self._from_calibration(self._calibrate.look())
        if now < self._tick_ns:
            return False
        self._tick_ns = now + self._options.tick_ns
        self._from_calibration(self._calibrate.tick())
        return True

    def _arriving(self) -> Iterator[Block]:
        blocks = self._source.blocks()
        return iter(blocks if self._options.gather_ns is None else gathered(blocks, self._options.gather_ns))

    def _begin(self, now: InstantNs) -> None:
        policy = Policy(Trusts(self._signer), SafetyLimits())
        by_edge: dict[EdgeAddress, list[StreamConfig]] = {}
        for stream in self._source.streams:
            by_edge.setdefault(EdgeAddress(stream.sensor.site, stream.sensor.edge), []).append(stream)
        for address, streams in by_edge.items():
            edge = EdgeDriver(address, streams, self._options.limits, policy, now)
            self._edges[address] = edge
            self._edge_of.update({stream.sensor.id: edge for stream in streams})
        births = [edge.born(now) for edge in self._edges.values()]
        for birth in births:
            self._calibrate.enter(birth)
        self._from_calibration(self._calibrate.look())
        self._from_calibration(self._calibrate.connect())
        self._deliver(births)

    def _deliver(self, messages: Sequence[Wire]) -> None:
        """Hand over what edges have published."""
        if not messages:
            return
        self._recorder.of_edges(messages)
        self._to_edges(self._ingest.take([message for message in messages if _is_for_ingest(message.topic)]))
        self._from_calibration(self._calibrate.take(messages))

    def _from_calibration(self, messages: Sequence[Wire]) -> None:
        self._recorder.of_calibration(messages)
        self._to_edges([w for w in messages if w.topic.endswith(("/desired", "/shadow"))])

    def _to_edges(self, messages: Sequence[Wire]) -> None:
        now = InstantNs(self._clock.now())
        said: list[Wire] = []
        for message in messages:
            for address, edge in self._edges.items():
                if message.topic.startswith(f"{address.prefix}/"):
                    said += edge.take(message, now)
        self._deliver(said)

    def _end(self) -> None:
        now = InstantNs(self._clock.now())
        for edge in self._edges.values():
            self._deliver(edge.drain(now))
        self._to_edges(self._ingest.stop())
        self._from_calibration(self._calibrate.tick())

    def _effects(self, *, complete: bool) -> Effects:
        return self._recorder.effects(
            source=self._source.name,
            from_ns=self._begin_ns,
            to_ns=InstantNs(self._clock.now()),
            complete=complete,
            settings=self._options.record(),
            sets=self._calibrate.sets(),
            notices=[notice for edge in self._edges.values() for notice in edge.notices],
            store=self._store,
            n_quarantined=self._ingest.n_quarantined,
        )


def _is_for_ingest(topic: str) -> bool:
    return place(topic).kind in ("status", "samples")
