"""The one codec: msgspec structs to bytes and back, with every failure a `MalformedMessage`."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, Final, TypeVar, cast

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
    return cast(T, _decoded(_msgpack(cast(Any, kind)), payload))


def from_json(payload: bytes | str, kind: type[T]) -> T:
    """Decode JSON into `kind`; errors as in `unpack`."""
    return cast(T, _decoded(_json(cast(Any, kind)), payload))


# Each kind's decoder is made once: to look its type up for each message took as long as to decode it.
@functools.cache
def _msgpack(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


@functools.cache
def _json(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _decoded(decoder: Any, payload: bytes | str) -> object:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise MalformedMessage(f"{len(payload)} bytes are more than the {MAX_PAYLOAD_BYTES} allowed")
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(str(error)) from error


def pack(message: msgspec.Struct) -> bytes:
    """Encode as MessagePack."""
    return msgspec.msgpack.encode(message)


def to_json(message: msgspec.Struct) -> bytes:
    """Encode as JSON with sorted keys: the canonical bytes that are hashed and signed. Floats round-trip exactly."""
    return msgspec.json.encode(message, order="sorted")


@functools.cache
def _dtype(kind: str) -> tuple[np.dtype[Any], bool]:
    return np.dtype(kind), np.dtype(kind).isnative


def array_to_bytes(values: npt.NDArray[Any], kind: str) -> bytes:
    """Pack an array as little-endian `kind`: ``"<f8"`` or ``"<i8"``."""
    return np.ascontiguousarray(values, dtype=kind).tobytes()


def array_from_bytes(packed: bytes, kind: str, what: str) -> npt.NDArray[Any]:
    """Unpack a little-endian array of `kind` (``"<f8"`` or ``"<i8"``) into native order, shape (n,).

    Raises
    ------
    MalformedMessage
        If the length is no multiple of the item size.
    """
    dtype, native = _dtype(kind)
    if len(packed) % 8:
        raise MalformedMessage(f"{what}: {len(packed)} bytes are no whole number of 8-byte items")
    # A copy: an array over the payload is read-only, and compiled kernels take writable ones only.
    return np.frombuffer(packed, dtype).copy() if native else np.frombuffer(packed, dtype).astype(kind[1:])


def joined_array(parts: Iterable[bytes], kind: str) -> npt.NDArray[Any]:
    """Unpack little-endian arrays of `kind`, of whole items each, into one that is native and writable."""
    dtype, native = _dtype(kind)
    joined = np.frombuffer(bytearray().join(parts), dtype)
    return joined if native else joined.astype(kind[1:])
