"""The audit trail: a chain of SHA-256 digests, each over the one before and the canonical form of its entry.

    d_0 = 0…0 (64 digits),   d_n = SHA-256(d_{n-1} ‖ JSON [n, at_ns, actor, action, subject, reason])

An entry that is changed, inserted, removed or cut from the end does not fit. Whoever can write the database can write
a whole new chain; the newest digest kept elsewhere finds that too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from dyncal.adapters.registry import schema
from dyncal.domain.errors import InvalidData
from dyncal.ports.registry import Act, AuditEntry

GENESIS: Final = "0" * 64

_encoder = msgspec.json.Encoder()


def digest_of(before: str, number: int, at_ns: int, actor: str, action: str, subject: str, reason: str) -> str:
    """Return the digest (hexadecimal) of an entry that follows one with digest `before`."""
    canonical = _encoder.encode((number, at_ns, actor, action, subject, reason))
    return hashlib.sha256(before.encode() + canonical).hexdigest()


def begin(connection: sa.Connection) -> None:
    """Begin an empty chain."""
    connection.execute(sa.insert(schema.audit_head).values(only=1, number=0, digest=GENESIS))


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


def first_misfit(connection: sa.Connection) -> int | None:
    """Return the number of the first entry that does not fit the chain, or None when all do."""
    before, expected = GENESIS, 1
    rows = connection.execution_options(yield_per=5_000).execute(
        sa.select(schema.audit).order_by(schema.audit.c.number)
    )
    for number, at_ns, actor, action, subject, reason, digest in rows:
        if number != expected or digest != digest_of(before, number, at_ns, actor, action, subject, reason):
            rows.close()
            return expected
        before, expected = digest, expected + 1
    head = connection.execute(sa.select(schema.audit_head.c.number, schema.audit_head.c.digest)).all()
    return None if [tuple(row) for row in head] == [(expected - 1, before)] else expected
