"""The account of a sensor's records: what became of every number that its edge has given out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from dyncal.domain.samples import GapCause


class Entry(NamedTuple):
    """What one record adds: its numbers, and what it was.

    Attributes
    ----------
    first, last : int
        Sequence numbers that it takes, both inclusive.
    n_samples : int
        Samples of a block that the store has.
    cause : GapCause, optional
        Of a gap.
    n_lost : int, optional
        Samples that a gap stands for; None where nobody can know.
    quarantined : bool
        Whether it was set aside instead of stored.
    """

    first: int
    last: int
    n_samples: int = 0
    cause: GapCause | None = None
    n_lost: int | None = None
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """Gaps of one cause: how many, the samples that they stand for, and how many of them do not say how many."""

    gaps: int = 0
    samples: int = 0
    uncounted: int = 0

    def __add__(self, other: Lost) -> Lost:
        return Lost(self.gaps + other.gaps, self.samples + other.samples, self.uncounted + other.uncounted)


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the records of a sensor; see `adds_up`.

    Attributes
    ----------
    numbers : int
        Sequence numbers that are committed.
    blocks, samples : int
        Blocks that the store has, each counted once, and the samples in them. (A sample counts twice that came under
        two numbers, because an agent sent it while its disk failed, and died before its source heard of it.)
    gap_numbers : int
        Numbers that records of gaps have taken: those of blocks that a full spool gave up are among them.
    gaps : mapping of GapCause to Lost
    quarantined : int
        Numbers of records that were set aside because they could not be read or stored.
    unknown : int
        Numbers that the edge had given up as stored before this ledger began.
    repeated_records, repeated_samples : int
        What came again although it was committed. Beside the account: nothing was stored twice.
    """

    numbers: int = 0
    blocks: int = 0
    samples: int = 0
    gap_numbers: int = 0
    gaps: Mapping[GapCause, Lost] = field(default_factory=dict)
    quarantined: int = 0
    unknown: int = 0
    repeated_records: int = 0
    repeated_samples: int = 0

    @property
    def lost(self) -> int:
        """Samples that gaps stand for, of all causes."""
        return sum(lost.samples for lost in self.gaps.values())

    @property
    def adds_up(self) -> bool:
        """Whether each committed number is one of a block, a gap, a record in quarantine, or from before the ledger."""
        return self.numbers == self.blocks + self.gap_numbers + self.quarantined + self.unknown

    def __add__(self, other: Account) -> Account:
        gaps = {
            cause: self.gaps.get(cause, Lost()) + other.gaps.get(cause, Lost())
            for cause in GapCause
            if cause in self.gaps or cause in other.gaps
        }
        return Account(
            numbers=self.numbers + other.numbers,
            blocks=self.blocks + other.blocks,
            samples=self.samples + other.samples,
            gap_numbers=self.gap_numbers + other.gap_numbers,
            gaps=gaps,
            quarantined=self.quarantined + other.quarantined,
            unknown=self.unknown + other.unknown,
            repeated_records=self.repeated_records + other.repeated_records,
            repeated_samples=self.repeated_samples + other.repeated_samples,
        )
