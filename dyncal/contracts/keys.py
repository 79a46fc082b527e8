"""Which keys sign for a site, on the wire: a list of keys, sealed by each key that may still speak for it.

An edge that trusts one of those follows the list: it pins the keys that are new, and lays those aside that are retired.
A list has a number that grows: an older one that is sent again is not followed.
"""

from __future__ import annotations

import base64
import binascii
import enum
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dyncal.contracts import codec
from dyncal.contracts.fields import Instant, Name, Ordinal, Text
from dyncal.domain.errors import MalformedMessage
from dyncal.ports.signing import Signer, Verifier

VERSION: Final = 1
MOST_KEYS: Final = 64
_PURPOSE: Final = b"dyncal keys\n"  # nothing else that is signed begins so


class KeyState(enum.StrEnum):
    """What a key is good for."""

    NEXT = "next"
    CURRENT = "current"
    PREVIOUS = "previous"
    RETIRED = "retired"


class KeyMessage(msgspec.Struct, frozen=True):
    """A key: its raw public part (32 bytes of Ed25519, base64), and its state."""

    key_id: Text
    public: Text
    state: KeyState


class KeyList(msgspec.Struct, frozen=True):
    """All keys of a site that edges are to know about; signatures of all but retired ones count."""

    v: int
    site: Name
    number: Ordinal
    at_ns: Instant
    keys: Annotated[list[KeyMessage], Meta(min_length=1, max_length=MOST_KEYS)]


class Seal(msgspec.Struct, frozen=True):
    """A signature over the body by one key."""

    key_id: Text
    signature: Text


class KeysMessage(msgspec.Struct, frozen=True):
    """The list as a text, and signatures over exactly that text."""

    v: int
    body: str
    seals: Annotated[list[Seal], Meta(min_length=1, max_length=MOST_KEYS)]


def seal_keys(keys: KeyList, signers: Sequence[Signer]) -> bytes:
    """Return the list as it travels, sealed by each signer."""
    body = codec.to_json(keys)
    seals = [Seal(s.key_id, base64.b64encode(s.sign(_PURPOSE + body)).decode()) for s in signers]
    return codec.to_json(KeysMessage(VERSION, body.decode(), seals))


def open_keys(payload: bytes, verifier: Verifier) -> KeyList:
    """Return the list in a payload.

    Raises
    ------
    MalformedMessage
        If it is unreadable, of another version, or sealed by no key that is trusted.
    """
    message = codec.from_json(payload, KeysMessage)
    if message.v != VERSION:
        raise MalformedMessage(f"keys of version {message.v}; this program reads {VERSION}")
    body = message.body.encode()
    if not any(verifier.verify(seal.key_id, _PURPOSE + body, _raw(seal.signature)) for seal in message.seals):
        by = ", ".join(seal.key_id[:40] for seal in message.seals[:4])
        raise MalformedMessage(f"a list of keys that no trusted key has sealed, but {by}")
    found = codec.from_json(message.body, KeyList)
    if found.v != VERSION:
        raise MalformedMessage(f"a list of keys of version {found.v}; this program reads {VERSION}")
    return found


def read_keys(payload: bytes) -> KeyList:
    """Return the list in a payload, whoever sealed it. Raises `MalformedMessage`."""
    return codec.from_json(codec.from_json(payload, KeysMessage).body, KeyList)


def _raw(signature: str) -> bytes:
    try:
        return base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return b""
