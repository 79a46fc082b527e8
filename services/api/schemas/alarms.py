"""Alarms over HTTP and on the live stream."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dyncal.domain.alarms import AlarmEvent, AlarmKind, AlarmState, Annunciation, Priority, Scope
from services.api.schemas.base import InstantNs, Shape, example

MAX_BULK = 10_000

Words = Annotated[str, Field(max_length=500)]
Seconds = Annotated[float, Field(ge=0, le=31_536_000)]
AlarmName = Annotated[str, Field(max_length=300)]


class AlarmOut(Shape):
    """An alarm as it stands, or stood after a change. The live stream's event `alarm` has the same shape."""

    model_config = example(
        id="TT-101:drift",
        site="plant",
        source="TT-101",
        scope="sensor",
        sensor="TT-101",
        kind="drift",
        alarm_class="instrument",
        priority="medium",
        state="unacknowledged",
        active=True,
        acknowledged=False,
        latched=False,
        annunciation="single",
        chattering=False,
        stale=False,
        raised_ns=1_769_860_800_000_000_000,
        cleared_ns=None,
        changed_ns=1_769_860_800_000_000_000,
        acknowledged_ns=None,
        acknowledged_by="",
        shelved_until_ns=None,
        suppressed_by=[],
        out_of_service=False,
        set_aside_ns=None,
        set_aside_by="",
        set_aside_reason="",
        parameter="tau_s",
        value=0.55,
        u=0.004,
        limit=0.525,
        cause="The sensor has become slower.",
        consequence="Corrected values rest on an older calibration until the correction has followed.",
        response="Inspect for fouling.",
        n_raised=1,
        n_comments=0,
        number=4711,
        trace="188fca4f5a7c800016f1b2a7f0d3c9e4",
    )

    id: str
    """`source:kind`."""
    site: str
    source: str
    """Name of the sensor, edge or service that it is about."""
    scope: Scope
    """Which of the three `source` is."""
    sensor: str
    """`source` where it is a sensor, otherwise ''."""
    kind: AlarmKind
    alarm_class: str
    priority: Priority
    state: AlarmState
    """What is shown. `shelved`, `suppressed` and `out_of_service` stand in for what goes on underneath: see `active`,
    `acknowledged` and `latched`."""
    active: bool
    """True while the condition holds, whatever is shown."""
    acknowledged: bool
    """False while somebody has to acknowledge it."""
    latched: bool
    """True from the raise of a latching alarm until its reset."""
    annunciation: Annunciation
    """How operators were told of the present occurrence. `held_back`: in a flood, so not one by one."""
    chattering: bool
    """Raised three times within a minute, the last within the last minute."""
    stale: bool
    """Active for more than 24 h."""
    raised_ns: InstantNs | None
    """Since when the condition holds, or held last; null where it never did."""
    cleared_ns: InstantNs | None
    """When it ended; null while it holds."""
    changed_ns: InstantNs
    acknowledged_ns: InstantNs | None
    acknowledged_by: str
    shelved_until_ns: InstantNs | None
    suppressed_by: list[str]
    """What suppresses it by design: `manual`, names of rules, or kinds of alarms of the same edge."""
    out_of_service: bool
    set_aside_ns: InstantNs | None
    """Since when it is shelved, suppressed or out of service; by whom and why in the two below."""
    set_aside_by: str
    set_aside_reason: str
    parameter: str
    value: float | None
    u: float | None
    limit: float | None
    cause: str
    consequence: str
    response: str
    n_raised: int
    n_comments: int
    number: int
    """Grows with every change of any alarm: of two pictures of an alarm the one with the higher number is newer."""
    trace: str
    """Trace id of the sensor's newest block of samples when the condition began, as logs and spans have it; '' where
    there was none."""


class AlarmChangeOut(AlarmOut):
    """A change of an alarm: what happened, by whom and why, and the alarm as it stood then."""

    event: AlarmEvent
    at_ns: InstantNs
    actor: str
    reason: str
    """Why; the text of a comment."""
    annunciated: Annunciation
    """Whether operators were told by this very change."""


class FloodOut(Shape):
    """A flood of alarms: more than the setting in ten minutes for each operator. Also the stream's event `flood`."""

    model_config = example(
        active=True,
        began_ns=1_769_860_800_000_000_000,
        ended_ns=None,
        n_alarms=412,
        n_held_back={"low": 210, "medium": 150, "high": 0},
    )

    active: bool
    began_ns: InstantNs
    ended_ns: InstantNs | None
    n_alarms: int
    """Annunciations that were due since it began, that which began it included."""
    n_held_back: dict[Priority, int]
    """Of those, the ones that were not called out one by one; they are in the lists all the same."""


class AlarmPage(Shape):
    """Alarms, last changed first."""

    now_ns: InstantNs
    number: int
    """The newest change that this page knows of; `upto` of a command that means what is seen here."""
    n_total: int
    """Alarms that match, on all pages."""
    n_by_state: dict[AlarmState, int]
    """Of all alarms, whatever was asked for; states that no alarm is in are left out."""
    n_to_acknowledge: dict[Priority, int]
    """Alarms shown that wait for somebody to acknowledge them, of all alarms."""
    flood: FloodOut | None
    """The flood that is on now."""
    items: list[AlarmOut]
    next_cursor: str | None


