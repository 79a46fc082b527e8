"""Alarms: lists, history, figures, commands and definitions."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response

from dyncal.alarms.events import Defined
from dyncal.alarms.kpis import Often, kpis
from dyncal.domain.access import Role
from dyncal.domain.alarms import AlarmEvent, AlarmKind, AlarmState, Priority, Scope
from dyncal.domain.errors import InvalidData, NotFound
from dyncal.domain.sensors import sensor_id
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.registry import ChangeFilter
from services.api import pages
from services.api.access.scope import AlarmOperator, Reader, out_of_scope, reaches_alarm
from services.api.alarms import orders, select, shapes
from services.api.alarms.desk import Picture
from services.api.deps import Deps, DepsOf, Engineer, Principal, needs
from services.api.errors import Problem
from services.api.etags import require, respond, strong
from services.api.instants import From, Moment, instant
from services.api.schemas.alarms import (
    AlarmDetail,
    AlarmHistoryPage,
    AlarmPage,
    BulkCommandBody,
    CommandBody,
    CommandResult,
    DefinitionBody,
    DefinitionList,
    DefinitionOut,
    KpisOut,
)

router = APIRouter(prefix="/v1/alarms", tags=["alarms"])

N_HISTORY = 200
DAY_NS = 86_400 * NS_PER_S

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=400)]
Words = Annotated[str, Query(max_length=300)]
Reason = Annotated[str, Query(max_length=500, description="Why, for the audit trail.")]
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200, pattern=r"^[\x21-\x7e]*$")]


@router.get("", response_model=AlarmPage)
def alarms(
    request: Request,
    deps: DepsOf,
    reader: Reader,
    state: Annotated[list[AlarmState] | None, Query()] = None,
    priority: Annotated[list[Priority] | None, Query()] = None,
    kind: Annotated[list[AlarmKind] | None, Query()] = None,
    scope: Annotated[list[Scope] | None, Query()] = None,
    sensor: Words = "",
    source: Words = "",
    active: Annotated[bool | None, Query(description="Only those whose condition holds, or does not.")] = None,
    standing: Annotated[bool, Query(description="Only those that are not normal.")] = False,
    q: Annotated[Words, Query(description="Words that id or cause must contain.")] = "",
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Response:
    """List alarms as they stand, last changed first."""
    picture = _picture(deps, reader)
    chosen = select.Selection(
        frozenset(state or ()), frozenset(priority or ()), frozenset(kind or ()), frozenset(scope or ()),
        sensor, source, active, standing, tuple(q.lower().split()),
    )  # fmt: skip
    found = picture.alarms if chosen == select.EVERYTHING else [a for a in picture.alarms if chosen.takes(a)]
    n_total = len(found)
    if cursor is not None:
        before = pages.decode_number(cursor)
        found = [alarm for alarm in found if alarm.number < before]
    page, now = found[:limit], deps.clock.now()
    following = pages.encode(str(page[-1].number)) if len(found) > limit else None
    return _answer(
        request,
        {
            "now_ns": now,
            "number": picture.number,
            "n_total": n_total,
            "n_by_state": picture.states,
            "n_to_acknowledge": picture.to_acknowledge,
            "flood": None if picture.flood is None else shapes.of_flood(picture.flood),
            "items": [shapes.of_alarm(alarm, now) for alarm in page],
            "next_cursor": following,
        },
        following,
    )


def _picture(deps: Deps, reader: Principal) -> Picture:
    """Return the alarms as a principal may see them; confined ones not the flood, which is the whole plant's."""
    picture = deps.desk.picture()
    if not reader.confined:
        return picture
    catalogue = deps.catalogue.get()
    mine = [alarm for alarm in picture.alarms if reaches_alarm(reader, catalogue, alarm.id)]
    return Picture(mine, picture.number, None, *select.counts(mine))


def _answer(request: Request, body: dict[str, Any], following: str | None = None) -> Response:
    """Return JSON without a detour through models: a page of a thousand alarms in milliseconds."""
    response = Response(msgspec.json.encode(body), media_type="application/json")
    pages.link_next(request, response, following)
    return response


