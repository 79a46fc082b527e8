"""Payloads of devices to samples, as the configuration says. Pure; every fault is a `MalformedMessage` that says it."""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol, cast

import msgspec
import numpy as np

from dyncal.domain import quality
from dyncal.domain.errors import InvalidData, MalformedMessage
from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import SensorId, sensor_id
from dyncal.domain.time import DurationNs, InstantNs, Int64Array, parse_iso
from edge_agent.source_settings import MappingSettings

MAX_PAYLOAD: Final = 4 << 20
MAX_SAMPLES: Final = 200_000
_MISSING: Final = object()
_INT64: Final = 1 << 63
_SCALE_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_WORDS: Final = {
    "good": quality.GOOD,
    "ok": quality.GOOD,
    "uncertain": quality.UNCERTAIN,
    "bad": quality.BAD,
}


class Decoded(NamedTuple):
    """Samples of one message, in its order: int64, float64, uint32, each of shape (n,)."""

    t_ns: Int64Array
    raw: FloatArray
    codes: UInt32Array


class _Row(NamedTuple):
    time: Any
    value: Any
    quality: Any
    unit: Any


def sensor_of(mapping: MappingSettings, topic: str) -> SensorId:
    """Return the sensor that a message on `topic` is of. Raises `MalformedMessage` if the level is none."""
    if mapping.sensor is not None:
        return SensorId(mapping.sensor)
    levels = topic.split("/")
    level = mapping.sensor_level or 0
    try:
        return sensor_id(levels[level])
    except (IndexError, InvalidData) as error:
        raise MalformedMessage(f"level {level} of the topic is no sensor id: {error}") from error


