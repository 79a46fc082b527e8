"""Cursors: where a list goes on. Opaque to callers, checked when they come back."""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import Response

from services.api.errors import Problem

_LARGEST: Final = (1 << 63) - 1  # what a database can compare with


def encode(position: str) -> str:
    """Return the cursor of a position."""
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def decode(cursor: str) -> str:
    """Return the position of a cursor. Raises `Problem` (422) if it is none of ours."""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "this cursor is none of ours", kind="cursor") from error


def decode_number(cursor: str) -> int:
    """Return the number of a cursor. Raises `Problem` (422)."""
    text = decode(cursor)
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > _LARGEST:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "this cursor is none of ours", kind="cursor")
    return int(text)


def decode_pair(cursor: str) -> tuple[int, str]:
    """Return the number and the word of a cursor made of "number word". Raises `Problem` (422)."""
    number, _, word = decode(cursor).partition(" ")
    return decode_number(encode(number)), word


def link_next(request: Request, response: Response, cursor: str | None) -> None:
    """Put the address of the next page into the Link header (RFC 8288)."""
    if cursor is not None:
        query = [(key, value) for key, value in request.query_params.multi_items() if key != "cursor"]
        response.headers["Link"] = f'<{request.url.path}?{urlencode([*query, ("cursor", cursor)])}>; rel="next"'
