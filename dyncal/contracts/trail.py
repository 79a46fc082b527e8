"""The audit trail as a chain, its signed checkpoints, and its form as a file. Pure.

    d_0 = 0…0 (64 digits),   d_n = SHA-256(d_{n-1} ‖ JSON [n, at_ns, actor, action, subject, reason])

A file is JSON Lines: what it begins after, the entries, the checkpoints, and the end. Each line has one form alone, so
that no byte of it can be another without being noticed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from dyncal.domain.errors import MalformedMessage
from dyncal.domain.time import InstantNs
from dyncal.ports.records import AuditEntry
from dyncal.ports.signing import Signer
from dyncal.ports.trail import Checkpoint, Head

VERSION: Final = 1
GENESIS: Final = Head(0, "0" * 64)
_PURPOSE: Final = b"dyncal audit checkpoint\n"  # no coefficient set, which is JSON, can be taken for one

_encode: Final = msgspec.json.Encoder().encode
_sha256: Final = hashlib.sha256

Row = tuple[Any, ...]
"""number, at_ns, actor, action, subject, reason, digest; of whatever type a damaged database gives."""


def digest_of(before: str, number: int, at_ns: int, actor: str, action: str, subject: str, reason: str) -> str:
    """Return the digest (hexadecimal) of an entry that follows one with digest `before`."""
    return _sha256(before.encode() + _encode((number, at_ns, actor, action, subject, reason))).hexdigest()


class Followed(NamedTuple):
    """How far a trail fits: its last entry that does, the first that does not (None: all do), and why."""

    head: Head
    misfit: int | None = None
    why: str = ""


def follow(rows: Iterable[Row], start: Head = GENESIS, wanted: dict[int, str] | None = None) -> Followed:
    """Follow the chain from `start`; `wanted` are digests that were signed or kept elsewhere, by number."""
    number, digest = start.number, start.digest
    wanted = wanted or {}
    last = max(wanted, default=0)
    if wanted.get(number, digest) != digest:
        return Followed(start, number, "it is not the one that was signed or kept")
    for row in rows:
        expected = number + 1
        try:
            found, at_ns, actor, action, subject, reason, stated = row
            if found != expected or type(found) is not int:
                return Followed(Head(number, digest), expected, "it is not there")
            fits = stated == digest_of(digest, found, at_ns, actor, action, subject, reason)
        except (TypeError, ValueError, OverflowError, msgspec.ValidationError):
            fits = False
        if not fits:
            return Followed(Head(number, digest), expected, "it is not what its digest says")
        if expected <= last and wanted.get(expected, stated) != stated:
            return Followed(Head(number, digest), expected, "it is not the one that was signed or kept")
        number, digest = expected, stated
    if number < last:
        missing = min(n for n in wanted if n > number)
        return Followed(Head(number, digest), number + 1, f"the trail was cut: entry {missing} was there once")
    return Followed(Head(number, digest))


def sign_head(head: Head, site: str, at_ns: InstantNs, signer: Signer) -> Checkpoint:
    """Return the checkpoint of a trail's end."""
    signature = signer.sign(_signed(site, head.number, head.digest, at_ns))
    return Checkpoint(site, head.number, head.digest, at_ns, signer.key_id, signature)


def signed_bytes(checkpoint: Checkpoint) -> bytes:
    """Return what its signature is over."""
    return _signed(checkpoint.site, checkpoint.number, checkpoint.digest, checkpoint.at_ns)


def _signed(site: str, number: int, digest: str, at_ns: int) -> bytes:
    return _PURPOSE + _encode((VERSION, site, number, digest, at_ns))


class _Begin(msgspec.Struct, forbid_unknown_fields=True):
    dyncal_audit: int
    after: int
    digest: str


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    number: int
    at_ns: int
    actor: str
    action: str
    subject: str
    reason: str
    digest: str


class _Checkpoint(msgspec.Struct, forbid_unknown_fields=True):
    checkpoint: int
    site: str
    digest: str
    at_ns: int
    key_id: str
    signature: str


class _End(msgspec.Struct, forbid_unknown_fields=True):
    end: int
    digest: str


class Exported(NamedTuple):
    """What is in a file."""

    start: Head
    rows: list[Row]
    checkpoints: list[Checkpoint]
    end: Head


def checkpoint_line(checkpoint: Checkpoint) -> bytes:
    """Return the line of a checkpoint."""
    c = checkpoint
    signature = base64.b64encode(c.signature).decode()
    return _encode(_Checkpoint(c.number, c.site, c.digest, c.at_ns, c.key_id, signature)) + b"\n"


def read_checkpoint(line: bytes) -> Checkpoint:
    """Return the checkpoint of a line. Raises `MalformedMessage`."""
    return _checkpoint(_exact(line, _Checkpoint))


def _checkpoint(c: _Checkpoint) -> Checkpoint:
    try:
        signature = base64.b64decode(c.signature, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedMessage(f"signature: {error}") from error
    if base64.b64encode(signature).decode() != c.signature:  # bits of the last letter that say nothing
        raise MalformedMessage("signature: not in its one form")
    return Checkpoint(c.site, c.checkpoint, c.digest, InstantNs(c.at_ns), c.key_id, signature)


def export_lines(
    start: Head, entries: Iterable[AuditEntry], checkpoints: Iterable[Checkpoint]
) -> Iterator[bytes]:  # fmt: skip
    """Give the lines of a file."""
    yield _encode(_Begin(VERSION, start.number, start.digest)) + b"\n"
    number, digest = start.number, start.digest
    for e in entries:
        yield _encode(_Entry(e.number, e.at_ns, e.actor, e.action, e.subject, e.reason, e.digest)) + b"\n"
        number, digest = e.number, e.digest
    for checkpoint in checkpoints:
        yield checkpoint_line(checkpoint)
    yield _encode(_End(number, digest)) + b"\n"


def read_export(content: bytes) -> Exported:
    """Return what is in a file. Raises `MalformedMessage` with the line that cannot be."""
    lines = content.split(b"\n")
    if len(lines) < 3 or lines[-1]:
        raise MalformedMessage("it does not end as a trail does: it was cut, or never whole")
    kinds: list[type[msgspec.Struct]] = [_Begin, *(_kind_of(line) for line in lines[1:-2]), _End]
    begin, *between, end = [
        _exact(line, kind, number) for number, (line, kind) in enumerate(zip(lines[:-1], kinds, strict=True), 1)
    ]
    if begin.dyncal_audit != VERSION:
        raise MalformedMessage(f"version {begin.dyncal_audit}, not {VERSION}")
    rows = [msgspec.structs.astuple(found) for found in between if isinstance(found, _Entry)]
    checkpoints = [_checkpoint(found) for found in between if isinstance(found, _Checkpoint)]
    return Exported(Head(begin.after, begin.digest), rows, checkpoints, Head(end.end, end.digest))


def _kind_of(line: bytes) -> type[msgspec.Struct]:
    return _Checkpoint if line.startswith(b'{"checkpoint"') else _Entry


_decoders: Final[dict[type, Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (_Begin, _Entry, _Checkpoint, _End)
}  # fmt: skip


def _exact(line: bytes, kind: type[Any], number: int = 1) -> Any:
    try:
        found = _decoders[kind].decode(line)
        exact = _encode(found) == line
    except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError, RecursionError) as error:
        raise MalformedMessage(f"line {number}: {error}") from error
    if not exact:
        raise MalformedMessage(f"line {number}: not in its one form")
    return found
