"""Online estimators of many sensors that share a fleet, so that what a block costs beside its samples is paid once.

An estimator says the same, to the last bit, wherever it is: results do not depend on which sensors come together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from dyncal.identification.online.estimator import OnlineEstimator
from dyncal.identification.online.fleet import EstimatorFleet, Outcomes
from dyncal.identification.records import AlignedRecord, BlockOutcome

MOST: Final = 128
"""Estimators of a fleet that is made here: its buffers are as long as the longest block that any of them waits for."""


class Chunk(NamedTuple):
    """Samples for one estimator; `new_segment` where they do not continue those before."""

    estimator: OnlineEstimator
    record: AlignedRecord
    new_segment: bool


def share(estimators: Iterable[OnlineEstimator]) -> None:
    """Let estimators of a kind share fleets; those that share one which is half full at least stay there."""
    kinds = defaultdict(list)
    for each in estimators:
        kinds[each.model].append(each)
    for several in kinds.values():
        members = defaultdict(list)
        for each in several:
            members[id(each.fleet)].append(each)
        loose = [each for group in members.values() if len(group) < MOST // 2 for each in group]
        n_fleets = len({id(each.fleet) for each in loose})
        if n_fleets > -(-len(loose) // MOST):
            for first in range(0, len(loose), MOST):
                _join(loose[first : first + MOST])


def _join(estimators: Sequence[OnlineEstimator]) -> None:
    fleet = EstimatorFleet.joined([(each.fleet, each.place) for each in estimators])
    for place, each in enumerate(estimators):
        each.fleet, each.place = fleet, place


def update_together(chunks: Sequence[Chunk]) -> list[Sequence[BlockOutcome] | Exception]:
    """Do what `update` of each estimator does; return the blocks of each, or what went wrong with it (`Faults`).

    Parameters
    ----------
    chunks : sequence of Chunk
        No estimator twice.
    """
    fleets: dict[int, list[int]] = defaultdict(list)
    for k, chunk in enumerate(chunks):
        fleets[id(chunk.estimator.fleet)].append(k)
    found: list[Sequence[BlockOutcome] | Exception] = [() for _ in chunks]
    for which in fleets.values():
        for k, blocks in zip(which, _updated([chunks[k] for k in which]), strict=True):
            found[k] = blocks
    return found


def _updated(chunks: Sequence[Chunk]) -> list[Sequence[BlockOutcome] | Exception]:
    """Update estimators of one fleet."""
    fleet, records = chunks[0].estimator.fleet, [chunk.record for chunk in chunks]
    sensors = np.array([chunk.estimator.place for chunk in chunks], dtype=np.int64)
    closed = fleet.ingest(
        sensors,
        np.cumsum([0, *map(len, records)], dtype=np.int64),
        np.concatenate([record.t_ns for record in records]),
        np.concatenate([record.indication for record in records]),
        np.concatenate([record.reference for record in records]),
        np.array([chunk.new_segment for chunk in chunks], dtype=np.bool_),
        contained=True,
    )
    blocks = Outcomes.by_sensor(closed, sensors) if closed else [() for _ in chunks]
    return [fleet.faults.of.get(place) or own for place, own in zip(sensors.tolist(), blocks, strict=True)]
