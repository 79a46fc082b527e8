"""The application: routes over what it is given, and nothing opened or started."""

from __future__ import annotations

import functools
from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute

from services.api import errors, examples, static
from services.api.access.document import describe
from services.api.access.gate import Identify
from services.api.access.needs import matrix
from services.api.deps import Deps
from services.api.express import Express
from services.api.middleware import Gate
from services.api.routers import (
    access,
    alarms,
    commissioning,
    console,
    edge,
    findings,
    fleet,
    holds,
    integrators,
    inventory,
    jobs,
    laboratory,
    lifecycle,
    live,
    operators,
    orders,
    report,
    rollouts,
    samples,
    sessions,
    system,
)
from services.api.schemas.laboratory import LaboratoryBody
from services.api.schemas.operations import ProblemOut

API_VERSION = "1.37.0"

_PROBLEM: dict[str, Any] = {
    "description": "A problem document (RFC 9457).",
    "content": {errors.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}},
}


def create_app(deps: Deps) -> FastAPI:
    """Return the application over `deps`."""
    app = FastAPI(
        title="dyncal",
        version=API_VERSION,
        description="Dynamic calibration of industrial sensors: values with uncertainty, and where they come from.",
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        # We count for Prometheus ourselves; asking at every request whether somebody traces costs a seventh of a 304.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.deps = deps
    errors.install(app)
    app.router.routes.extend(_routes())
    static.install(app, deps.console)
    rules = matrix(app)  # fails where a route says nothing of who may call it
    public = frozenset(rule.path for rule in rules if rule.role is None)
    app.add_middleware(Express, deps=deps)  # behind those who ask who it is
    app.add_middleware(Identify, entrance=deps.entrance, public=public, hosts=deps.settings.allowed_hosts, rules=rules)
    app.add_middleware(Gate, deps=deps)
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


@functools.cache
def _routes() -> tuple[BaseRoute, ...]:
    """Return the routes of every application: working out what each depends on takes most of making one."""
    app = FastAPI()
    n = len(app.routes)
    for module in (operators, alarms, console, fleet, findings, integrators, commissioning, edge, live, system):
        app.include_router(module.router)
    for module in (inventory, samples, laboratory, report, jobs):
        app.include_router(module.router)
    for module in (access, sessions, orders, rollouts, lifecycle, holds):
        app.include_router(module.router)
    return tuple(app.routes[n:])


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with problem documents as the answer to every error."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for shape in (ProblemOut, LaboratoryBody):  # which no signature names
            made = shape.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= made.pop("$defs", {})
            schemas[shape.__name__] = made
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        examples.complete(schemas)
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = _PROBLEM
        describe(document, matrix(app))
        app.openapi_schema = document
    return app.openapi_schema
