"""What a route needs of those who call it: declared at the route, enforced here, listed by `matrix`."""
# No `from __future__ import annotations`: FastAPI reads those of `Need.__call__`, and finds no module of an instance.

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from dyncal.domain.access import Role
from dyncal.domain.sensors import EdgeId, SensorId
from services.api.access.principal import SCOPE_KEY, Principal
from services.api.catalogue import Catalogue
from services.api.errors import Problem

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Need:
    """A dependency that lets a principal through if it has the role and the object is its business, and returns it.

    Attributes
    ----------
    role : Role
        The least role of people.
    edge : bool
        Edges too, for what is in the path: their own edge and its sensors.
    filters : bool
        The handler itself keeps from confined principals what is not their business; without that, and without
        ``{sensor}`` or ``{edge}`` in the path, they are refused.
    own : bool
        What it changes is the principal's own, so that viewers may too.
    """

    role: Role
    edge: bool = False
    filters: bool = False
    own: bool = False

    async def __call__(self, request: Request) -> Principal:
        """Return who asks. Raises `Problem`: 401 for nobody, 403 for who may not, 404 for what they may not see."""
        principal: Principal | None = request.scope.get(SCOPE_KEY)
        if principal is None:
            raise Problem(HTTPStatus.UNAUTHORIZED, "say who you are: sign in, or send a key", kind="sign-in")
        if not (principal.may(self.role) or (self.edge and principal.role is Role.EDGE)):
            raise lacks(principal, self.role)
        if principal.confined and not self.filters:
            await _its_business(principal, request)
        return principal


def lacks(principal: Principal, role: Role) -> Problem:
    """Return the answer to a principal that has not the role that it needs."""
    return Problem(
        HTTPStatus.FORBIDDEN,
        f"this needs the role {role}; {principal.name} is {principal.role}",
        kind="role",
        needs=role,
        role=principal.role,
    )


async def _its_business(principal: Principal, request: Request) -> None:
    path = request.path_params
    if "edge" in path:
        reached = principal.reaches_edge(EdgeId(path["edge"]))
    elif "sensor" in path:
        catalogue = await asyncio.to_thread(request.app.state.deps.catalogue.get)
        known = catalogue.sensors.get(SensorId(path["sensor"]))
        reached = known is not None and principal.reaches(known.id, known.edge)
    else:
        reached = False
    if not reached:
        raise Problem(HTTPStatus.FORBIDDEN, f"this is out of the scope of {principal.name}", kind="scope")


def check_reference(principal: Principal, catalogue: Catalogue, sensor: SensorId, reference: str) -> None:
    """Do nothing if `principal` may have `sensor` held against `reference`, or it is so already.

    Raises
    ------
    Problem
        403 if a confined principal names what is not its business: a fit tells what the reference has shown.
    """
    present = catalogue.pairings.get(sensor)
    if not principal.confined or (present is not None and present.reference == reference):
        return
    known = catalogue.sensors.get(SensorId(reference))
    if known is None or not principal.reaches(known.id, known.edge):
        detail = f"reference: {reference[:140]!r} is out of the scope of {principal.name}"
        raise Problem(HTTPStatus.FORBIDDEN, detail, kind="scope")


def needs(role: Role, *, edge: bool = False, filters: bool = False, own: bool = False) -> Any:
    """Return the dependency of a route that `role` and those above may call; see `Need`.

    For a parameter, ``principal: Annotated[Principal, needs(Role.ENGINEER)]``, or one of the names below; for all
    routes of a router ``APIRouter(dependencies=[needs(Role.VIEWER)])``, to which a route may add.
    """
    return Depends(Need(role, edge, filters, own))


async def public() -> None:
    """Mark a route that anybody may call."""


Viewer = Annotated[Principal, needs(Role.VIEWER)]
Operator = Annotated[Principal, needs(Role.OPERATOR)]
Engineer = Annotated[Principal, needs(Role.ENGINEER)]
Admin = Annotated[Principal, needs(Role.ADMIN)]


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of the role matrix: a route and its least role; None for one that anybody may call."""

    method: str
    path: str
    role: Role | None
    edge: bool
    filters: bool
    own: bool = False

    def admits(self, role: Role) -> bool:
        """Tell whether principals of `role` may call it, for what is their business."""
        return self.role is None or role.covers(self.role) or (self.edge and role is Role.EDGE)


def matrix(app: FastAPI) -> list[Rule]:
    """Return what every route of `app` needs, in order of path.

    Raises
    ------
    TypeError
        If a route declares no need, or a change needs no more than to read: an application like that must not start.
    """
    rules = []
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            calls = list(_calls(route.dependant))
            found = [call for call in calls if isinstance(call, Need)]
            if not found and public not in calls:
                raise TypeError(f"{route.path}: declares no role that it needs; see services/api/access/needs.py")
            rules += [_rule(method, route.path or "", found) for method in sorted(route.methods or ())]
    return sorted(rules, key=lambda rule: (rule.path, rule.method))


def _rule(method: str, path: str, found: list[Need]) -> Rule:
    if not found:
        return Rule(method, path, None, edge=True, filters=True)
    strongest = next(need.role for need in found if all(need.role.covers(other.role) for other in found))
    own = all(need.own for need in found)
    if method not in SAFE and strongest is Role.VIEWER and not own:
        raise TypeError(f"{method} {path}: a change needs more than the role {strongest}")
    return Rule(method, path, strongest, all(need.edge for need in found), all(need.filters for need in found), own)


def _calls(dependant: Dependant) -> Iterator[Any]:
    for each in dependant.dependencies:
        yield each.call
        yield from _calls(each)
