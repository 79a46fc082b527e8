"""What is the business of confined principals: for handlers that filter (`needs(…, filters=True)`)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, TypeVar

from dyncal.domain.access import Role
from dyncal.domain.alarms import AlarmKind, Scope
from dyncal.domain.errors import NotFound
from dyncal.domain.sensors import EdgeId, SensorId
from services.api.access.needs import needs
from services.api.access.principal import Principal
from services.api.catalogue import Catalogue
from services.api.errors import Problem

T = TypeVar("T")

Reader = Annotated[Principal, needs(Role.VIEWER, filters=True)]
"""Who may read; the handler shows confined principals what is their business."""

AlarmOperator = Annotated[Principal, needs(Role.OPERATOR, filters=True)]
FilteredEngineer = Annotated[Principal, needs(Role.ENGINEER, filters=True)]


def out_of_scope(principal: Principal) -> Problem:
    """Return the answer to a confined principal who asks for what is not its business, or for what is not there."""
    return Problem(HTTPStatus.FORBIDDEN, f"this is out of the scope of {principal.name}", kind="scope")


def reaches(principal: Principal, catalogue: Catalogue, sensor: str) -> bool:
    """Tell whether a sensor is the business of a principal; one that there is not is that of the unconfined alone."""
    known = catalogue.sensors.get(SensorId(sensor))
    return not principal.confined or (known is not None and principal.reaches(known.id, known.edge))


def reaches_alarm(principal: Principal, catalogue: Catalogue, alarm: str) -> bool:
    """Tell whether an alarm, by its id, is about a sensor or an edge that is the business of a principal."""
    if not principal.confined:
        return True
    source, _, kind = alarm.rpartition(":")
    if kind not in AlarmKind.__members__.values():
        return False
    match AlarmKind(kind).scope:
        case Scope.SENSOR:
            return reaches(principal, catalogue, source)
        case Scope.EDGE:
            return principal.reaches_edge(EdgeId(source))
        case _:
            return False


def check_sensor(principal: Principal, catalogue: Catalogue, sensor: str) -> None:
    """Do nothing if a sensor is the business of `principal`. Raises `Problem` (403)."""
    if not reaches(principal, catalogue, sensor):
        raise out_of_scope(principal)


def theirs(principal: Principal, catalogue: Catalogue, read: Callable[[], T], sensor_of: Callable[[T], str]) -> T:
    """Return what `read` returns if the sensor that it is about is the business of `principal`.

    Raises
    ------
    Problem
        403, to confined principals for what is not there too: they are not told what there is.
    NotFound
        To others, if `read` raises it.
    """
    try:
        found = read()
    except NotFound:
        if principal.confined:
            raise out_of_scope(principal) from None
        raise
    check_sensor(principal, catalogue, sensor_of(found))
    return found
