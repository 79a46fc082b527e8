"""Samples of an interval, for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from dyncal.domain.access import Role
from services.api import past, series
from services.api.deps import DepsOf, needs
from services.api.instants import From, Moment, interval
from services.api.schemas.samples import SamplesOut

router = APIRouter(prefix="/v1", tags=["integrators"], dependencies=[needs(Role.VIEWER)])

DEFAULT_POINTS: Final = 2000


@router.get(
    "/sensors/{sensor}/samples",
    response_model=SamplesOut,
    responses={
        200: {
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                series.ARROW: {"schema": {"type": "string", "format": "binary"}},
            }
        }
    },
)
def samples(
    sensor: str,
    request: Request,
    deps: DepsOf,
    from_: From = None,
    to: Moment = None,
    max_points: Annotated[
        int | None,
        Query(
            ge=2,
            le=1_000_000,
            description="Most rows; more are decimated, extremes kept. Default: 2000; of Arrow, all rows there are.",
        ),
    ] = None,
    media: Annotated[
        Literal["json", "csv", "arrow"] | None, Query(alias="format", description="Default: as the Accept header says.")
    ] = None,
) -> Response:
    """Return the samples of an interval: raw, corrected, u, quality and the set that made `corrected`.

    Where samples are not kept any more come the aggregates that stand for them, and the answer says so (`aggregated`).

    As an Apache Arrow IPC stream (`application/vnd.apache.arrow.stream`) every row of a long interval comes, in
    batches, while the store is being read.
    """
    known = deps.catalogue.get().sensor(sensor)
    from_ns, to_ns = interval(from_, to, deps.clock)
    form = media or _accepted(request.headers.get("accept", ""))
    most = min(max_points or DEFAULT_POINTS, deps.settings.max_points)
    if form == "arrow":
        parts = [(from_ns, to_ns)] if max_points else series.slices(known, from_ns, to_ns)
        stream = series.arrow_stream(known, deps.store, parts, most if max_points else None)
        first = next(stream)  # what is wrong with the store is said now, by status, and not by a stream cut short
        headers = {"Content-Disposition": f'attachment; filename="{known.id}.arrows"', "Vary": "Accept"}
        return StreamingResponse(_behind(first, stream), media_type=series.ARROW, headers=headers)
    found, stood = past.read(deps.store, known.id, from_ns, to_ns, most)
    if form == "csv":
        headers = {"Content-Disposition": f'attachment; filename="{known.id}.csv"', "Vary": "Accept"}
        return Response(series.as_csv(found, stood), media_type="text/csv; charset=utf-8", headers=headers)
    body = series.as_json(known, found, from_ns, to_ns, stood)
    return Response(body, media_type="application/json", headers={"Vary": "Accept"})


def _accepted(accept: str) -> str:
    """Return the form that an Accept header names; JSON where it names none of the others."""
    if series.ARROW in accept:
        return "arrow"
    return "csv" if "text/csv" in accept else "json"


def _behind(first: bytes, stream: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from stream
