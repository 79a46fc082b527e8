"""Requests that are tried again where that is safe, and answers as shapes or as errors."""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import httpx
import msgspec

from dyncal.client.errors import ApiError, ApiNotFound, ApiUnavailable, error_of

T = TypeVar("T")
Query = Mapping[str, object]

RETRIES: Final = 4
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0

_AGAIN: Final = frozenset({429, 502, 503, 504})


_PART: Final = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._:~@+-]{1,300}")


def part(name: str) -> str:
    """Return a name as one part of a path.

    Raises
    ------
    ApiNotFound
        If nothing can be called so: what has a slash or a question mark in it would ask for something else.
    """
    if not _PART.fullmatch(name):
        raise ApiNotFound(404, {"type": "urn:dyncal:problem:not-found", "detail": f"nothing is called {name[:140]!r}"})
    return name


def new_key() -> str:
    """Return a new idempotency key."""
    return uuid.uuid4().hex


class Transport:
    """One connection pool to one service. Safe to use from several threads.

    Parameters
    ----------
    key : str, optional
        API key; sent as a bearer token.
    retries : int
        How often a request is tried again that may have been lost, or that the service asks to send again.
    http : httpx.Client, optional
        Instead of one of its own; it is not closed here.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = 30.0,
        retries: int = RETRIES,
        http: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._own = http is None
        self.http = http or httpx.Client(base_url=url, timeout=timeout_s, follow_redirects=False)
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._retries, self.pause = retries, sleep

    def close(self) -> None:
        """Close the connections; idempotent."""
        if self._own:
            self.http.close()

    def get(self, path: str, kind: type[T], **query: object) -> T:
        """Return what a path answers. Raises `ApiError`, `ApiUnavailable`."""
        return decoded(self.send("GET", path, query=query), kind)

    def pages(self, path: str, page: type[Any], **query: object) -> Iterator[Any]:
        """Yield the items of all pages, each asked for when it is come to."""
        cursor: str | None = None
        while True:
            found = self.get(path, page, cursor=cursor, **query)
            yield from found.items
            cursor = found.next_cursor
            if cursor is None:
                return

    def command(self, method: str, path: str, kind: type[T], body: object, key: str | None, **query: object) -> T:
        """Send a command under an idempotency key, so that it can be repeated and is done once."""
        headers = {"Idempotency-Key": key or new_key(), "Content-Type": "application/json"}
        answer = self.send(method, path, query=query, headers=headers, content=msgspec.json.encode(body), again=True)
        return decoded(answer, kind)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        again: bool | None = None,
        timeout_s: float | None = None,
    ) -> httpx.Response:
        """Return an answer with a status below 400.

        Parameters
        ----------
        query : mapping
            Parameters that are None are left out; sequences are repeated.
        again : bool, optional
            Whether it is safe to send twice; by default for GET, PUT and DELETE.

        Raises
        ------
        ApiError
            The service refused.
        ApiUnavailable
            Nobody answers.
        """
        safe = method in {"GET", "PUT", "DELETE"} if again is None else again
        request = self.http.build_request(
            method,
            path,
            params=_parameters(query or {}),
            headers={**self._headers, **(headers or {})},
            content=content,
            timeout=self.http.timeout if timeout_s is None else timeout_s,
        )
        for left in range(self._retries if safe else 0, -1, -1):
            pause_s = min(FIRST_PAUSE_S * 2 ** (self._retries - left), LONGEST_PAUSE_S)
            try:
                answer = self.http.send(request)
            except httpx.TransportError as error:
                if not left:
                    raise ApiUnavailable(f"{method} {request.url}: {_said(error)}") from error
            else:
                if answer.status_code < 400:
                    return answer
                if not left or answer.status_code not in _AGAIN:
                    raise _error(answer)
                pause_s = max(pause_s, min(_retry_after(answer), LONGEST_PAUSE_S))
            self.pause(pause_s)
        raise AssertionError("the last attempt returns or raises")

    @contextlib.contextmanager
    def open(
        self,
        path: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        silence_s: float = 30.0,
    ) -> Iterator[httpx.Response]:
        """Give an answer whose body is still to be read. Raises as `send`; `silence_s` is the longest between parts."""
        given = {**self._headers, **(headers or {})}
        timeout = httpx.Timeout(30.0, read=silence_s)
        try:
            with self.http.stream(
                "GET", path, params=_parameters(query or {}), headers=given, timeout=timeout
            ) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise _error(answer)
                yield answer
        except httpx.TransportError as error:
            raise ApiUnavailable(f"GET {path}: {_said(error)}") from error


def decoded(answer: httpx.Response, kind: type[T]) -> T:
    """Return the shape of an answer. Raises `ApiError` where it is none."""
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError as error:
        raise ApiError(answer.status_code, {"detail": f"{answer.url} answered what is no {kind}: {error}"}) from error


def _parameters(query: Query) -> httpx.QueryParams:
    made: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in query.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        made += [(name, _text(each)) for each in values if each is not None]
    return httpx.QueryParams(made)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _error(answer: httpx.Response) -> ApiError | ApiUnavailable:
    problem: dict[str, Any] = {}
    with contextlib.suppress(msgspec.DecodeError, ValueError):
        read = msgspec.json.decode(answer.content)
        problem = read if isinstance(read, dict) else {}
    problem.setdefault("detail", answer.reason_phrase)
    if answer.status_code == 503:
        return ApiUnavailable(f"503: {problem['detail']}")
    return error_of(answer.status_code, problem)


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
