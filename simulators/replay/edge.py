"""The edge of a replay: its engine, whose effects become messages at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import dyncal
from dyncal.contracts import samples as sample_contract
from dyncal.contracts.codec import to_json
from dyncal.contracts.coefficients import encode_report
from dyncal.contracts.edges import VERSION, StatusMessage
from dyncal.contracts.residuals import encode as encode_residuals
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.time import InstantNs
from edge_agent import declared, inbox
from edge_agent.acceptance import Policy
from edge_agent.agent import AgentEngine
from edge_agent.aside import Unreadable
from edge_agent.events import (
    AgentLimits,
    Append,
    Drain,
    Effect,
    Notice,
    SamplesRead,
    StreamConfig,
    Tell,
    TellResiduals,
    Tick,
)
from simulators.replay.sources import Block
from simulators.replay.wires import Wire


class EdgeDriver:
    """One edge: every method returns what it publishes, records first, as its station has it.

    What it keeps on its disk (spool, last known good sets) is of use after a restart only, and a replay has none.
    """

    def __init__(
        self, address: EdgeAddress, streams: Sequence[StreamConfig], limits: AgentLimits, policy: Policy, now: InstantNs
    ) -> None:
        self.address = address
        self._streams = streams
        self._epoch = now // 1_000_000  # as a fresh spool has it
        self._engine = AgentEngine(address.edge, self._epoch, streams, {}, limits=limits, policy=policy)
        self._topics = {stream.sensor.id: address.samples(stream.sensor.id) for stream in streams}
        self.notices: list[Notice] = []
        self.unreadable: list[Unreadable] = []
        self.n_effects: Counter[str] = Counter()

    def born(self, now: InstantNs) -> Wire:
        """Return the birth message."""
        sensors = declared.sensor_messages(self._streams)
        birth = StatusMessage(
            VERSION, "online", at_ns=now, version=dyncal.__version__, epoch=self._epoch, sensors=sensors
        )
        return Wire(self.address.status, to_json(birth))

    def read(self, block: Block) -> list[Wire]:
        """Take samples that have arrived."""
        event = SamplesRead(block.channel, block.t_ns, block.raw, block.codes, block.arrival_ns)
        return self._perform(self._engine.handle(event))

    def take(self, message: Wire, now: InstantNs) -> list[Wire]:
        """Take a message for this edge."""
        events = inbox.read(message.topic, message.payload, self.address, now, self.unreadable.append)
        return self._perform(effect for event in events for effect in self._engine.handle(event))

    def tick(self, now: InstantNs) -> list[Wire]:
        """Let time pass."""
        return self._perform(self._engine.handle(Tick(now)))

    def drain(self, now: InstantNs) -> list[Wire]:
        """Cut what is pending."""
        return self._perform(self._engine.handle(Drain(now)))

    def _perform(self, effects: Iterable[Effect]) -> list[Wire]:
        records: list[Wire] = []
        words: list[Wire] = []
        for effect in effects:
            if isinstance(effect, Append):
                topic = self._topics[effect.record.sensor]
                records.append(Wire(topic, sample_contract.encode(effect.record)))
            else:
                words.extend(self._words(effect))
        return records + words

    def _words(self, effect: Effect) -> Iterator[Wire]:
        if isinstance(effect, Tell):
            yield Wire(self.address.reported(effect.report.sensor), encode_report(effect.report))
        elif isinstance(effect, TellResiduals):
            for payload in encode_residuals(effect.found, effect.at_ns):
                yield Wire(self.address.residuals, payload)
        elif isinstance(effect, Notice):
            self.notices.append(effect)
