"""Back-ups of what lies below `data_dir`, and of a registry on PostgreSQL, made while the programs run.

A back-up is a directory: files as they lay, databases as of one instant each, and `manifest.json` with the SHA-256 of
each. It appears whole or not at all.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dyncal.adapters import postgresql_tools
from dyncal.adapters.registry.offline import Examined, examine_trail
from dyncal.adapters.registry.restored import note_restored
from dyncal.adapters.stores import SQLITE_FILE
from dyncal.contracts import codec
from dyncal.domain.errors import Conflict, InvalidData, MalformedMessage, NotFound, StoreUnavailable
from dyncal.domain.time import NS_PER_S, InstantNs

VERSION: Final = 1
MANIFEST: Final = "manifest.json"
DATA: Final = "data"
DUMP: Final = "registry.dump"
REGISTRY: Final = "registry.sqlite"

_SQLITE: Final = b"SQLite format 3\0"
ASIDE: Final = "before-restore-"

_BUSY_S: Final = 30.0
_SHM_DEAD_MAN_SWITCH: Final = 128  # SQLite's UNIX_SHM_DMS: a byte that every open connection holds a shared lock on
_LEFT_OUT: Final = ("-wal", "-shm", "-journal", ".lock")
_SPOOL: Final = "spool"
# Each as of one instant, and in this order: whoever was told of something finds it in what was copied later.
_LAST: Final = (REGISTRY, SQLITE_FILE)
_CHUNK: Final = 1 << 20


class File(msgspec.Struct, frozen=True):
    """A file of a back-up: its path in it, length, digest, and permissions."""

    path: str
    size: Annotated[int, Meta(ge=0)]
    sha256: str
    mode: Annotated[int, Meta(ge=0, le=0o777)]


class Manifest(msgspec.Struct, frozen=True):
    """What a back-up is of, and what it consists of."""

    dyncal_backup: int
    made_ns: int
    site: str
    version: str
    postgresql: bool
    files: list[File]


def make(
    data_dir: Path, url: str | None, destination: Path, now: InstantNs, *, site: str, version: str, samples: bool = True
) -> Manifest:
    """Make a back-up at `destination`, which must not be there yet.

    Parameters
    ----------
    url : str, optional
        Of a registry on PostgreSQL, with its password; None where it lies below `data_dir`.
    samples : bool
        Whether the embedded store is in it, which may be large.

    Raises
    ------
    Conflict
        If there is something at `destination`.
    NotFound
        If there is nothing to be kept, or a program that is needed is not installed.
    StoreUnavailable
        If a database cannot be read.
    OSError
        If a file cannot be read or written; nothing is left at `destination`.
    """
    if destination.exists():
        raise Conflict(f"{destination} is there already")
    found = [path for path in _files(data_dir) if samples or path.name != SQLITE_FILE]
    if not found:
        raise NotFound(f"{data_dir}: there is nothing to keep")
    work = destination.with_name(f".{destination.name}.{secrets.token_hex(6)}")
    work.mkdir(parents=True, mode=0o700)
    try:
        for path in sorted(found, key=lambda path: (_LAST.index(path.name) if path.name in _LAST else -1, path)):
            _copy(path, work / DATA / path.relative_to(data_dir))
        if url is not None:
            postgresql_tools.dump(url, work / DUMP)
        files = [_described(path, work) for path in sorted(work.rglob("*")) if path.is_file()]
        manifest = Manifest(VERSION, now, site, version, url is not None, files)
        _write(work / MANIFEST, codec.to_json(manifest))
        work.rename(destination)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    _sync(destination.parent)
    return manifest


def check(source: Path) -> tuple[Manifest, Examined | None]:
    """Return what is in a back-up, every byte of which was looked at, and what holds of its audit trail.

    Raises
    ------
    NotFound
        If there is no back-up.
    InvalidData
        If it is damaged.
    """
    try:
        manifest = codec.from_json((source / MANIFEST).read_bytes(), Manifest)
    except FileNotFoundError as error:
        raise NotFound(f"{source}: no back-up, it has no {MANIFEST}") from error
    except MalformedMessage as error:
        raise InvalidData(f"{source / MANIFEST}: {error}") from error
    if manifest.dyncal_backup != VERSION:
        raise InvalidData(f"{source}: a back-up of version {manifest.dyncal_backup}; this program reads {VERSION}")
    for file in manifest.files:
        path = source / _inside(file.path)
        found = _described(path, source) if path.is_file() and not path.is_symlink() else None
        if found is None or (found.size, found.sha256) != (file.size, file.sha256):
            raise InvalidData(f"{source}: {file.path} is not what it was")
    registry = source / DATA / REGISTRY
    trail = examine_trail(str(registry)) if registry.exists() else None
    if trail is not None and trail.faults:
        raise InvalidData(f"{source}: its audit trail: {trail.faults[0]}")
    return manifest, trail


def restore(source: Path, data_dir: Path, url: str | None, now: InstantNs, *, replace: bool = False) -> Manifest:
    """Put a back-up where programs will find it; what was there is moved to ``before-restore-…`` beside it.

    Raises
    ------
    NotFound, InvalidData
        As `check` does; nothing has been touched then.
    Conflict
        If programs are running, if something is there and not to be replaced, or the back-up is of another kind of
        registry.
    StoreUnavailable
        If PostgreSQL does not take it.
    OSError
        If a file cannot be written: run it again with `replace`.
    """
    manifest, _ = check(source)
    if manifest.postgresql != (url is not None):
        kind = "on PostgreSQL" if manifest.postgresql else "below data_dir"
        raise Conflict(f"{source} has a registry {kind}, and the settings name another kind")
    there = sorted(path for path in data_dir.glob("*") if not path.name.startswith(ASIDE)) if data_dir.exists() else []
    busy = [path for path in there if path.suffix == ".sqlite" and in_use(path)]
    if busy:
        raise Conflict(f"{busy[0]} is in use: stop the programs first")
    if there and not replace:
        raise Conflict(f"{data_dir} is not empty: {there[0].name}, …; --replace moves all of it aside")
    if there:
        aside = data_dir / f"{ASIDE}{now // NS_PER_S}"
        aside.mkdir()
        for path in there:
            path.rename(aside / path.name)
    for file in manifest.files:
        inside = PurePosixPath(file.path)
        if inside.parts[0] == DATA:
            target = data_dir.joinpath(*inside.parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copyfile(source / file.path, target)
            target.chmod(file.mode)
            _sync(target)
    if url is not None:
        postgresql_tools.restore(url, source / DUMP)
    elapsed_s = max(0, -(-(now - manifest.made_ns) // NS_PER_S))
    note_restored(url or f"sqlite:///{data_dir / REGISTRY}", InstantNs(manifest.made_ns), now, elapsed_s)
    _sync(data_dir)
    return manifest


def in_use(path: Path) -> bool:
    """Tell whether another program has an SQLite file open for write-ahead logging: each locks a byte while it does."""
    try:
        with path.with_name(f"{path.name}-shm").open("r+b") as stream:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _SHM_DEAD_MAN_SWITCH)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _files(data_dir: Path) -> Iterator[Path]:
    """Give the files that are kept: all but spools, which are edges' own and out of date at once, and side files."""
    for path in sorted(data_dir.rglob("*")):
        inside = path.relative_to(data_dir).parts
        if (
            path.is_file()
            and not path.is_symlink()
            and not path.name.endswith(_LEFT_OUT)
            and not any(part.startswith((ASIDE, ".")) for part in inside)
            and not (inside[0] == "edge" and _SPOOL in inside)
        ):
            yield path


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with path.open("rb") as stream:
            is_database = stream.read(len(_SQLITE)) == _SQLITE
        if is_database:
            _copy_database(path, target)
        else:
            shutil.copyfile(path, target)
        target.chmod(path.stat().st_mode & 0o777)
        _sync(target)
    except FileNotFoundError:  # a file of the moment: it was whole before, or will be after
        target.unlink(missing_ok=True)


def _copy_database(path: Path, target: Path) -> None:
    """Copy a database as of one instant, while others write it."""
    try:
        with (
            closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)) as there,
            closing(sqlite3.connect(target, isolation_level=None)) as here,
        ):
            there.execute("BEGIN")  # hold one state of it: else the copy begins anew whenever somebody writes
            there.execute("SELECT count(*) FROM sqlite_master").fetchone()
            there.backup(here)
            here.execute("PRAGMA journal_mode=DELETE")  # one file, all of it there
            fault = here.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path}: {error}") from error
    if fault != "ok":
        raise StoreUnavailable(f"{path}: damaged: {fault}")


def _described(path: Path, root: Path) -> File:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    found = path.stat()
    return File(path.relative_to(root).as_posix(), found.st_size, digest.hexdigest(), found.st_mode & 0o777)


def _inside(path: str) -> PurePosixPath:
    inside = PurePosixPath(path)
    if inside.is_absolute() or ".." in inside.parts or not inside.parts:
        raise InvalidData(f"a back-up with a file outside of it: {path[:200]!r}")
    return inside


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
