"""Errors over HTTP: problem documents (RFC 9457), whatever went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from dyncal.domain.errors import Conflict, DyncalError, InvalidInput, NotFound, StoreRefused, Unavailable
from dyncal.runtime.logging import logger

MEDIA_TYPE = "application/problem+json"

log = logger("api")


class Problem(DyncalError):
    """An answer other than success, said on purpose."""

    def __init__(self, status: HTTPStatus, detail: str, *, kind: str = "", **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.extra = extra


def problem(
    status: int,
    detail: str = "",
    *,
    kind: str = "",
    instance: str = "",
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> Response:
    """Return a problem document. `kind` is a stable name for machines; without one the status says all there is."""
    known = HTTPStatus(status)
    body = {
        "type": f"urn:dyncal:problem:{kind}" if kind else "about:blank",
        "title": known.phrase,
        "status": status,
        "detail": detail,
        **({"instance": instance[:300]} if instance else {}),
        **extra,
    }
    return Response(msgspec.json.encode(body), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem document."""

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        faults = [
            {"where": ".".join(str(part) for part in fault["loc"])[:200], "message": str(fault["msg"])[:500]}
            for fault in error.errors()[:20]
        ]
        text = "; ".join(f"{fault['where']}: {fault['message']}" for fault in faults)
        return problem(422, text, kind="invalid-request", instance=request.url.path, errors=faults)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        return problem(error.status_code, str(error.detail), instance=request.url.path, headers=error.headers)

    @app.exception_handler(DyncalError)
    async def _ours(request: Request, error: DyncalError) -> Response:
        return answer(error, request.url.path)

    @app.exception_handler(Exception)
    async def _fault(request: Request, error: Exception) -> Response:
        log.error("unhandled", path=request.url.path, error=repr(error))
        return problem(500, "this is a fault of the server; its log says more", kind="fault", instance=request.url.path)


def answer(error: DyncalError, path: str) -> Response:
    """Return the problem document of one of our errors."""
    match error:
        case Problem():
            wait_s = error.extra.get("retry_after_s")
            headers = None if wait_s is None else {"Retry-After": str(wait_s)}
            return problem(error.status, error.detail, kind=error.kind, instance=path, headers=headers, **error.extra)
        case NotFound():
            return problem(404, str(error), kind="not-found", instance=path)
        case Conflict():
            return problem(409, str(error), kind="conflict", instance=path)
        case InvalidInput():
            return problem(422, str(error), kind="invalid-data", instance=path)
        case Unavailable():
            wait = max(1, round(error.retry_after_s or 1))
            return problem(503, str(error), kind="unavailable", instance=path, headers={"Retry-After": str(wait)})
        case StoreRefused():
            return problem(502, str(error), kind="store-refused", instance=path)
        case _:
            log.error("unexpected", path=path, error=repr(error))
            return problem(500, str(error), kind="fault", instance=path)
