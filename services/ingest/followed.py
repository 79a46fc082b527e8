"""The blocks of a batch that are followed."""

from __future__ import annotations

from dyncal.contracts.samples import BlockMessage, instants
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.runtime.following import STORED, Follower
from services.ingest.intake import Accepted
from services.ingest.pipeline import Batch


def follow(follower: Follower, batch: Batch, begun_ns: InstantNs, ended_ns: InstantNs) -> None:
    """Say of the followed blocks of a batch that they are in the store; what it could not take is told besides."""
    for item in batch.items:
        content = item.content
        if not isinstance(content, Accepted) or not isinstance(content.record, BlockMessage):
            continue
        block = content.record
        if follower.follows(block.sequence):
            first_ns = int(instants(block.axis)[0])
            follower.step(STORED, SensorId(block.sensor), block.sequence, first_ns, len(block), begun_ns, ended_ns)
