"""For the console's pages on the system and the audit trail. Read only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from prometheus_client import Metric

from dyncal.domain.access import Role
from dyncal.domain.time import NS_PER_S
from dyncal.ports.registry import AuditTrail
from services.api import pages
from services.api.deps import DepsOf, needs
from services.api.schemas.operations import AuditOut, EdgeOut
from services.api.schemas.system import (
    MessagesOut,
    OutletOut,
    RequestsOut,
    StreamsOut,
    SystemOut,
    TrailOut,
    VerificationOut,
)

router = APIRouter(prefix="/v1", tags=["console"], dependencies=[needs(Role.VIEWER)])


@router.get("/system")
def system(request: Request, deps: DepsOf) -> SystemOut:
    """Say how the service does: what it depends on, its edges, its streams, what it took and refused."""
    metrics = {metric.name: metric for metric in deps.metrics.registry.collect()}
    taken, rejected = _by_label(metrics, "dyncal_api_messages"), _by_label(metrics, "dyncal_api_rejected")
    statuses = _by_label(metrics, "dyncal_api_requests", "status")
    started, cpu = _one(metrics, "process_start_time_seconds"), _one(metrics, "process_cpu_seconds")
    memory = _one(metrics, "process_resident_memory_bytes")
    return SystemOut(
        now_ns=deps.clock.now(),
        started_ns=None if started is None else round(started) * NS_PER_S,
        version=_version(),
        api_version=request.app.version,
        ready=deps.parts.ready,
        parts=dict(deps.parts.faults),
        edges=[EdgeOut.of(status) for status in deps.edges.all()],
        outlets=[OutletOut(**asdict(standing)) for standing in deps.outlets.all()],
        sensors=len(deps.catalogue.get().sensors),
        cpu_s=cpu,
        memory_bytes=None if memory is None else int(memory),
        streams=StreamsOut(
            clients=deps.hub.n_clients,
            most_clients=deps.settings.max_clients,
            frames=sum(_by_label(metrics, "dyncal_api_stream_frames").values()),
            dropped=int(_one(metrics, "dyncal_api_stream_frames_dropped") or 0),
            cut=int(_one(metrics, "dyncal_api_stream_clients_cut") or 0),
        ),
        messages=[
            MessagesOut(kind=kind, taken=taken.get(kind, 0), rejected=rejected.get(kind, 0))
            for kind in sorted(taken.keys() | rejected.keys())
        ],
        requests=RequestsOut(
            answered=sum(statuses.values()),
            refused=sum(n for status, n in statuses.items() if status.startswith("4")),
            failed=sum(n for status, n in statuses.items() if status.startswith("5")),
        ),
    )


def _by_label(metrics: dict[str, Metric], name: str, label: str = "") -> dict[str, int]:
    """Return a counter's values by one of its labels: the only one, unless it is named."""
    found: dict[str, int] = {}
    for sample in _samples(metrics, name):
        key = sample[0].get(label, "") if label else next(iter(sample[0].values()), "")
        found[key] = found.get(key, 0) + int(sample[1])
    return found


def _one(metrics: dict[str, Metric], name: str) -> float | None:
    return next((value for _, value in _samples(metrics, name)), None)


def _samples(metrics: dict[str, Metric], name: str) -> Iterator[tuple[dict[str, str], float]]:
    """Yield labels and values of a metric; not when its counters began."""
    if name in metrics:
        yield from ((s.labels, s.value) for s in metrics[name].samples if not s.name.endswith("_created"))


def _version() -> str:
    try:
        return version("dyncal")
    except PackageNotFoundError:
        return ""


@router.get("/audit/newest")
def newest(
    request: Request,
    response: Response,
    deps: DepsOf,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> TrailOut:
    """List the audit trail, newest first."""
    last = last_number(deps.registry) if cursor is None else pages.decode_number(cursor) - 1
    first = max(last - limit, 0)
    found = deps.registry.audit(after=first, limit=last - first) if last > 0 else []
    following = pages.encode(str(first + 1)) if first > 0 and found else None
    pages.link_next(request, response, following)
    return TrailOut(items=[AuditOut.of(entry) for entry in reversed(found)], next_cursor=following)


def last_number(trail: AuditTrail) -> int:
    """Return the number of the newest entry, 0 where there is none: entries count from 1 without holes."""
    low, high = 0, 1
    while trail.audit(after=high - 1, limit=1):
        low, high = high, 2 * high
    while high - low > 1:  # `low` is there, or 0; `high` is not
        middle = (low + high) // 2
        low, high = (middle, high) if trail.audit(after=middle - 1, limit=1) else (low, middle)
    return low


@router.get("/audit/verification")
async def verification(deps: DepsOf) -> VerificationOut:
    """Check the whole chain of digests of the audit trail; takes about a second for 100 000 entries.

    What was found in the last five seconds is told again, with its instant.
    """
    found = await deps.trail.check(deps.registry, deps.clock)
    return VerificationOut(checked_ns=found.at_ns, first_misfit=found.first_misfit)
