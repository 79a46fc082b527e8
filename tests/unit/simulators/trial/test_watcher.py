from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from dyncal.contracts import coefficients, samples
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.samples import CorrectedSpan, SampleBlock
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.domain.time import DurationNs, InstantNs, UniformAxis
from dyncal.runtime.clocks import SimulatedClock
from dyncal.testing.bus import FakeBroker
from simulators.trial.watcher import Watcher

EDGE = EdgeAddress(SiteId("demo"), EdgeId("edge1"))
A, B = SensorId("A"), SensorId("B")
T0 = InstantNs(1_790_000_000_000_000_000)


def report(sensor: SensorId, number: int, outcome: Outcome = Outcome.APPLIED) -> bytes:
    return coefficients.encode_report(Report(sensor, f"{sensor}.{number}", number, outcome, InstantNs(T0 + number)))


def block(sequence: int, value: float | None) -> bytes:
    axis = UniformAxis(InstantNs(T0 + sequence), DurationNs(1000), 1)
    span = None if value is None else CorrectedSpan(axis, np.array([value]), np.array([abs(value)]), "A.1")
    good = ((0, 1),)
    return samples.encode(SampleBlock(A, EDGE.edge, 1, sequence, axis, np.zeros(1), good, T0, corrected=span))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_reports_are_kept_once_a_set_and_the_first_corrected_sample_is_timed() -> None:
    broker, clock = FakeBroker(), SimulatedClock()
    async with broker.bus("reports", clean=True) as reports, broker.bus("blocks", clean=True) as blocks:
        watcher = Watcher(reports, blocks, EDGE, clock)
        heard = watcher.heard
        task = asyncio.create_task(watcher.run())
        await asyncio.sleep(0.01)
        broker.publish(EDGE.reported(A), b"rubbish")
        broker.publish(EDGE.reported(B), report(B, 1, Outcome.REJECTED))
        broker.publish(EDGE.reported(A), report(A, 1))
        broker.publish(EDGE.reported(A), report(A, 1))
        broker.publish(EDGE.reported(A), report(A, 2))
        await until(lambda: len(heard.reports) == 4)
        await asyncio.sleep(0.01)
        for sequence, value in enumerate([None, float("nan")]):
            broker.publish(EDGE.samples(A), block(sequence, value))
        broker.publish(EDGE.samples(A), b"rubbish")
        await asyncio.sleep(0.02)
        early = heard.first_corrected_s
        clock.advance(DurationNs(2_000_000_000))
        broker.publish(EDGE.samples(A), block(2, 1.5))
        await until(lambda: heard.first_corrected_s is not None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert early is None
    assert heard.first_corrected_s == clock.monotonic_s()
    assert [r.set_id for r in heard.applied("A")] == ["A.1", "A.2"]
    assert heard.applied("B") == []
    assert broker.unacknowledged("reports") == 0
