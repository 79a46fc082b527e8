"""For those who run the service: health and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from dyncal.domain.access import Role
from services.api.access.needs import public
from services.api.access.principal import SCOPE_KEY, Principal
from services.api.deps import DepsOf, needs
from services.api.schemas.operations import HealthOut

router = APIRouter(tags=["system"])


@router.get("/healthz", dependencies=[Depends(public)])
async def alive() -> HealthOut:
    """Tell that the process answers."""
    return HealthOut(ready=True, parts={})


@router.get(
    "/readyz",
    dependencies=[Depends(public)],
    responses={503: {"model": HealthOut, "description": "Something it depends on is wrong."}},
)
async def ready(request: Request, response: Response, deps: DepsOf) -> HealthOut:
    """Tell whether the service does its work, part by part; what is wrong with one only to those who may read."""
    if not deps.parts.ready:
        response.status_code = 503
    parts = dict(deps.parts.faults)
    principal: Principal | None = request.scope.get(SCOPE_KEY)
    if principal is None or not principal.may(Role.VIEWER) or principal.confined:
        parts = {part: "not ready" if fault else "" for part, fault in parts.items()}
    return HealthOut(ready=deps.parts.ready, parts=parts)


@router.get(
    "/metrics",
    dependencies=[needs(Role.VIEWER)],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(deps: DepsOf) -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(generate_latest(deps.metrics.registry), media_type=CONTENT_TYPE_LATEST)
