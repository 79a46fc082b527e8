"""Checkpoints of the audit trail: its end at an instant, signed: who can write the database cannot rewrite it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dyncal.domain.time import InstantNs


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a trail: number and digest of its last entry; 0 and 64 zeros where there is none."""

    number: int
    digest: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a key of this plant has signed: at `at_ns` the trail of `site` ended so."""

    site: str
    number: int
    digest: str
    at_ns: InstantNs
    key_id: str
    signature: bytes


class CheckpointRegistry(Protocol):
    """The trail's end, and the checkpoints of it; written by the calibration service, which has the signing key."""

    def audit_head(self) -> Head:
        """Return the end of the audit trail."""
        ...

    def audit_follows(self, head: Head) -> tuple[Head, int | None]:
        """Return the trail's end, and the number of the first entry after `head` that does not fit (None: all do)."""
        ...

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Add one; the same number again is no change."""
        ...

    def checkpoints(self, *, after: int = 0, limit: int = 1000) -> list[Checkpoint]:
        """Return checkpoints with number > after, oldest first."""
        ...

    def last_checkpoint(self) -> Checkpoint | None:
        """Return that of the highest number."""
        ...
