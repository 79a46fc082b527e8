"""The audit trail: a chain of digests (`dyncal.contracts.trail`), each over the one before and its own entry.

An entry that is changed, inserted, removed or cut from the end does not fit. Whoever can write the database can write
a whole new chain; checkpoints that are signed, and kept elsewhere, find that too (docs/security.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from dyncal.adapters.registry import schema
from dyncal.adapters.registry.audit_tables import audit_checkpoints
from dyncal.contracts.trail import GENESIS, Followed, digest_of, follow
from dyncal.domain.errors import InvalidData
from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act, AuditEntry
from dyncal.ports.trail import Checkpoint, Head


def append(connection: sa.Connection, act: Act, action: str, subject: str) -> None:
    """Append an entry, in the transaction of `connection`; other writers wait for its end."""
    extend(connection, act, [(action, subject)])


def extend(connection: sa.Connection, act: Act, changes: Sequence[tuple[str, str]]) -> None:
    """Append entries, one for each (action, subject) of one act, in the transaction of `connection`."""
    append_all(connection, [(act, action, subject) for action, subject in changes])


def append_all(connection: sa.Connection, changes: Sequence[tuple[Act, str, str]]) -> None:
    """Append entries, one for each (act, action, subject), in the transaction of `connection`."""
    if not changes:
        return
    head = connection.execute(sa.select(schema.audit_head).with_for_update()).one()
    digest: str = head.digest
    rows = []
    for number, (act, action, subject) in enumerate(changes, head.number + 1):
        _check_text(act.actor, action, subject, act.reason)
        digest = digest_of(digest, number, act.at_ns, act.actor, action, subject, act.reason)
        rows.append(
            {
                "number": number,
                "at_ns": act.at_ns,
                "actor": act.actor,
                "action": action,
                "subject": subject,
                "reason": act.reason,
                "digest": digest,
            }
        )
    connection.execute(sa.insert(schema.audit), rows)
    connection.execute(sa.update(schema.audit_head).values(number=head.number + len(rows), digest=digest))


def _check_text(*texts: str) -> None:
    """Refuse what is no text for every database. Raises `InvalidData`."""
    for text in texts:
        if "\0" in text or (not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text)):
            raise InvalidData(f"text with a NUL or half a character in it cannot be kept: {text[:80]!a}")


def entries(connection: sa.Connection, after: int, limit: int) -> list[AuditEntry]:
    """Return entries with number > after, oldest first."""
    query = sa.select(schema.audit).where(schema.audit.c.number > after).order_by(schema.audit.c.number).limit(limit)
    return [AuditEntry(*row) for row in connection.execute(query)]


def head(connection: sa.Connection) -> Head:
    """Return the end of the trail."""
    return Head(*connection.execute(sa.select(schema.audit_head.c.number, schema.audit_head.c.digest)).one())


def followed(connection: sa.Connection, start: Head = GENESIS) -> Followed:
    """Follow the chain after `start` to its end, and see that it holds what checkpoints say."""
    signed = sa.select(audit_checkpoints.c.number, audit_checkpoints.c.digest)
    rows = connection.execute(signed.where(audit_checkpoints.c.number >= start.number))
    return chained(connection, start, {int(number): str(digest) for number, digest in rows})


def chained(
    connection: sa.Connection, start: Head, wanted: dict[int, str], *, as_it_lies: bool = False
) -> Followed:  # fmt: skip
    """Follow the chain after `start` to its end, and see that it has the `wanted` digests.

    With `as_it_lies`, SQLite does not use the index, which may say another thing than the table does.
    """
    query = sa.select(schema.audit).where(schema.audit.c.number > start.number).order_by(schema.audit.c.number)
    if as_it_lies:
        query = query.with_hint(schema.audit, "NOT INDEXED", "sqlite")
    with connection.execution_options(yield_per=5_000).execute(query) as found:
        result = follow(found, start, wanted)
    if result.misfit is None:
        ends = connection.execute(sa.select(schema.audit_head.c.number, schema.audit_head.c.digest)).all()
        if [tuple(row) for row in ends] != [(result.head.number, result.head.digest)]:
            return Followed(result.head, result.head.number + 1, "the trail does not end where it says it does")
    return result


def add_checkpoint(connection: sa.Connection, checkpoint: Checkpoint) -> None:
    """Add one; the same number again is no change."""
    c = checkpoint
    if connection.execute(sa.select(_checkpoints.where(audit_checkpoints.c.number == c.number).exists())).scalar():
        return
    connection.execute(sa.insert(audit_checkpoints).values(
        number=c.number, site=c.site, digest=c.digest, at_ns=c.at_ns, key_id=c.key_id, signature=c.signature
    ))  # fmt: skip


def checkpoints(connection: sa.Connection, after: int, limit: int) -> list[Checkpoint]:
    """Return checkpoints with number > after, oldest first."""
    number = audit_checkpoints.c.number
    rows = connection.execute(_checkpoints.where(number > after).order_by(number).limit(limit))
    return [_checkpoint(row) for row in rows]


def last_checkpoint(connection: sa.Connection) -> Checkpoint | None:
    """Return that of the highest number."""
    rows = connection.execute(_checkpoints.order_by(audit_checkpoints.c.number.desc()).limit(1)).all()
    return _checkpoint(rows[0]) if rows else None


_checkpoints = sa.select(
    audit_checkpoints.c.site,
    audit_checkpoints.c.number,
    audit_checkpoints.c.digest,
    audit_checkpoints.c.at_ns,
    audit_checkpoints.c.key_id,
    audit_checkpoints.c.signature,
)


def _checkpoint(row: Any) -> Checkpoint:
    return Checkpoint(row.site, row.number, row.digest, InstantNs(row.at_ns), row.key_id, bytes(row.signature))
