"""The registry's role about rollouts; written by the calibration service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dyncal.domain.orders import Answer
from dyncal.domain.rollouts import Failure, Member, MemberState, Rollout, RolloutMove, RolloutState
from dyncal.domain.time import InstantNs


@dataclass(frozen=True, slots=True)
class RolloutWrite:
    """What became of one rollout: written as a whole or not at all.

    Attributes
    ----------
    rollout : Rollout, optional
        As it stands, where it is new or has changed.
    members : sequence of Member
        Those that are new or have changed.
    moves : sequence of RolloutMove
        For history and audit trail.
    answer : Answer, optional
        To the order that all this was for.
    """

    id: str
    rollout: Rollout | None = None
    members: Sequence[Member] = ()
    moves: Sequence[RolloutMove] = ()
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class MemberCount:
    """How many members of a rollout are in a stage (None: not touched) and a state, and have had that failure."""

    stage: int | None
    state: MemberState
    failure: Failure | None
    n: int


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """A rollout, how its members stand, and a number that grows with every change of any rollout."""

    rollout: Rollout
    counts: tuple[MemberCount, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class NumberedMove:
    """A line of a rollout's history with its number, which grows over all rollouts."""

    number: int
    move: RolloutMove


class RolloutRegistry(Protocol):
    """Rollouts, their members and their history; written by the calibration service."""

    def write_rollout(self, write: RolloutWrite) -> None:
        """Write what became of a rollout, in one transaction with its lines of the audit trail.

        Raises
        ------
        NotFound
            If there is no such rollout, and `write` brings none.
        Conflict
            If the order is answered already.
        """
        ...

    def rollout(self, rollout_id: str) -> RolloutRecord:
        """Return one. Raises `NotFound`."""
        ...

    def rollouts(
        self, *, state: RolloutState | None = None, before: tuple[InstantNs, str] | None = None, limit: int = 100
    ) -> list[RolloutRecord]:
        """Return rollouts with (begun_ns, id) < before, newest first."""
        ...

    def rollout_members(
        self,
        rollout_id: str,
        *,
        state: MemberState | None = None,
        stage: int | None = None,
        after: int = -1,
        limit: int = 1000,
    ) -> list[Member]:
        """Return members with position > after, in that order."""
        ...

    def rollout_moves(self, rollout_id: str, *, before: int | None = None, limit: int = 100) -> list[NumberedMove]:
        """Return the history with number < before, newest first."""
        ...

    def unfinished_rollouts(self) -> list[tuple[Rollout, tuple[Member, ...]]]:
        """Return rollouts that are not over, or have members that are still reverting, in the order of their begin."""
        ...

    def rollouts_revision(self) -> int:
        """Return a number that grows with every change of any rollout."""
        ...
