"""A feed of alarms for tests, and documents of changes."""

from __future__ import annotations

import json
from typing import Any

from services.api.outlets.news import News, read
from services.api.schemas.alarms import AlarmChangeOut, AlarmOut

T0_NS = 1_769_860_800_000_000_000


def change(number: int, source: str = "TT-101", event: str = "raised", **more: Any) -> News:
    """Return a change, checked to be what the API would send."""
    (example,) = AlarmOut.model_json_schema()["examples"]
    kind = more.get("kind", "drift")
    given = {"id": f"{source}:{kind}", "source": source, "sensor": source, "number": number, **more}
    told = {"event": event, "at_ns": T0_NS + number, "actor": "calibrate", "reason": "", "annunciated": "single"}
    whole = AlarmChangeOut.model_validate({**example, **given, **told})
    return read(whole.model_dump_json().encode())


def event_id(number: int) -> str:
    """Return the id of the message that tells of a change."""
    return f"plant-{number}-{T0_NS + number}"


def picture(number: int, source: str = "TT-101", **more: Any) -> News:
    """Return an alarm as it stands, which is no change."""
    document = json.loads(change(number, source, **more).document)
    for key in ("event", "at_ns", "actor", "reason", "annunciated"):
        del document[key]
    return read(json.dumps(document).encode())


class FakeFeed:
    """`services.api.outlets.feed.AlarmFeed` in memory."""

    def __init__(self) -> None:
        self.changes: list[News] = []
        self.stand: list[News] = []

    def add(self, *news: News) -> None:
        self.changes.extend(news)

    def newest(self) -> int:
        return max((n.number for n in (*self.changes, *self.stand)), default=0)

    def after(self, number: int, limit: int) -> list[News]:
        return [n for n in self.changes if n.number > number][:limit]

    def standing(self) -> list[News]:
        return list(self.stand)
