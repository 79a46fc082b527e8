"""Server-sent events, with going on where they broke off."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

import msgspec

from dyncal.client.errors import ApiError, ApiUnavailable
from dyncal.client.transport import FIRST_PAUSE_S, LONGEST_PAUSE_S, Transport

SILENCE_S: Final = 30.0


class Event(msgspec.Struct, frozen=True):
    """One event: its name, its data as JSON gives it, and its id ('' where it has none)."""

    name: str
    data: Any
    id: str


def parse(lines: Iterator[str]) -> Iterator[Event]:
    """Yield the events of a stream's lines (WHATWG HTML, 9.2.6)."""
    name, data, event_id = "", list[str](), ""
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Event(name or "message", msgspec.json.decode("\n".join(data)), event_id)
            name, data = "", []
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            event_id = value


def follow(
    transport: Transport, path: str, *, last_id: str = "", retries: int | None = None, **query: object
) -> Iterator[Event]:
    """Yield events, and connect again after each interruption with Last-Event-ID; ends where the service ends it well.

    Parameters
    ----------
    last_id : str
        Go on after this event; an event ``reset`` says that this is not possible without a hole.
    retries : int, optional
        Attempts without one event after which it gives up; None never does.

    Raises
    ------
    ApiError
        The service refused.
    ApiUnavailable
        After so many attempts.
    """
    failed = 0
    while True:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        try:
            with transport.open(path, query=query, headers=headers, silence_s=SILENCE_S) as answer:
                for event in parse(answer.iter_lines()):
                    failed, last_id = 0, event.id or last_id
                    yield event
        except (ApiUnavailable, ApiError) as error:
            # 429: the service has not seen yet that the stream before is broken, and counts it.
            if isinstance(error, ApiError) and error.status != HTTPStatus.TOO_MANY_REQUESTS:
                raise
            failed += 1
            if retries is not None and failed > retries:
                raise
            transport.pause(min(FIRST_PAUSE_S * 2**failed, LONGEST_PAUSE_S))
        else:
            return
