"""Commands as they come over HTTP, or any other way: to the desk and back, once for each key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from dyncal.alarms.events import Command, Event, Ordered, Refusal, Reported, Verb
from dyncal.domain.alarms import AlarmKind, Condition, Scope
from dyncal.domain.sensors import SensorId, SiteId
from dyncal.domain.time import InstantNs, duration
from dyncal.ports.registry import AlarmAnswer
from services.api.alarms import shapes
from services.api.alarms.desk import Handled
from services.api.alarms.sources import REPORTER
from services.api.deps import Deps
from services.api.errors import Problem
from services.api.schemas.alarms import CommandBody


def carry_out(deps: Deps, body: CommandBody, alarms: Sequence[str], actor: str, key: str = "") -> bytes:
    """Give a command for alarms, and return the JSON of `CommandResult`. Blocks.

    Raises
    ------
    Problem
        422, if `key` was used for another command.
    StoreUnavailable
        If the registry is not there: nothing has been done.
    """
    now, digest = InstantNs(deps.clock.now()), _digest(body, alarms, actor)
    verb = Verb(body.command)
    span = duration(0 if body.duration_s is None else body.duration_s)
    events: list[Event] = list(_introduced(deps, alarms, now))
    events += [Ordered(Command(verb, id_, actor, body.reason, span, body.rule, body.upto), now) for id_ in alarms]
    if not key:
        return shapes.encode(_result(deps.desk.handle(events), now, actor))

    def answer(handled: Handled) -> AlarmAnswer:
        return AlarmAnswer(key, now, digest, shapes.encode(_result(handled, now, actor)))

    given = deps.desk.once(key, events, answer)
    if given.digest != digest:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "another command was given under this key", kind="key-reused")
    return given.answer


def _digest(body: CommandBody, alarms: Sequence[str], actor: str) -> str:
    asked = body.model_dump(mode="json") | {"alarms": list(alarms), "actor": actor}
    return hashlib.sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()


def _introduced(deps: Deps, alarms: Sequence[str], now: InstantNs) -> Iterator[Reported]:
    """Make alarms of known sensors and edges known that never were raised: they may be taken out of service too."""
    sensors = deps.catalogue.get().sensors
    for id_ in alarms:
        source, _, name = id_.rpartition(":")
        if name not in AlarmKind.__members__.values() or deps.desk.alarm(id_) is not None:
            continue
        kind = AlarmKind(name)
        sensor = sensors.get(SensorId(source)) if kind.scope is Scope.SENSOR else None
        if sensor is not None:
            yield Reported(_never(sensor.site, source, kind, now, sensor.edge), REPORTER, now)
        elif kind.scope is Scope.EDGE:
            site = next((s.site for s in sensors.values() if s.edge == source), None)
            if site is not None:
                yield Reported(_never(site, source, kind, now, source), REPORTER, now)


def _never(site: SiteId, source: str, kind: AlarmKind, now: InstantNs, edge: str) -> Condition:
    return Condition(site, source, kind, holds=False, at_ns=now, edge=edge)


def _result(handled: Handled, now: InstantNs, actor: str) -> dict[str, Any]:
    alarms = {alarm.id: alarm for alarm in handled.alarms}
    outcomes = [
        {
            "id": a.alarm,
            "done": a.refusal is None,
            "refusal": a.refusal or "",
            "detail": a.detail or ("there is no such alarm" if a.refusal is Refusal.UNKNOWN_ALARM else ""),
            "alarm": shapes.of_alarm(alarms[a.alarm], now) if a.alarm in alarms else None,
        }
        for a in handled.answers
    ]
    n_done = sum(a.refusal is None for a in handled.answers)
    return {
        "at_ns": now,
        "actor": actor,
        "n_done": n_done,
        "n_refused": len(outcomes) - n_done,
        "outcomes": outcomes,
    }