class AlarmHistoryPage(Shape):
    """Changes of alarms, newest first."""

    now_ns: InstantNs
    history_from_ns: InstantNs | None
    """Older changes may be forgotten; null where none were."""
    items: list[AlarmChangeOut]
    next_cursor: str | None


class DefinitionBody(Shape):
    """How alarms of one kind behave; every field has to be given."""

    model_config = example(
        priority="medium",
        alarm_class="instrument",
        on_delay_s=0.0,
        off_delay_s=0.0,
        dead_band=0.0,
        latching=False,
        re_alarm_s=0.0,
        max_shelving_s=28_800.0,
        suppressed_by=["edge_offline"],
        cause="",
        consequence="Drift of the sensor cannot be watched.",
        response="Restore the reference.",
    )

    priority: Priority
    alarm_class: Words
    """A group with rules of its own in the plant's alarm philosophy."""
    on_delay_s: Seconds
    """The condition must hold for so long before it raises the alarm [s]."""
    off_delay_s: Seconds
    """The condition must be gone for so long before the alarm clears [s]."""
    dead_band: Annotated[float, Field(ge=0, lt=1)]
    """Share of the limit by which a value that is told has to fall below it before the condition counts as gone."""
    latching: bool
    """An alarm that cleared stays until it is reset."""
    re_alarm_s: Seconds
    """Interval at which an alarm that stands is annunciated again [s]; 0: never."""
    max_shelving_s: Seconds
    """Longest time of shelving [s]; 0: may not be shelved."""
    suppressed_by: Annotated[list[AlarmKind], Field(max_length=20)]
    """Kinds of alarms which, while active for the same edge, suppress this one by design."""
    cause: Words
    """Shown where the finding itself names no cause; likewise `response`."""
    consequence: Words
    response: Words


class DefinitionOut(DefinitionBody):
    """The definition of a kind of alarms."""

    kind: AlarmKind
    scope: Scope
    changed_ns: InstantNs | None
    """When somebody changed it; null for what dyncal comes with."""


class DefinitionList(Shape):
    """All definitions."""

    items: list[DefinitionOut]


class AlarmDetail(Shape):
    """One alarm with its definition, its newest changes (at most 200) and its comments, newest first."""

    now_ns: InstantNs
    alarm: AlarmOut
    definition: DefinitionOut
    history: list[AlarmChangeOut]
    comments: list[AlarmChangeOut]


Verb = Literal[
    "acknowledge",
    "reset",
    "shelve",
    "unshelve",
    "suppress",
    "unsuppress",
    "take_out_of_service",
    "return_to_service",
    "comment",
]


class CommandBody(Shape):
    """A command for one alarm."""

    command: Verb
    reason: Words = ""
    """Why; needed by all but acknowledge, reset, unshelve and unsuppress. The text of a comment."""
    duration_s: Seconds | None = None
    """With `shelve`: for how long [s]."""
    rule: Annotated[str, Field(max_length=100)] = "manual"
    """With `suppress` and `unsuppress`: the rule by whose name it is done."""
    upto: int | None = None
    """`number` of what the caller has seen: refused for alarms that were raised since."""


class BulkCommandBody(CommandBody):
    """A command for several alarms: each is taken or refused for itself."""

    model_config = example(command="acknowledge", alarms=["TT-101:drift", "TT-102:drift"], reason="", upto=4711)

    alarms: Annotated[list[AlarmName], Field(min_length=1, max_length=MAX_BULK)]


class CommandOutcome(Shape):
    """What a command did to one alarm."""

    id: str
    done: bool
    refusal: str
    """'' where it was done; otherwise one of the words in docs/alarms.md, such as `nothing_to_acknowledge`."""
    detail: str
    alarm: AlarmOut | None
    """The alarm as it stands then; null where there is none of that id."""


class CommandResult(Shape):
    """What became of a command, alarm by alarm, in the order asked for."""

    at_ns: InstantNs
    actor: str
    n_done: int
    n_refused: int
    outcomes: list[CommandOutcome]


class TopOut(Shape):
    """An alarm that came often."""

    id: str
    n: int
    share: float
    """Of all annunciations in the period."""
    n_per_minute: int
    """Most within 60 s."""


class KpisOut(Shape):
    """Performance of the alarm system in a period (ISA-18.2, IEC 62682, EEMUA 191)."""

    from_ns: InstantNs
    """Later than was asked for where history was forgotten."""
    to_ns: InstantNs
    history_from_ns: InstantNs | None
    """Older history is forgotten; null where none is."""
    n_operators: float
    n_annunciated: int
    """Called out one by one."""
    n_held_back: int
    """Held back in floods; not in `n_annunciated`."""
    per_operator_hour: float
    """Annunciations for each operator and hour, mean; held back ones included."""
    peak_per_10_min: float
    """Most in any ten minutes for each operator; held back ones included."""
    flood_share: float
    """Share of the time that was flood."""
    n_floods: int
    top: list[TopOut]
    """The ten that came most often."""
    top_share: float
    """Share of all annunciations that those ten make."""
    chattering: list[TopOut]
    """Those that came three times or more within 60 s."""
    fleeting: list[TopOut]
    """Those that cleared within 60 s before anybody did anything; `n`: how often."""
    stale: list[str]
    """Active for more than 24 h at the end of the period."""
    n_by_priority: dict[Priority, int]
    n_acknowledged: int
    mean_acknowledge_s: float | None
    """Mean time from annunciation to acknowledgement [s]."""
