"""Which topics are heard at a broker, and what can be read of their messages, for people who choose."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from dyncal.contracts import codec
from dyncal.contracts.commissioning import MAX_ITEMS, FoundField, FoundTopic
from dyncal.domain.errors import BusUnavailable, Unavailable
from dyncal.ports.message_bus import MessageBus

MAX_S: Final = 30.0
_CONNECT_S: Final = 5.0
_SHOWN: Final = 300
_SHOWN_VALUES: Final = 100
_LARGEST: Final = int(sys.float_info.max)
_MAX_FIELDS: Final = 100
_MAX_DEPTH: Final = 8
_MAX_PARSED: Final = 1 << 20
_MAX_KEPT: Final = 16 << 20
"""Most bytes of payloads kept while listening; of topics beyond, only the beginning is known."""
_MAX_MESSAGES: Final = 50_000
_MAX_TOLD: Final = 2 << 20
"""Most bytes of an answer, about: brokers take no packet of any size."""
_MAX_TOPIC: Final = 2000
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
_EARLIEST_S: Final = 1e9  # 2001, in seconds; later as milliseconds and so on

Format = Literal["", "number", "json", "msgpack", "csv"]


@dataclass(slots=True)
class _Heard:
    n: int
    payload: bytes
    whole: bool = True


async def topics(bus: MessageBus, wanted: str, seconds: float) -> tuple[list[FoundTopic], bool]:
    """Listen so long (at most `MAX_S`) on a bus that was entered; return topics in order, and whether there is more.

    Raises
    ------
    Unavailable
        If the broker cannot be had, or does not grant the filter.
    """
    try:
        async with asyncio.timeout(_CONNECT_S):
            await bus.wait_connected()
    except TimeoutError as error:
        raise Unavailable(f"no connection within {_CONNECT_S:g} s") from error
    heard = _Ears()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(min(max(seconds, 0.1), MAX_S)):
            try:
                await bus.subscribe([wanted])
            except BusUnavailable as error:
                raise Unavailable(str(error)) from error
            async for delivery in bus.deliveries():
                heard.take(delivery.topic, delivery.payload)
                delivery.ack()
                if heard.n >= _MAX_MESSAGES:  # enough to choose from, and the edge has other things to do
                    break
    return await asyncio.to_thread(_told, heard)


class _Ears:
    """What was heard of each topic, bounded whatever comes."""

    def __init__(self) -> None:
        self.topics: dict[str, _Heard] = {}
        self.more = False
        self.n = 0
        self._kept = 0

    def take(self, topic: str, payload: bytes) -> None:
        """Count a message, and keep it in place of the one before."""
        self.n += 1
        known = self.topics.get(topic)
        if known is None:
            if len(self.topics) >= MAX_ITEMS or len(topic) > _MAX_TOPIC:
                self.more = True
                return
            known = self.topics[topic] = _Heard(0, b"")
        whole = self._kept - len(known.payload) + len(payload) <= _MAX_KEPT and len(payload) <= _MAX_PARSED
        self._kept -= len(known.payload)
        known.n, known.payload, known.whole = known.n + 1, payload if whole else payload[:_SHOWN], whole
        self._kept += len(known.payload)


def _told(heard: _Ears) -> tuple[list[FoundTopic], bool]:
    told: list[FoundTopic] = []
    left = _MAX_TOLD
    for topic in sorted(heard.topics):
        found = _found(topic, heard.topics[topic])
        left -= len(codec.to_json(found))
        if left < 0:
            return told, True
        told.append(found)
    return told, heard.more


def _found(topic: str, heard: _Heard) -> FoundTopic:
    kind, numbers, times = read(heard.payload) if heard.whole else ("", [], [])
    shown = heard.payload[:_SHOWN].decode(errors="replace")
    return FoundTopic(topic, heard.n, shown, kind, numbers, times)


def read(payload: bytes) -> tuple[Format, list[FoundField], list[FoundField]]:
    """Return how a payload can be read, and the places in it of numbers and of times; never raises."""
    if not payload or len(payload) > _MAX_PARSED:
        return "", [], []
    text = _number(payload)
    if text is not None:
        return "number", [FoundField("", text)], []
    for kind, decode in (("json", msgspec.json.decode), ("msgpack", msgspec.msgpack.decode)):
        try:
            content = decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(content, (dict, list)):
            return kind, *_places(_leaves(content))  # type: ignore[return-value]  # one of the two
    rows = _row(payload)
    return ("csv", *_places(rows)) if rows else ("", [], [])


def _number(payload: bytes) -> str | None:
    try:
        text = payload.decode().strip()
        float(text)
    except (UnicodeDecodeError, ValueError):
        return None
    return text[:_SHOWN]


def _row(payload: bytes) -> list[tuple[str, Any]]:
    """Return the columns of a line of CSV that has numbers."""
    lines = payload.decode(errors="replace").strip().splitlines()
    if not lines or "," not in lines[0]:
        return []
    cells: list[tuple[str, Any]] = []
    for k, cell in enumerate(lines[-1].split(",")[:_MAX_FIELDS]):
        number = _number(cell.encode(errors="replace"))
        cells.append((str(k), cell.strip() if number is None else float(number)))
    return cells if any(isinstance(value, float) for _, value in cells) else []


def _leaves(content: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the JSON pointer (RFC 6901) and value of what is no object; of arrays of objects, of the first alone."""
    if isinstance(content, dict) and depth < _MAX_DEPTH:
        for key, value in content.items():
            name = str(key).replace("~", "~0").replace("/", "~1")
            yield from _leaves(value, f"{place}/{name}", depth + 1)
    elif isinstance(content, list) and content and isinstance(content[0], (dict, list)) and depth < _MAX_DEPTH:
        yield from _leaves(content[0], f"{place}/0", depth + 1)
    else:
        yield place, content


def _places(leaves: Any) -> tuple[list[FoundField], list[FoundField]]:
    numbers: list[FoundField] = []
    times: list[FoundField] = []
    for place, value in leaves:
        array = isinstance(value, list)
        one = value[0] if array and value else value
        if len(place) > _SHOWN:  # cut it would be another place
            continue
        if _is_time(one):
            times.append(FoundField(place, _text(value), array))
        if _is_number(one):
            numbers.append(FoundField(place, _text(value), array))
        if len(numbers) + len(times) >= _MAX_FIELDS:
            break
    return numbers, times


def _text(value: Any) -> str:
    shown = value[:_SHOWN_VALUES] if isinstance(value, list) else value
    return str(shown)[:_SHOWN]


def _is_number(value: Any) -> bool:
    """Tell whether it is a number that a float holds: JSON knows no bounds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= _LARGEST if isinstance(value, int) else True


def _is_time(value: Any) -> bool:
    if isinstance(value, str):
        return _ISO.match(value) is not None
    return _is_number(value) and math.isfinite(value) and value >= _EARLIEST_S
