"""What the alarm engine is told, and what it says."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass

from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import Definition
from dyncal.alarms.flood import Flood
from dyncal.domain.alarms import AlarmEvent, AlarmKind, Annunciation, Condition
from dyncal.domain.time import DurationNs, InstantNs

ENGINE = "alarms"
"""Who acts, in the audit trail, where time alone does."""


class Verb(enum.StrEnum):
    """What people, and rules in their name, can do to an alarm."""

    ACKNOWLEDGE = "acknowledge"
    RESET = "reset"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    SUPPRESS = "suppress"
    UNSUPPRESS = "unsuppress"
    TAKE_OUT_OF_SERVICE = "take_out_of_service"
    RETURN_TO_SERVICE = "return_to_service"
    COMMENT = "comment"


class Refusal(enum.StrEnum):
    """Why a command was not carried out."""

    UNKNOWN_ALARM = "unknown_alarm"
    REASON_MISSING = "reason_missing"
    NOTHING_TO_ACKNOWLEDGE = "nothing_to_acknowledge"
    NOT_ANNUNCIATED = "not_annunciated"
    RAISED_SINCE = "raised_since"
    NOT_LATCHED = "not_latched"
    STILL_ACTIVE = "still_active"
    NOT_ACKNOWLEDGED = "not_acknowledged"
    ALREADY_SHELVED = "already_shelved"
    MAY_NOT_BE_SHELVED = "may_not_be_shelved"
    TOO_LONG = "too_long"
    NOT_SHELVED = "not_shelved"
    ALREADY_SUPPRESSED = "already_suppressed"
    NOT_SUPPRESSED = "not_suppressed"
    OUT_OF_SERVICE = "out_of_service"
    ALREADY_OUT_OF_SERVICE = "already_out_of_service"
    NOT_OUT_OF_SERVICE = "not_out_of_service"


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody wants done to one alarm.

    Attributes
    ----------
    duration_ns : int
        With SHELVE: for how long.
    rule : str
        With SUPPRESS and UNSUPPRESS: by which rule.
    upto : int, optional
        With ACKNOWLEDGE: the number of the newest change that the actor has seen.
    """

    verb: Verb
    alarm: str
    actor: str
    reason: str = ""
    duration_ns: DurationNs = DurationNs(0)
    rule: str = "manual"
    upto: int | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """A program found that a condition holds, or holds no longer."""

    condition: Condition
    reporter: str
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Completed:
    """A program said at `said_ns` all of its conditions of these kinds that hold: those not in `holding` do not."""

    reporter: str
    kinds: Collection[AlarmKind]
    holding: Collection[str]
    said_ns: InstantNs
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Ordered:
    """Somebody gave a command."""

    command: Command
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Defined:
    """Somebody changed the definition of a kind."""

    kind: AlarmKind
    definition: Definition
    actor: str
    reason: str
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes."""

    now_ns: InstantNs


Event = Reported | Completed | Ordered | Defined | Tick


@dataclass(frozen=True, slots=True)
class Changed:
    """An alarm changed: for the history, the audit trail, and everybody who listens.

    `annunciated`: whether, and how, operators are told by this change.
    """

    alarm: Alarm
    event: AlarmEvent
    at_ns: InstantNs
    actor: str
    reason: str
    annunciated: Annunciation = Annunciation.NONE


@dataclass(frozen=True, slots=True)
class Kept:
    """Something about an alarm changed that nobody needs to hear of: keep it."""

    alarm: Alarm


@dataclass(frozen=True, slots=True)
class Answered:
    """A command was carried out, or refused."""

    alarm: str
    refusal: Refusal | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FloodBegan:
    """A flood began."""

    flood: Flood


@dataclass(frozen=True, slots=True)
class FloodEnded:
    """A flood ended: this is what it was."""

    flood: Flood


@dataclass(frozen=True, slots=True)
class DefinitionPut:
    """A definition is in force."""

    kind: AlarmKind
    definition: Definition
    actor: str
    reason: str
    at_ns: InstantNs


Effect = Changed | Kept | Answered | FloodBegan | FloodEnded | DefinitionPut
