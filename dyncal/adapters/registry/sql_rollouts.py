"""The registry's part about rollouts."""

from __future__ import annotations

from dyncal.adapters.registry import rollouts
from dyncal.adapters.registry.database import Database
from dyncal.domain.rollouts import Member, MemberState, Rollout, RolloutState
from dyncal.domain.time import InstantNs
from dyncal.ports.rollouts import NumberedMove, RolloutRecord, RolloutWrite


class SqlRollouts:
    """`dyncal.ports.rollouts` over SQLAlchemy; every method also raises `StoreUnavailable`."""

    _db: Database

    def write_rollout(self, write: RolloutWrite) -> None:
        """Write what became of a rollout. Raises `NotFound`, or `Conflict` if the order is answered already."""
        with self._db.write() as connection:
            rollouts.write(connection, write)

    def rollout(self, rollout_id: str) -> RolloutRecord:
        """Return one. Raises `NotFound`."""
        with self._db.read() as connection:
            return rollouts.one(connection, rollout_id)

    def rollouts(
        self, *, state: RolloutState | None = None, before: tuple[InstantNs, str] | None = None, limit: int = 100
    ) -> list[RolloutRecord]:
        """Return rollouts with (begun_ns, id) < before, newest first."""
        with self._db.read() as connection:
            return rollouts.several(connection, state, before, limit)

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
        with self._db.read() as connection:
            return rollouts.members(connection, rollout_id, state, stage, after, limit)

    def rollout_moves(self, rollout_id: str, *, before: int | None = None, limit: int = 100) -> list[NumberedMove]:
        """Return the history with number < before, newest first."""
        with self._db.read() as connection:
            return rollouts.moves(connection, rollout_id, before, limit)

    def unfinished_rollouts(self) -> list[tuple[Rollout, tuple[Member, ...]]]:
        """Return rollouts that are not over, or have members that are still reverting, in the order of their begin."""
        with self._db.read() as connection:
            return rollouts.unfinished(connection)

    def rollouts_revision(self) -> int:
        """Return a number that grows with every change of any rollout."""
        with self._db.read() as connection:
            return rollouts.revision(connection)