def decode(mapping: MappingSettings, payload: bytes, *, unit: str, dt_ns: DurationNs, arrival_ns: InstantNs) -> Decoded:
    """Return the samples in a payload.

    Raises
    ------
    MalformedMessage
        If it cannot be read as the mapping says, or holds none.
    """
    if len(payload) > MAX_PAYLOAD:
        raise MalformedMessage(f"{len(payload)} bytes are more than the {MAX_PAYLOAD} allowed")
    plain = _plain(
        mapping.format, mapping.rows_at, mapping.time_at, mapping.value_at, mapping.quality_at, mapping.unit_at
    )
    if plain is not None:
        try:
            found = plain.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # more than numbers, or wrong: what it is, is looked at below
        else:
            if 1 <= len(found.value) <= MAX_SAMPLES:
                return _floats(found.time, found.value, mapping, dt_ns, arrival_ns)
    parts = [_samples(row, mapping, unit, dt_ns, arrival_ns) for row in _rows(mapping, payload)]
    if not parts:
        raise MalformedMessage("no sample in it")
    if sum(part.t_ns.size for part in parts) > MAX_SAMPLES:
        raise MalformedMessage(f"more than {MAX_SAMPLES} samples in one message")
    if len(parts) == 1:
        return parts[0]
    return Decoded(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class _Plain(Protocol):
    """A document of a time and an array of numbers; what else is in it does not matter."""

    time: int | float | str
    value: list[float]


@functools.lru_cache(maxsize=1024)  # few mappings, and many messages of each
def _plain(
    form: str, rows_at: str | None, time_at: str | None, value_at: str, quality_at: str | None, unit_at: str | None
) -> msgspec.json.Decoder[_Plain] | None:
    """Return what reads, in one go, documents whose time and array of values are at their top; None for others."""
    if form != "json" or rows_at is not None or quality_at is not None or unit_at is not None or time_at is None:
        return None
    names = {"time": time_at[1:], "value": value_at[1:]}
    if names["time"] == names["value"] or not all(name and not set("/~") & set(name) for name in names.values()):
        return None
    kind = msgspec.defstruct("Plain", [("time", int | float | str), ("value", list[float])], rename=names)
    return cast("msgspec.json.Decoder[_Plain]", msgspec.json.Decoder(kind))


def _floats(
    time: float | str, values: list[float], mapping: MappingSettings, dt_ns: DurationNs, arrival_ns: InstantNs
) -> Decoded:
    """Return what `_samples` does where there are numbers alone: JSON has no other floats than finite ones."""
    n = len(values)
    return Decoded(_times(time, mapping, n, dt_ns, arrival_ns), np.array(values), np.zeros(n, np.uint32))


def _rows(mapping: MappingSettings, payload: bytes) -> Iterable[_Row]:
    if mapping.format == "number":
        return [_Row(None, _text(payload).strip(), None, None)]
    if mapping.format == "csv":
        return _csv_rows(mapping, _text(payload))
    document = _document(mapping, payload)
    if mapping.rows_at is None:
        return [_pick(document, mapping)]
    rows = resolve(document, mapping.rows_at)
    if not isinstance(rows, list):
        raise MalformedMessage(f"{mapping.rows_at or 'the payload'!r} is no array of rows")
    if len(rows) > MAX_SAMPLES:
        raise MalformedMessage(f"more than {MAX_SAMPLES} rows in one message")
    return [_pick(row, mapping) for row in rows]


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise MalformedMessage(f"not UTF-8: {error}") from error


def _document(mapping: MappingSettings, payload: bytes) -> Any:
    decoder: Callable[[bytes], Any] = msgspec.json.decode if mapping.format == "json" else msgspec.msgpack.decode
    try:
        return decoder(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError) as error:
        raise MalformedMessage(f"not {mapping.format}: {error}") from error


def _csv_rows(mapping: MappingSettings, text: str) -> list[_Row]:
    def cell(cells: Sequence[str], place: str | None) -> str | None:
        if place is None:
            return None
        if int(place) >= len(cells):
            raise MalformedMessage(f"no column {place} in a line of {len(cells)}")
        return cells[int(place)].strip()

    try:
        lines = [cells for cells in csv.reader(text.splitlines(), delimiter=mapping.delimiter) if cells]
    except csv.Error as error:
        raise MalformedMessage(f"not csv: {error}") from error
    return [
        _Row(
            cell(cells, mapping.time_at),
            cell(cells, mapping.value_at),
            cell(cells, mapping.quality_at),
            cell(cells, mapping.unit_at),
        )
        for cells in lines
    ]


def resolve(document: Any, pointer: str) -> Any:
    """Return what a JSON pointer (RFC 6901) points to. Raises `MalformedMessage` if there is nothing."""
    at = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(at, dict):
            at = at.get(key, _MISSING)
        elif isinstance(at, list) and key.isdecimal() and len(key) < 10 and int(key) < len(at):
            at = at[int(key)]
        else:
            at = _MISSING
        if at is _MISSING:
            raise MalformedMessage(f"nothing at {pointer!r}")
    return at


def _pick(document: Any, mapping: MappingSettings) -> _Row:
    def at(place: str | None) -> Any:
        return None if place is None else resolve(document, place)

    return _Row(at(mapping.time_at), at(mapping.value_at), at(mapping.quality_at), at(mapping.unit_at))


def _samples(row: _Row, mapping: MappingSettings, unit: str, dt_ns: DurationNs, arrival_ns: InstantNs) -> Decoded:
    if row.unit is not None and row.unit != unit:
        raise MalformedMessage(f"unit {str(row.unit)[:40]!r}, expected {unit!r}")
    values = row.value if isinstance(row.value, list) else [row.value]
    if not 1 <= len(values) <= MAX_SAMPLES:
        raise MalformedMessage(f"{len(values)} values, expected 1 to {MAX_SAMPLES}")
    raw = _numbers(values)
    codes = _codes(row.quality, len(values))
    empty = np.isnan(raw) & ~quality.is_bad(codes)
    return Decoded(
        _times(row.time, mapping, len(values), dt_ns, arrival_ns),
        raw,
        np.where(empty, np.uint32(quality.BAD), codes) if empty.any() else codes,
    )


def _numbers(values: list[Any]) -> FloatArray:
    """Return values as floats, as `_number` does each; an array of nothing but floats, the rule, in one go."""
    if set(map(type, values)) == {float}:
        return np.array(values)
    return np.array([_number(value) for value in values])


def _number(value: Any) -> float:
    """Return a value as float; null, "NaN" and the like are NaN, as devices have many ways to say 'nothing'."""
    if value is None:
        return math.nan
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, (int, float, str)):
        try:
            return float(value)
        except OverflowError:
            return math.inf
        except ValueError as error:
            raise MalformedMessage(f"value {value[:40] if isinstance(value, str) else value!r} is no number") from error
    raise MalformedMessage(f"value of type {type(value).__name__} is no number")


