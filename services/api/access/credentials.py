"""What a request brings along to say who it is from: one thing, or nothing, and never two that could differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

PLAIN_COOKIE: Final = "dyncal_session"
SECURE_COOKIE: Final = "__Host-dyncal_session"
"""Browsers take a cookie of this name over https alone, from this host alone, and for all of its paths."""

MAX_BYTES: Final = 8192
"""Longest credential that is looked at."""


class Bearer(NamedTuple):
    """A key, or a token of the OpenID provider."""

    text: str


class Session(NamedTuple):
    """What a browser holds since it signed in."""

    token: str


class Malformed(NamedTuple):
    """Something that says who, and cannot be read as one thing."""

    detail: str


Credential = Bearer | Session | Malformed | None


def read(headers: Iterable[tuple[bytes, bytes]], cookie_name: str) -> Credential:
    """Return the credential of a request. An Authorization header counts alone: cookies are not looked at then."""
    authorizations, cookies = [], []
    for name, value in headers:
        if name == b"authorization":
            authorizations.append(value)
        elif name == b"cookie":
            cookies.append(value)
    if authorizations:
        return _bearer(authorizations)
    found = [token for cookie in cookies for token in _cookies(cookie, cookie_name)]
    if len(found) > 1:
        return Malformed("more than one session cookie")
    return Session(found[0]) if found else None


def _bearer(values: list[bytes]) -> Credential:
    if len(values) > 1:
        return Malformed("more than one Authorization header")
    scheme, _, rest = values[0].partition(b" ")
    text = rest.strip(b" ")
    if scheme.lower() != b"bearer" or not text or b" " in text or b"," in text or len(text) > MAX_BYTES:
        return Malformed("Authorization must read: Bearer TOKEN")
    return Bearer(text.decode("latin-1"))


def _cookies(header: bytes, name: str) -> Iterable[str]:
    for part in header.decode("latin-1").split(";"):
        key, equals, value = part.strip().partition("=")
        if equals and key == name and len(value) <= MAX_BYTES:
            yield value.strip('"')
