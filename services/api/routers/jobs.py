"""Calibrations on demand: asked for, followed while they run, cancelled."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse

from dyncal.domain.errors import NotFound
from dyncal.domain.jobs import Job
from dyncal.domain.sensors import Pairing
from dyncal.domain.time import InstantNs
from services.api.access.needs import check_reference
from services.api.access.scope import FilteredEngineer, Reader, reaches, theirs
from services.api.deps import Deps, DepsOf, Engineer, Principal
from services.api.errors import Problem
from services.api.frames import sse
from services.api.schemas.jobs import JobBody, JobList, JobOut

router = APIRouter(prefix="/v1", tags=["integrators"])

BEAT_S: Final = 5.0

Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200, pattern=r"^[\x21-\x7e]*$")]


@router.post("/sensors/{sensor}/calibrations", status_code=202)
async def calibrate(
    sensor: str, body: JobBody, response: Response, deps: DepsOf, principal: Engineer, key: Key = ""
) -> JobOut:
    """Fit a sensor's model to an interval of the store, beside the running calibration and without changing it.

    The answer is a job: follow it at the address in Location, or as events below it. At most one runs at a time.
    """
    catalogue = await asyncio.to_thread(deps.catalogue.get)
    known = catalogue.sensor(sensor)
    pairing: Pairing | None = catalogue.pairings.get(known.id)
    if body.pairing is not None:
        pairing = body.pairing.to_domain(known.id)
    if pairing is None:
        raise NotFound(f"sensor {known.id} has no pairing: say reference and model")
    check_reference(principal, catalogue, known.id, pairing.reference)
    catalogue.sensor(pairing.reference)
    if body.from_ns >= body.to_ns:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "from_ns must lie before to_ns", kind="interval")
    digest = hashlib.sha256(f"{known.id} {body.model_dump_json()}".encode()).hexdigest()
    word = hashlib.sha256(f"{principal.name} {key}".encode()).hexdigest()[:16] if key else uuid.uuid4().hex[:16]
    job = await deps.jobs.add(
        Job(
            f"j-{word}",
            digest,
            principal.name,
            body.reason,
            known,
            pairing,
            InstantNs(body.from_ns),
            InstantNs(body.to_ns),
            deps.clock.now(),
        ),
        principal.act(deps.clock, body.reason),
    )
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return JobOut.of(job)


@router.get("/jobs")
async def jobs(deps: DepsOf, reader: Reader) -> JobList:
    """List calibrations on demand, newest first: the last 200."""
    catalogue = await asyncio.to_thread(deps.catalogue.get)
    return JobList(items=[JobOut.of(job) for job in deps.jobs.jobs() if reaches(reader, catalogue, job.sensor.id)])


async def _one(deps: Deps, reader: Principal, id_: str) -> Job:
    catalogue = await asyncio.to_thread(deps.catalogue.get)
    return theirs(reader, catalogue, lambda: deps.jobs.job(id_[:80]), lambda job: job.sensor.id)


@router.get("/jobs/{job}")
async def one_job(job: str, deps: DepsOf, reader: Reader) -> JobOut:
    """Return a calibration on demand as it stands."""
    return JobOut.of(await _one(deps, reader, job))


@router.delete("/jobs/{job}")
async def cancel(job: str, deps: DepsOf, principal: FilteredEngineer) -> JobOut:
    """Cancel a calibration on demand; one that has ended stays as it is."""
    found = await _one(deps, principal, job)
    return JobOut.of(await deps.jobs.cancel(found.id, principal.act(deps.clock)))


@router.get(
    "/jobs/{job}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},  # each event is a `JobOut`, which OpenAPI 3.1 cannot say
)
async def events(job: str, request: Request, deps: DepsOf, reader: Reader) -> StreamingResponse:
    """Follow a calibration on demand as server-sent events, each with the job as it stands; ends when it does.

    Their ids are revisions: after Last-Event-ID only a newer one is sent.
    """
    found = await _one(deps, reader, job)
    text = request.headers.get("last-event-id", "")
    seen = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_follow(deps, found.id, seen), media_type="text/event-stream", headers=headers)


async def _follow(deps: Deps, id_: str, seen: int) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n"
    while not deps.jobs.closed:
        try:
            job = await deps.jobs.changed(id_, seen, BEAT_S)
        except NotFound:
            return
        if job is None:
            if deps.jobs.job(id_).state.final:
                return
            yield b": still there\n\n"
            continue
        seen = job.revision
        yield sse("job", JobOut.of(job).model_dump_json().encode(), seen)
        if job.state.final:
            return
