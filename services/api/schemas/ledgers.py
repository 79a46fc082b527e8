"""What became of the records of sensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from dyncal.domain.accounts import Account
from dyncal.domain.samples import GapCause
from dyncal.domain.sensors import EdgeId, Sensor
from services.api.edges import EdgeAccount
from services.api.schemas.base import InstantNs, Shape, example


class LostOut(Shape):
    """Gaps of one cause."""

    gaps: int
    samples: int
    """Samples that they stand for."""
    uncounted: int
    """Gaps that do not say how many."""


class AccountOut(Shape):
    """What became of the records of a sensor that one edge has sent, since ingest's ledger began.

    ``numbers`` = ``blocks`` + ``gap_numbers`` + ``quarantined`` + ``unknown``: each number that the edge gave out is
    accounted for once. What is still under way is not in it.
    """

    edge: str
    at_ns: InstantNs | None
    """When it was so; null where ingest has not said anything of this sensor yet."""
    numbers: int
    """Sequence numbers that are committed."""
    blocks: int
    samples: int
    """Samples that the store has, each counted once."""
    gap_numbers: int
    gaps: dict[GapCause, LostOut]
    lost_samples: int
    """Samples that gaps stand for, of all causes."""
    quarantined: int
    """Records that were set aside."""
    unknown: int
    """Numbers that the edge had given up as stored before the ledger began."""
    repeated_records: int
    """Records that came again although they were committed; none of them was stored twice."""
    repeated_samples: int

    @classmethod
    def of_edge(cls, found: EdgeAccount) -> Self:
        """Return the shape of an edge's account."""
        return cls(**_fields(found.edge, found.at_ns, found.account))


class LedgerOut(AccountOut):
    """What became of the records of a sensor that its edge has sent, since ingest's ledger began.

    ``numbers`` = ``blocks`` + ``gap_numbers`` + ``quarantined`` + ``unknown``: each number that the edge gave out is
    accounted for once. What is still under way is not in it. ``others`` are the accounts of other edges that have sent
    samples of this sensor: of one from which it was moved, or of one that writes over the same samples. Together they
    may count more than the store has.
    """

    model_config = example(
        sensor="TC-101",
        edge="edge-1",
        at_ns=1_769_860_800_000_000_000,
        numbers=1205,
        blocks=1203,
        samples=120_300,
        gap_numbers=2,
        gaps={"connection_lost": {"gaps": 2, "samples": 130, "uncounted": 0}},
        lost_samples=130,
        quarantined=0,
        unknown=0,
        repeated_records=3,
        repeated_samples=300,
        others=[],
    )

    sensor: str
    others: list[AccountOut]

    @classmethod
    def of(cls, sensor: Sensor, found: Sequence[EdgeAccount]) -> Self:
        """Return the shape of the accounts of a sensor; empty ones where its edge has none."""
        own = next((each for each in found if each.edge == sensor.edge), None)
        fields = _fields(sensor.edge, None, Account()) if own is None else _fields(own.edge, own.at_ns, own.account)
        others = [AccountOut.of_edge(each) for each in found if each is not own]
        return cls(sensor=sensor.id, others=others, **fields)


def _fields(edge: EdgeId, at_ns: int | None, account: Account) -> dict[str, Any]:
    return {
        "edge": edge,
        "at_ns": at_ns,
        "numbers": account.numbers,
        "blocks": account.blocks,
        "samples": account.samples,
        "gap_numbers": account.gap_numbers,
        "gaps": {
            cause: LostOut(gaps=lost.gaps, samples=lost.samples, uncounted=lost.uncounted)
            for cause, lost in account.gaps.items()
        },
        "lost_samples": account.lost,
        "quarantined": account.quarantined,
        "unknown": account.unknown,
        "repeated_records": account.repeated_records,
        "repeated_samples": account.repeated_samples,
    }


class LedgerPage(Shape):
    """Ledgers in order of sensor."""

    items: list[LedgerOut]
    next_cursor: str | None
