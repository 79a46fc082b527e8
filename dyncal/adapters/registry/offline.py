"""An audit trail where it lies, read without any program's help: a database as it is, never changed, or an export."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from dyncal.adapters.registry import audit, schema
from dyncal.adapters.registry.audit_tables import audit_checkpoints
from dyncal.contracts.trail import GENESIS, Followed, follow, read_export, signed_bytes
from dyncal.domain.errors import InvalidSetting, MalformedMessage, StoreUnavailable
from dyncal.ports.signing import Verifier
from dyncal.ports.trail import Checkpoint

_SQLITE: Final = b"SQLite format 3\0"
_MOST: Final = 1_000_000
_DAMAGE: Final = (exc.SQLAlchemyError, ValueError, TypeError, ArithmeticError)  # what a damaged file makes of its rows


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found of a trail.

    Attributes
    ----------
    n_entries : int
        That fit, from the first one on (or from where an export begins).
    number : int
        Of the last one that fits.
    digest : str
        Of that one: worth keeping elsewhere.
    faults : tuple of str
        What does not fit, for people; none if all is well.
    checkpoints : tuple of Checkpoint
        Those whose signature holds, oldest first.
    """

    n_entries: int
    number: int
    digest: str
    faults: tuple[str, ...]
    checkpoints: tuple[Checkpoint, ...]


def examine_trail(
    source: str, verifier: Verifier | None = None, kept: Iterable[Checkpoint] = (), heads: dict[int, str] | None = None
) -> Examined:
    """Return what holds of the trail at `source`: an SQLAlchemy URL, an SQLite file, or an exported file.

    Parameters
    ----------
    verifier : Verifier, optional
        Knows the keys whose signature on a checkpoint counts; without it, signatures are not looked at.
    kept : iterable of Checkpoint
        That were kept elsewhere: the trail must still hold what they say.
    heads : dict
        Digests that were kept elsewhere, by number; likewise.

    Raises
    ------
    StoreUnavailable
        If there is nothing that can be read.
    InvalidSetting
        If the URL names no database.
    """
    kept, wanted = list(kept), dict(heads or {})
    faults = []
    if verifier is not None:
        faults = [f"a checkpoint that was kept, {fault}" for fault in _unsigned(kept, verifier)]
    for checkpoint in kept:
        if wanted.setdefault(checkpoint.number, checkpoint.digest) != checkpoint.digest:
            faults.append(f"of entry {checkpoint.number} different digests were kept")
    read = _in_database(source, wanted) if "://" in source else _in_file(Path(source), wanted)
    followed, begin, checkpoints, damage = read
    faults += damage
    if followed.misfit is not None:
        faults.append(f"entry {followed.misfit} does not fit: {followed.why}")
    if verifier is not None:
        faults += _unsigned(checkpoints, verifier)
        checkpoints = [c for c in checkpoints if verifier.verify(c.key_id, signed_bytes(c), c.signature)]
    number = followed.head.number
    return Examined(number - begin, number, followed.head.digest, tuple(faults), tuple(checkpoints))


_Found = tuple[Followed, int, list[Checkpoint], list[str]]


def _unsigned(checkpoints: Iterable[Checkpoint], verifier: Verifier) -> list[str]:
    return [
        f"checkpoint {c.number}: not signed by a key that is trusted here ({c.key_id[:80]})"
        for c in checkpoints
        if not verifier.verify(c.key_id, signed_bytes(c), c.signature)
    ]


def _in_file(path: Path, wanted: dict[int, str]) -> _Found:
    try:
        with path.open("rb") as stream:
            start = stream.read(len(_SQLITE))
            content = b"" if start == _SQLITE else start + stream.read()
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    if start == _SQLITE:
        return _in_database(f"sqlite:///file:{path.resolve().as_posix()}?mode=ro&uri=true", wanted)
    try:
        given = read_export(content)
    except MalformedMessage as error:
        return Followed(GENESIS, 1, f"the file cannot be read: {error}"), 0, [], []
    after = {number: digest for number, digest in wanted.items() if number >= given.start.number}
    signed = {c.number: c.digest for c in given.checkpoints if c.number >= given.start.number}
    followed = follow(given.rows, given.start, signed | after)
    if followed.misfit is None and followed.head != given.end:
        followed = Followed(followed.head, followed.head.number + 1, "the trail does not end where it says it does")
    damage = [
        f"checkpoint {number}: it is not the one that was kept"
        for number, digest in signed.items()
        if after.get(number, digest) != digest
    ]
    return followed, given.start.number, given.checkpoints, damage


def _in_database(url: str, wanted: dict[int, str]) -> _Found:
    try:
        engine = sa.create_engine(url)
    except (exc.ArgumentError, exc.NoSuchModuleError, ImportError) as error:
        raise InvalidSetting(f"not a database that can be used: {error}") from error
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    try:
        connection = engine.connect()
    except exc.DBAPIError as error:
        raise StoreUnavailable(f"{engine.url.render_as_string()}: {_first_line(error)}") from error
    try:
        return _read(connection, wanted)
    except _DAMAGE as error:
        return Followed(GENESIS, 1, f"the database cannot be read: {_first_line(error)}"), 0, [], []
    finally:
        connection.invalidate()
        connection.close()
        engine.dispose()


def _read(connection: sa.Connection, wanted: dict[int, str]) -> _Found:
    if not sa.inspect(connection).has_table("audit"):
        return Followed(GENESIS, 1, "there is no audit trail"), 0, [], []
    damage: list[str] = []
    checkpoints: list[Checkpoint] = []
    if sa.inspect(connection).has_table(audit_checkpoints.name):
        try:
            checkpoints = audit.checkpoints(connection, 0, _MOST)
        except _DAMAGE as error:
            damage = [f"checkpoints cannot be read: {_first_line(error)}"]
    if connection.dialect.name == "sqlite":
        damage += _disorder(connection)
    signed = {c.number: c.digest for c in checkpoints}
    return audit.chained(connection, GENESIS, signed | wanted, as_it_lies=True), 0, checkpoints, damage


def _disorder(connection: sa.Connection) -> list[str]:
    """Return what SQLite finds wrong with the trail's tables and their indexes."""
    names = [table.name for table in (schema.audit, schema.audit_head, audit_checkpoints)]
    there = [name for name in names if sa.inspect(connection).has_table(name)]
    found = [str(row[0]) for name in there for row in connection.exec_driver_sql(f"PRAGMA integrity_check({name})")]
    return [f"the database's pages are in disorder: {fault}" for fault in found if fault != "ok"][:3]


def _first_line(error: object) -> str:
    return str(getattr(error, "orig", error)).partition("\n")[0]
