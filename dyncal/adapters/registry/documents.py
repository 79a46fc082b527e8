"""Domain objects with arrays as MessagePack documents: every float64 comes back with the very bits it had."""

from __future__ import annotations

from typing import Any, TypeVar, get_origin

import msgspec
import numpy as np

from dyncal.domain.errors import StoreRefused

T = TypeVar("T")


def dump(thing: object) -> bytes:
    """Return the document of a domain dataclass."""
    return msgspec.msgpack.encode(thing, enc_hook=_encode_array)


def load(document: bytes, kind: type[T]) -> T:
    """Return the dataclass of a document. Raises `StoreRefused` if it is damaged."""
    try:
        return msgspec.msgpack.decode(document, type=kind, dec_hook=_decode_array)
    except msgspec.DecodeError as error:
        raise StoreRefused(f"registry: a {kind.__name__} in it cannot be read: {error}") from error


def _encode_array(thing: Any) -> Any:
    if isinstance(thing, np.ndarray):
        return [list(thing.shape), np.ascontiguousarray(thing, "<f8").tobytes()]
    raise NotImplementedError(f"no document form of {type(thing).__name__}")


def _decode_array(kind: type, packed: Any) -> Any:
    if (get_origin(kind) or kind) is np.ndarray:
        shape, content = packed
        return np.frombuffer(content, "<f8").astype(np.float64).reshape(shape)
    raise NotImplementedError(f"no document form of {kind}")
