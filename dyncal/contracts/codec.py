"""The one codec: msgspec structs to bytes and back, with every failure a `MalformedMessage`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from dyncal.domain.errors import MalformedMessage

MAX_PAYLOAD_BYTES: Final = 4 << 20

T = TypeVar("T")


def unpack(payload: bytes, kind: type[T]) -> T:
    """Decode MessagePack into `kind`.

    Raises
    ------
    MalformedMessage
        If the payload is too large, no MessagePack, or not of that kind.
    """
    with _malformed(payload):
        return msgspec.msgpack.decode(payload, type=kind)


def from_json(payload: bytes | str, kind: type[T]) -> T:
    """Decode JSON into `kind`; errors as in `unpack`."""
    with _malformed(payload):
        return msgspec.json.decode(payload, type=kind)


@contextlib.contextmanager
def _malformed(payload: bytes | str) -> Iterator[None]:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise MalformedMessage(f"{len(payload)} bytes are more than the {MAX_PAYLOAD_BYTES} allowed")
    try:
        yield
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(str(error)) from error


def pack(message: msgspec.Struct) -> bytes:
    """Encode as MessagePack."""
    return msgspec.msgpack.encode(message)


def to_json(message: msgspec.Struct) -> bytes:
    """Encode as JSON with sorted keys: the canonical bytes that are hashed and signed. Floats round-trip exactly."""
    return msgspec.json.encode(message, order="sorted")


def array_to_bytes(values: npt.NDArray[Any], kind: str) -> bytes:
    """Pack an array as little-endian `kind`: ``"<f8"`` or ``"<i8"``."""
    return np.ascontiguousarray(values, dtype=kind).tobytes()


def array_from_bytes(packed: bytes, kind: str, what: str) -> npt.NDArray[Any]:
    """Unpack a little-endian array of `kind` into native order, shape (n,).

    Raises
    ------
    MalformedMessage
        If the length is no multiple of the item size.
    """
    dtype = np.dtype(kind)
    if len(packed) % dtype.itemsize:
        raise MalformedMessage(f"{what}: {len(packed)} bytes are no whole number of {dtype.itemsize}-byte items")
    # A copy: an array over the payload is read-only, and compiled kernels take writable ones only.
    return np.frombuffer(packed, dtype).astype(dtype.newbyteorder("="), copy=True)
