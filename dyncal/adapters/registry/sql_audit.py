"""The registry's part about the audit trail."""

from __future__ import annotations

from dyncal.adapters.registry import audit
from dyncal.adapters.registry.database import Database
from dyncal.ports.records import AuditEntry
from dyncal.ports.trail import Checkpoint, Head


class SqlAudit:
    """`AuditTrail` and `CheckpointRegistry` over SQLAlchemy; every method also raises `StoreUnavailable`."""

    _db: Database

    def audit(self, *, after: int = 0, limit: int = 1000) -> list[AuditEntry]:
        """Return entries with number > after, oldest first."""
        with self._db.read() as connection:
            return audit.entries(connection, after, limit)

    def verify_audit(self) -> int | None:
        """Return the number of the first entry that does not fit the chain, or None when all do."""
        with self._db.read() as connection:
            return audit.followed(connection).misfit

    def audit_head(self) -> Head:
        """Return the end of the audit trail."""
        with self._db.read() as connection:
            return audit.head(connection)

    def audit_follows(self, head: Head) -> tuple[Head, int | None]:
        """Return the trail's end, and the number of the first entry after `head` that does not fit (None: all do)."""
        with self._db.read() as connection:
            found = audit.followed(connection, head)
            return found.head, found.misfit

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Add one; the same number again is no change."""
        with self._db.write() as connection:
            audit.add_checkpoint(connection, checkpoint)

    def checkpoints(self, *, after: int = 0, limit: int = 1000) -> list[Checkpoint]:
        """Return checkpoints with number > after, oldest first."""
        with self._db.read() as connection:
            return audit.checkpoints(connection, after, limit)

    def last_checkpoint(self) -> Checkpoint | None:
        """Return that of the highest number."""
        with self._db.read() as connection:
            return audit.last_checkpoint(connection)
