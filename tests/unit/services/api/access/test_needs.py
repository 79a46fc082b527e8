"""Every route says what it needs; what it needs is what it gets."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from dyncal.domain.access import PEOPLE, Role
from services.api.access.needs import SAFE, matrix, needs
from tests.unit.services.api.conftest import Api

OPEN = {"/", "/favicon.svg", "/healthz", "/readyz", "/v1/session"}


def test_people_may_do_what_those_below_may_and_edges_stand_apart() -> None:
    for at, role in enumerate(PEOPLE):
        assert [role.covers(other) for other in PEOPLE] == [k <= at for k in range(len(PEOPLE))]
        assert not role.covers(Role.EDGE)
        assert not Role.EDGE.covers(role)
    assert Role.EDGE.covers(Role.EDGE)


async def test_every_route_declares_what_it_needs_and_no_change_is_for_viewers(api: Api) -> None:
    rules = matrix(api.app)
    assert {rule.path for rule in rules if rule.role is None} == OPEN
    assert len(rules) > 40
    for rule in rules:
        assert rule.method in SAFE or rule.role is not Role.VIEWER or rule.own, rule
        if rule.edge and rule.role is not None:
            assert "{edge}" in rule.path or "{sensor}" in rule.path or rule.filters, rule


async def test_the_matrix_covers_the_published_interface(api: Api) -> None:
    document = (await api.http.get("/openapi.json")).json()
    published = {(m.upper(), path) for path, each in document["paths"].items() for m in each}
    assert published <= {(rule.method, rule.path) for rule in matrix(api.app)}


async def test_the_published_interface_says_who_may_call_what(api: Api) -> None:
    document = (await api.http.get("/openapi.json")).json()
    rules = {(rule.path, rule.method.lower()): rule for rule in matrix(api.app)}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            role = rules[path, method].role
            assert operation.get("x-needs", {}).get("role") == role, (method, path)
            assert bool(operation["security"]) is (role is not None)
    assert set(document["components"]["securitySchemes"]) == {"bearer", "session"}


def test_an_application_with_a_route_that_says_nothing_does_not_start() -> None:
    app = FastAPI()

    @app.get("/silent")
    def silent() -> None: ...

    with pytest.raises(TypeError, match="/silent: declares no role"):
        matrix(app)


def test_a_change_that_a_viewer_may_make_does_not_start() -> None:
    app = FastAPI()

    @app.post("/change", dependencies=[needs(Role.VIEWER)])
    def change() -> None: ...

    with pytest.raises(TypeError, match="POST /change: a change needs more"):
        matrix(app)
