"""Alarms and the rest of an engine's state as bytes, and back."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import Definition
from dyncal.alarms.engine import EngineState
from dyncal.alarms.flood import Flood
from dyncal.domain.errors import InvalidData

T = TypeVar("T")

_alarms: Final = msgspec.msgpack.Decoder(Alarm)
_definitions: Final = msgspec.msgpack.Decoder(Definition)
_states: Final = msgspec.msgpack.Decoder(EngineState)
_floods: Final = msgspec.msgpack.Decoder(Flood)
_encoder: Final = msgspec.msgpack.Encoder()


def dump(thing: Alarm | Definition | EngineState | Flood) -> bytes:
    """Return the form in which it is stored."""
    return _encoder.encode(thing)


def load_alarm(content: bytes) -> Alarm:
    """Return an alarm. Raises `InvalidData` if it is damaged."""
    return _load(_alarms, content)


def load_definition(content: bytes) -> Definition:
    """Return a definition. Raises `InvalidData` if it is damaged."""
    return _load(_definitions, content)


def load_state(content: bytes) -> EngineState:
    """Return the state of an engine. Raises `InvalidData` if it is damaged."""
    return _load(_states, content)


def load_flood(content: bytes) -> Flood:
    """Return a flood. Raises `InvalidData` if it is damaged."""
    return _load(_floods, content)


def _load(decoder: msgspec.msgpack.Decoder[T], content: bytes) -> T:
    try:
        return decoder.decode(content)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InvalidData(f"stored state of alarms cannot be read: {error}") from error