@router.get("/history", response_model=AlarmHistoryPage)
def history(
    request: Request,
    deps: DepsOf,
    reader: Reader,
    alarm: Words = "",
    sensor: Words = "",
    event: Annotated[list[AlarmEvent] | None, Query()] = None,
    start: From = None,
    to: Moment = None,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> Response:
    """List changes of alarms, newest first."""
    only = ChangeFilter(
        alarm,
        sensor_id(sensor) if sensor else "",
        tuple(event or ()),
        None if start is None else instant(start, "from"),
        None if to is None else instant(to, "to"),
        reader.reach,
    )
    before = None if cursor is None else pages.decode_number(cursor)
    found = deps.registry.alarm_history(only, before=before, limit=limit)
    following = pages.encode(str(found[-1].alarm.number)) if len(found) == limit else None
    if reader.confined:  # an edge may be called as a sensor is
        catalogue = deps.catalogue.get()
        found = [change for change in found if reaches_alarm(reader, catalogue, change.alarm.id)]
    items = [shapes.of_change(change) for change in found]
    whole_from = deps.registry.alarms_forgotten_ns()
    body = {"now_ns": deps.clock.now(), "history_from_ns": whole_from, "items": items, "next_cursor": following}
    return _answer(request, body, following)


@router.get("/kpis", dependencies=[needs(Role.VIEWER)])
def figures(deps: DepsOf, start: From = None, to: Moment = None) -> KpisOut:
    """Return figures of performance of a period: by default of the last 24 hours. At most a year.

    What was before `history_from_ns` is forgotten: a period that begins there begins later, as `from_ns` says.
    """
    end = InstantNs(deps.clock.now()) if to is None else instant(to, "to")
    begin = InstantNs(max(end - DAY_NS, 0)) if start is None else instant(start, "from")
    if not 0 < end - begin <= 366 * DAY_NS:
        raise InvalidData("from must lie before to, by at most a year")
    registry, operators = deps.registry, deps.settings.alarms.n_operators
    whole_from = registry.alarms_forgotten_ns()
    if whole_from is not None:
        begin = max(begin, whole_from)
        if begin >= end:
            raise InvalidData("the history of that time is forgotten: see history_from_ns of a later period")
    found = kpis(registry.alarm_figures(begin, end), registry.alarm_floods(begin, end), begin, end, operators)
    return KpisOut(
        from_ns=begin,
        to_ns=end,
        history_from_ns=whole_from,
        n_operators=operators,
        n_annunciated=found.n_annunciated,
        n_held_back=found.n_held_back,
        per_operator_hour=found.per_operator_hour,
        peak_per_10_min=found.peak_per_10_min,
        flood_share=found.flood_share,
        n_floods=found.n_floods,
        top=[_often(one) for one in found.top],
        top_share=found.top_share,
        chattering=[_often(one) for one in found.chattering[:100]],
        fleeting=[_often(one) for one in found.fleeting[:100]],
        stale=[alarm.id for alarm in deps.desk.picture().alarms if alarm.stale(end)][:1000],
        n_by_priority={priority: found.n_by_priority[priority.rank] for priority in Priority},
        n_acknowledged=found.n_acknowledged,
        mean_acknowledge_s=found.mean_acknowledge_s,
    )


def _often(one: Often) -> dict[str, Any]:
    return {"id": one.alarm, "n": one.n, "share": one.share, "n_per_minute": one.n_per_minute}


@router.get("/definitions")
def definitions(deps: DepsOf, reader: Reader) -> DefinitionList:
    """List how the alarms of each kind behave."""
    del reader  # they are about no sensor
    found = deps.desk.definitions().items()
    return DefinitionList(items=[DefinitionOut(**shapes.of_definition(k, d, at)) for k, (d, at) in found])


@router.get(
    "/definitions/{kind}", response_model=DefinitionOut, responses={304: {"description": "As the caller has it."}}
)
def definition(kind: AlarmKind, request: Request, deps: DepsOf, reader: Reader) -> Response:
    """Return how the alarms of a kind behave, with a strong ETag."""
    del reader
    found, at = deps.desk.definitions()[kind]
    shape = DefinitionOut(**shapes.of_definition(kind, found, at))
    return respond(request, shape.model_dump_json().encode(), tag=_tag(deps, kind))


def _tag(deps: Deps, kind: AlarmKind) -> str:
    return strong(shapes.encode(shapes.body_of(deps.desk.definitions()[kind][0])))


@router.put("/definitions/{kind}")
def put_definition(
    kind: AlarmKind,
    body: DefinitionBody,
    request: Request,
    response: Response,
    deps: DepsOf,
    principal: Engineer,
    reason: Reason = "",
) -> DefinitionOut:
    """Change how the alarms of a kind behave, for those that stand too. With If-Match only if it is as seen."""
    if not reason.strip():
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "reason: say why", kind="reason-missing")
    if kind in body.suppressed_by:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "suppressed_by: a kind cannot suppress itself", kind="itself")
    with deps.changing:
        require(request, _tag(deps, kind))
        act = principal.act(deps.clock, reason)
        deps.desk.handle([Defined(kind, shapes.definition_of(body), act.actor, act.reason, act.at_ns)])
    found, at = deps.desk.definitions()[kind]
    response.headers["ETag"] = _tag(deps, kind)
    return DefinitionOut(**shapes.of_definition(kind, found, at))


