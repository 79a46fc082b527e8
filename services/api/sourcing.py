"""What an edge must not even be told to read: secrets, sensors of another edge, references in a circle."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from dyncal.domain.sensors import EdgeId, Sensor, SensorId
from services.api.access.needs import check_reference
from services.api.access.principal import Principal
from services.api.catalogue import Catalogue
from services.api.errors import Problem

Section = Mapping[str, Any]

_USER_IN_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*@", re.IGNORECASE)
_SECRET: Final = "password"  # noqa: S105  # the name of a key
_MAX_DEPTH: Final = 20


def without_secrets(content: Any, place: str = "", depth: int = 0) -> None:
    """See that nothing secret is in what is kept, audited and published. Raises `Problem` (422), without the secret."""
    if depth > _MAX_DEPTH:
        raise _problem(f"{place}: deeper than any source", "too-deep")
    if isinstance(content, Mapping):
        for key, value in content.items():
            where = f"{place}.{key}"[:200].removeprefix(".")
            if key == _SECRET and value is not None:
                raise _problem(f"{where}: a secret must not travel; put it into a file on the edge", "secret")
            if isinstance(value, str) and key == "url" and _USER_IN_ADDRESS.match(value):
                raise _problem(f"{where}: user name and password are no part of the address", "secret")
            without_secrets(value, where, depth + 1)
    elif isinstance(content, list):
        for k, value in enumerate(content):
            without_secrets(value, f"{place}.{k}", depth + 1)


def check(
    edge: EdgeId,
    opcua: Collection[Section],
    mqtt: Collection[Section],
    catalogue: Catalogue,
    declared: Callable[[EdgeId], Collection[str]],
) -> None:
    """See that an edge takes no sensor of another, and that references lead somewhere.

    Parameters
    ----------
    declared : callable
        The sensors that another edge reads, as it has said last.

    Raises
    ------
    Problem
        409 for a sensor of another edge, 422 for references in a circle.
    """
    wanted = dict(_sensors(opcua, mqtt))
    for name in wanted:
        there: Sensor | None = catalogue.sensors.get(SensorId(name))
        if there is not None and there.edge != edge and name in declared(there.edge):
            said = f"sensor {name[:140]} is read by edge {there.edge} already; one there must be stopped first"
            raise Problem(HTTPStatus.CONFLICT, said, kind="sensor-elsewhere")
    references = {str(sensor): str(pairing.reference) for sensor, pairing in catalogue.pairings.items()}
    references |= {name: reference for name, reference in wanted.items() if reference is not None}
    for name in wanted:
        circle = _circle(name, references)
        if circle:
            raise _problem(f"references in a circle: {' → '.join(each[:140] for each in circle)}", "circle")


def check_scope(
    principal: Principal, opcua: Collection[Section], mqtt: Collection[Section], catalogue: Catalogue
) -> None:
    """See that a confined principal has its edge read no sensor, and hold none against one, that is not its business.

    Who has an edge read a sensor has its history from then on, and a reference shows in what is fitted to it. What the
    same sources declare, and nobody knows yet, is theirs.

    Raises
    ------
    Problem
        403, with the sensor.
    """
    if not principal.confined:
        return
    wanted = dict(_sensors(opcua, mqtt))
    for name, reference in wanted.items():
        known = catalogue.sensors.get(SensorId(name))
        if known is not None and not principal.reaches(known.id, known.edge):
            detail = f"sensor {name[:140]!r} is out of the scope of {principal.name}"
            raise Problem(HTTPStatus.FORBIDDEN, detail, kind="scope")
        if reference is not None and (reference not in wanted or SensorId(reference) in catalogue.sensors):
            check_reference(principal, catalogue, SensorId(name), reference)


def _sensors(opcua: Collection[Section], mqtt: Collection[Section]) -> Iterator[tuple[str, str | None]]:
    """Yield each sensor and its reference, of what looks like one: whether it is right, the edge says."""
    for sections, key in ((opcua, "nodes"), (mqtt, "mappings")):
        for section in sections:
            inside = section.get(key)
            for each in inside if isinstance(inside, list) else ():
                if isinstance(each, Mapping) and isinstance(each.get("sensor"), str):
                    reference = each.get("reference")
                    yield each["sensor"], reference if isinstance(reference, str) else None


def _circle(name: str, references: Mapping[str, str]) -> list[str]:
    path = [name]
    while (reference := references.get(path[-1])) is not None:
        path.append(reference)
        if reference == name:
            return path
        if reference in path[:-1]:  # of others, before this one
            break
    return []


def _problem(said: str, kind: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, said, kind=kind)
