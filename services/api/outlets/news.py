"""Changes of alarms as outlets see them: the document that third parties get, and what outlets have to know of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

import msgspec

from dyncal.domain.alarms import AlarmKind, AlarmState, Annunciation, Priority, Scope
from dyncal.domain.errors import MalformedMessage

STANDING: Final = "standing"
"""Event of a picture that is no change: how an alarm stood when an outlet began."""


class News(msgspec.Struct, frozen=True):
    """One change of an alarm, and the alarm as it stood then; fields as in `services.api.schemas.alarms`.

    Attributes
    ----------
    number : int
        Grows with every change of any alarm.
    event : str
        One of `dyncal.domain.alarms.AlarmEvent`, or `STANDING`.
    document : bytes
        The JSON object that all this was read from; passed on as it is.
    """

    id: str
    site: str
    source: str
    scope: Scope
    sensor: str
    kind: AlarmKind
    priority: Priority
    state: AlarmState
    active: bool
    acknowledged: bool
    latched: bool
    raised_ns: int | None
    changed_ns: int
    suppressed_by: list[str]
    out_of_service: bool
    parameter: str
    value: float | None
    u: float | None
    limit: float | None
    cause: str
    consequence: str
    response: str
    number: int
    shelved_until_ns: int | None = None
    annunciation: Annunciation = Annunciation.NONE
    annunciated: Annunciation = Annunciation.NONE
    event: str = STANDING
    at_ns: int | None = None
    actor: str = ""
    reason: str = ""
    document: bytes = b""

    @property
    def told_ns(self) -> int:
        """Instant of the change [ns]."""
        return self.changed_ns if self.at_ns is None else self.at_ns

    @property
    def event_id(self) -> str:
        """Identity of the change: the same at every attempt, over restarts, and for every target.

        The instant is part of it: a registry that was restored from an older copy gives numbers a second time.
        """
        return f"{self.site}-{self.number}-{self.told_ns}"


def read(document: bytes) -> News:
    """Return what the JSON of an alarm, or of a change of one, says. Raises `MalformedMessage`."""
    try:
        news = msgspec.json.decode(document, type=News)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedMessage(f"not a change of an alarm: {error}") from error
    return msgspec.structs.replace(news, document=document)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which changes a target wants: all that meet every condition; an empty one is met by all."""

    priority: Priority = Priority.LOW
    kinds: frozenset[AlarmKind] = dataclasses.field(default_factory=frozenset)
    states: frozenset[AlarmState] = dataclasses.field(default_factory=frozenset)
    sources: frozenset[str] = dataclasses.field(default_factory=frozenset)

    def takes(self, news: News) -> bool:
        """Tell whether `news` is wanted."""
        return (
            news.priority.rank >= self.priority.rank
            and (not self.kinds or news.kind in self.kinds)
            and (not self.states or news.state in self.states)
            and (not self.sources or news.source in self.sources)
        )