def _check(deps: Deps, principal: Principal, alarms: Sequence[str]) -> None:
    """Do nothing if alarms, by their ids, are the business of `principal`. Raises `Problem` (403)."""
    if principal.confined:
        catalogue = deps.catalogue.get()
        if not all(reaches_alarm(principal, catalogue, id_) for id_ in alarms):
            raise out_of_scope(principal)


@router.post("/commands", response_model=CommandResult)
def bulk_command(body: BulkCommandBody, deps: DepsOf, principal: AlarmOperator, key: Key = "") -> Response:
    """Give a command for several alarms: each takes or refuses it for itself."""
    _check(deps, principal, body.alarms)
    single = CommandBody(**body.model_dump(exclude={"alarms"}))
    answer = orders.carry_out(deps, single, list(dict.fromkeys(body.alarms)), principal.name, key)
    return Response(answer, media_type="application/json")


@router.get("/{alarm}", response_model=AlarmDetail)
def one_alarm(alarm: str, request: Request, deps: DepsOf, reader: Reader) -> Response:
    """Return one alarm with its definition, its newest changes and its comments."""
    _check(deps, reader, [alarm[:300]])
    found = deps.desk.alarm(alarm[:300])
    if found is None or not found.number:
        raise NotFound(f"there is no alarm {alarm[:140]!r}, or it never changed")
    now = deps.clock.now()
    changes = deps.registry.alarm_history(ChangeFilter(found.id), limit=N_HISTORY)
    commented = ChangeFilter(found.id, events=(AlarmEvent.COMMENTED,))
    comments = deps.registry.alarm_history(commented, limit=N_HISTORY) if found.n_comments else []
    changed = deps.registry.alarm_definitions().get(found.kind)
    return _answer(
        request,
        {
            "now_ns": now,
            "alarm": shapes.of_alarm(found, now),
            "definition": shapes.of_definition(found.kind, found.definition, None if changed is None else changed[1]),
            "history": [shapes.of_change(change) for change in changes],
            "comments": [shapes.of_change(change) for change in comments],
        },
    )


@router.post("/{alarm}/commands", response_model=CommandResult)
def command(alarm: str, body: CommandBody, deps: DepsOf, principal: AlarmOperator, key: Key = "") -> Response:
    """Give a command for one alarm; 404 if there is none, 409 with `refusal` where it is refused."""
    _check(deps, principal, [alarm[:300]])
    answer = orders.carry_out(deps, body, [alarm[:300]], principal.name, key)
    outcome = msgspec.json.decode(answer)["outcomes"][0]
    if outcome["refusal"] == "unknown_alarm":
        raise NotFound(f"there is no alarm {alarm[:140]!r}")
    if outcome["refusal"]:
        words = outcome["refusal"].replace("_", " ")
        detail = f"{words}: {outcome['detail']}" if outcome["detail"] else words
        raise Problem(HTTPStatus.CONFLICT, detail, kind="alarm-command", refusal=outcome["refusal"])
    return Response(answer, media_type="application/json")
