"""Strong entity tags and the conditions made with them (RFC 9110, 8.8 and 13)."""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import Response

from services.api.errors import Problem

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def strong(content: bytes) -> str:
    """Return the strong tag of an exact body."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def matches(header: str | None, tag: str) -> bool:
    """Tell whether an If-None-Match header names `tag` (weak comparison, as RFC 9110, 13.1.2 asks)."""
    if header is None:
        return False
    return header.strip() == "*" or tag in {given.removeprefix("W/") for given in _TAG.findall(header)}


def require(request: Request, tag: str | None) -> None:
    """Check the If-Match header against the current `tag` (None: there is nothing yet), by strong comparison.

    Raises
    ------
    Problem
        412, if the caller has seen another state.
    """
    header = request.headers.get("if-match")
    if header is None or (header.strip() == "*" and tag is not None) or tag in _TAG.findall(header):
        return
    raise Problem(
        HTTPStatus.PRECONDITION_FAILED, "it has changed since you read it: read again", kind="changed", etag=tag
    )


def respond(request: Request, body: bytes, media_type: str = "application/json", tag: str | None = None) -> Response:
    """Return `body` with its tag, or 304 if the caller has it already."""
    tag = tag if tag is not None else strong(body)
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)