def _times(time: Any, mapping: MappingSettings, n: int, dt_ns: DurationNs, arrival_ns: InstantNs) -> Int64Array:
    if isinstance(time, list):
        if len(time) != n:
            raise MalformedMessage(f"{len(time)} times for {n} values")
        return np.array([_instant(item, mapping.time_format, arrival_ns) for item in time], np.int64)
    given = mapping.time_at is not None and mapping.time_format != "arrival"
    base = _instant(time, mapping.time_format, arrival_ns) if given else arrival_ns
    # A time of arrival is that of the last value: the others were measured before.
    offset = 0 if given and mapping.time_is == "first" else -(n - 1) * dt_ns
    if not -_INT64 <= base + offset < _INT64 - n * dt_ns:
        raise MalformedMessage(f"times from {base} ns do not fit 64 bits")
    return base + offset + _steps(n, dt_ns)


@functools.lru_cache(maxsize=64)  # devices send as many each time
def _steps(n: int, dt_ns: DurationNs) -> Int64Array:
    return dt_ns * np.arange(n, dtype=np.int64)


def _instant(time: Any, form: str, arrival_ns: InstantNs) -> int:
    if form == "arrival":
        return arrival_ns
    if form == "iso":
        if not isinstance(time, str):
            raise MalformedMessage(f"time of type {type(time).__name__}, expected ISO 8601 text")
        try:
            return parse_iso(time[:64])
        except (InvalidData, ValueError, OverflowError) as error:
            raise MalformedMessage(f"time: {error}") from error
    return _scaled(time, _SCALE_NS[form])


def _scaled(time: Any, scale: int) -> int:
    """Return a number of units as nanoseconds; whole numbers exactly."""
    if isinstance(time, str):
        try:
            time = int(time) if time.strip().lstrip("+-").isdecimal() and len(time) < 40 else float(time)
        except ValueError as error:
            raise MalformedMessage(f"time {time[:40]!r} is no number") from error
    if isinstance(time, bool) or not isinstance(time, (int, float)):
        raise MalformedMessage(f"time of type {type(time).__name__}, expected a number")
    if isinstance(time, float):
        if not math.isfinite(time):
            raise MalformedMessage(f"time is {time}")
        whole = math.floor(time)
        nanoseconds = whole * scale + round((time - whole) * scale)
    else:
        nanoseconds = time * scale
    if not -_INT64 <= nanoseconds < _INT64:
        raise MalformedMessage("time does not fit 64 bits of nanoseconds")
    return nanoseconds


def _codes(given: Any, n: int) -> UInt32Array:
    if isinstance(given, list):
        if len(given) != n:
            raise MalformedMessage(f"{len(given)} qualities for {n} values")
        return np.array([_code(item) for item in given], np.uint32)
    return np.full(n, quality.GOOD if given is None else _code(given), np.uint32)


def _code(given: Any) -> int:
    if isinstance(given, bool):
        return quality.GOOD if given else quality.BAD
    if isinstance(given, str):
        word = given.strip().lower()
        if word in _WORDS:
            return _WORDS[word]
        if word.isdecimal() and len(word) < 12:
            given = int(word)
    if isinstance(given, int) and 0 <= given <= 0xFFFF_FFFF:
        return given
    raise MalformedMessage(f"quality {str(given)[:40]!r} is none: expected good, uncertain, bad, true, false or a code")
