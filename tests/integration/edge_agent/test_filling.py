"""A spool that fills is told of, and that it has emptied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from dyncal.contracts import conditions
from dyncal.contracts import samples as wire
from dyncal.contracts.edges import CommittedMessage
from dyncal.domain import quality
from dyncal.domain.samples import SampleBlock
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import DurationNs, InstantNs, UniformAxis
from dyncal.testing.bus import FakeBroker
from edge_agent.spool import Spool, SpoolLimits, entry_of
from tests.integration.edge_agent.plant import now_ns, running, settings_of, until
from tests.integration.edge_agent.test_delivery import COMMITTED, edge

TOPIC = "dyncal/v1/plant/conditions/edge1/spool_filling"
LIMITS: dict[str, Any] = {"max_bytes": 1 << 20, "segment_bytes": 1 << 16}
N = 4096


def filled(directory: Path, n_blocks: int) -> int:
    """Leave a spool as an edge does that nobody has listened to; return its epoch."""
    edge_id, sensor, begin = EdgeId("edge1"), SensorId("TT-101"), now_ns()
    spool = Spool.open(directory, edge_id, begin, SpoolLimits(**LIMITS), [sensor])
    rng = np.random.default_rng(1)
    for k in range(n_blocks):
        axis = UniformAxis(InstantNs(begin + k * N * 1000), DurationNs(1000), N)
        block = SampleBlock(
            sensor=sensor, edge=edge_id, epoch=spool.epoch, sequence=k, axis=axis, raw=rng.normal(size=N),
            quality=quality.good(N), arrival_ns=begin,
        )  # fmt: skip
        spool.append(entry_of(block, wire.encode(block)))
        spool.flush()
    spool.close()
    return spool.epoch


async def test_a_spool_that_fills_is_told_of_and_that_the_store_has_it_at_last(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, edge(spool=LIMITS))
    epoch = filled(settings.spool_dir, 20)
    broker = FakeBroker()

    def told() -> list[tuple[bool, float]]:
        said = [conditions.decode(TOPIC, payload)[1] for payload in broker.published(TOPIC)]
        return [(one.holds, one.value or 0.0) for one in said]

    async with running(settings, broker):
        await until(lambda: told())
        assert told()[0][0]
        assert 0.5 < told()[0][1] < 0.9
        upto = CommittedMessage(1, epoch, now_ns(), {"TT-101": 19})
        broker.publish(COMMITTED, msgspec.json.encode(upto), retain=True)
        await until(lambda: not told()[-1][0])
        assert told()[-1][1] < 0.1
