"""The watcher: hears on the broker what the edge says it did, as any third party could."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from dyncal.contracts import coefficients, samples, topics
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.errors import InvalidInput
from dyncal.domain.samples import SampleBlock
from dyncal.domain.sensors import SensorId
from dyncal.ports.clock import Clock
from dyncal.ports.message_bus import Delivery, MessageBus
from dyncal.runtime.logging import logger


@dataclass(slots=True)
class Heard:
    """What was heard: the edge's reports in order, and when the first corrected sample was seen [monotonic s]."""

    reports: list[Report] = field(default_factory=list)
    first_corrected_s: float | None = None

    def applied(self, sensor: str) -> list[Report]:
        """Return the reports of sets applied to a sensor, oldest first, each set once."""
        sets: dict[str, Report] = {}
        for report in self.reports:
            if report.sensor == sensor and report.outcome is Outcome.APPLIED:
                sets.setdefault(report.set_id, report)
        return list(sets.values())


class ClosableBus(MessageBus, Protocol):
    """A bus that can be left before its context ends."""

    async def close(self) -> None:
        """Disconnect for good."""
        ...


class Watcher:
    """Collects `Heard` from a bus until cancelled.

    Samples are listened to only from the first applied set to its first corrected value, so that watching costs little.
    """

    def __init__(self, reports: MessageBus, blocks: ClosableBus, edge: EdgeAddress, clock: Clock) -> None:
        self._reports, self._blocks, self._edge, self._clock = reports, blocks, edge, clock
        self.heard = Heard()

    async def run(self) -> None:
        """Listen until cancelled."""
        await self._reports.wait_connected()
        await self._reports.subscribe([self._edge.reported(SensorId("+"))])
        async with asyncio.TaskGroup() as group:
            first_applied = asyncio.Event()
            group.create_task(self._listen(first_applied))
            group.create_task(self._await_corrected(first_applied))

    async def _listen(self, first_applied: asyncio.Event) -> None:
        async for delivery in self._reports.deliveries():
            report = _read(delivery)
            delivery.ack()
            if report is None:
                continue
            self.heard.reports.append(report)
            logger("trial").info("reported", sensor=report.sensor, set=report.set_id, outcome=report.outcome.value)
            if report.outcome is Outcome.APPLIED:
                first_applied.set()

    async def _await_corrected(self, first_applied: asyncio.Event) -> None:
        await first_applied.wait()
        sensor = next(r.sensor for r in self.heard.reports if r.outcome is Outcome.APPLIED)
        await self._blocks.wait_connected()
        await self._blocks.subscribe([self._edge.samples(sensor)])
        async for delivery in self._blocks.deliveries():
            corrected = _has_corrected(delivery)
            delivery.ack()
            if corrected:
                self.heard.first_corrected_s = self._clock.monotonic_s()
                await self._blocks.close()
                return


def _read(delivery: Delivery) -> Report | None:
    try:
        # amqtt hands out retained messages of other topics too
        if topics.parse(delivery.topic).kind != "reported":
            return None
        return coefficients.decode_report(delivery.payload)
    except InvalidInput as error:
        logger("trial").warning("unreadable_report", topic=delivery.topic, error=str(error))
        return None


def _has_corrected(delivery: Delivery) -> bool:
    try:
        if topics.parse(delivery.topic).kind != "samples":
            return False
        record = samples.decode(delivery.payload)
    except InvalidInput as error:
        logger("trial").warning("unreadable_block", topic=delivery.topic, error=str(error))
        return False
    if not isinstance(record, SampleBlock) or record.corrected is None:
        return False
    return bool(np.any(np.isfinite(record.corrected.value)))
