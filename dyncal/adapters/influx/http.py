"""Talking to InfluxDB: connections, credentials, and what its answers mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import urllib3
from urllib3.exceptions import HTTPError, LocationValueError

from dyncal.domain.errors import DyncalError, InvalidSetting, StoreRefused, StoreUnauthorized, StoreUnavailable
from dyncal.runtime.faults import redacted_url

MAX_WRITERS: Final = 8
MAX_RETRY_AFTER_S: Final = 3600.0
_MESSAGE_CHARS: Final = 300

Body = bytes | memoryview


class BadLines(DyncalError):
    """The server cannot take a part of the lines (400, 422); some of them may be written."""


class TooLarge(DyncalError):
    """The server does not take so many lines at once (413)."""


class NoDatabase(DyncalError):
    """The database, bucket or retention policy does not exist."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server is, and who we are; the names are those of the settings in ``[store]``."""

    url: str
    database: str
    org: str = ""
    username: str | None = None
    password: str | None = None
    token: str | None = None
    timeout_s: float = 10.0
    retention_policy: str = ""
    retention_days: float | None = None
    renew: Callable[[], tuple[str | None, str | None]] | None = None
    """Reads password and token again, where the server no longer accepts those that there are."""

    @property
    def who(self) -> str:
        """The settings that say who we are, for errors; no secret is in it."""
        if self.token is not None:
            return "store.token_file (or store.token)"
        if self.username is not None:
            return f"store.username = {self.username!r} with its store.password"
        return "no credentials (store.username and store.password_file, or store.token_file)"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers by lower-case name, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """A pool of connections to one server; nothing is tried again here."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._headers = _headers(endpoint)
        self._pool = urllib3.PoolManager(
            maxsize=MAX_WRITERS,
            retries=False,
            timeout=urllib3.Timeout(connect=min(3.0, endpoint.timeout_s), read=endpoint.timeout_s),
        )
        self._url = endpoint.url.rstrip("/")
        self._shown = redacted_url(self._url)
        self.endpoint = endpoint

    def demand(self, method: str, path: str, fields: Mapping[str, str], body: Body | None = None) -> Answer:
        """Return the answer of success. Raises as `ask` and `raise_for`."""
        answer = self.ask(method, path, fields, body)
        raise_for(answer, self.endpoint)
        return answer

    def write(self, path: str, fields: Mapping[str, str], lines: Body) -> None:
        """Send lines. Raises as `demand`; only 204 says that they are durable."""
        answer = self.demand("POST", path, fields, lines)
        if answer.status != 204:
            raise StoreUnavailable(
                f"{self._shown}{path} answers {answer.status} to a write, and InfluxDB says 204: is store.url right?"
            )

    def ask(
        self,
        method: str,
        path: str,
        fields: Mapping[str, str],
        body: Body | None = None,
        *,
        json: bool = False,
    ) -> Answer:
        """Return the server's answer, whatever it says. Raises `StoreUnavailable` if there is none."""
        answer = self._ask(method, path, fields, body, json=json)
        return self._ask(method, path, fields, body, json=json) if answer.status == 401 and self._renewed() else answer

    def _renewed(self) -> bool:
        """Read password and token again, and tell whether they are others now."""
        endpoint = self.endpoint
        if endpoint.renew is None:
            return False
        try:
            password, token = endpoint.renew()
        except InvalidSetting:  # a file that is just being written, or is gone: what the server says is told
            return False
        if (password, token) == (endpoint.password, endpoint.token):
            return False
        self.endpoint = dataclasses.replace(endpoint, password=password, token=token)
        self._headers = _headers(self.endpoint)
        return True

    def _ask(self, method: str, path: str, fields: Mapping[str, str], body: Body | None, *, json: bool) -> Answer:
        query = urlencode(fields)
        headers = dict(self._headers)
        if json:
            headers["Content-Type"] = "application/json"
        try:
            url = f"{self._url}{path}?{query}"
            answer = self._pool.request(method, url, body=body, headers=headers)  # type: ignore[arg-type]  # any buffer
        except LocationValueError as error:
            raise InvalidSetting(f"store.url = {self._shown!r} is no address") from error
        except (HTTPError, OSError) as error:
            raise StoreUnavailable(f"{self._shown}: {error}") from error
        return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.data)

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()


def _headers(endpoint: Endpoint) -> dict[str, str]:
    headers = urllib3.make_headers(keep_alive=True)
    if endpoint.token is not None:
        headers["Authorization"] = f"Token {endpoint.token}"
    elif endpoint.username is not None:
        headers |= urllib3.make_headers(basic_auth=f"{endpoint.username}:{endpoint.password or ''}")
    return headers


def raise_for(answer: Answer, endpoint: Endpoint | None = None) -> None:
    """Raise what the answer means, unless it means success; `endpoint` lets errors name the settings.

    Raises
    ------
    BadLines
        400, 422: lines that the server cannot take.
    TooLarge
        413.
    NoDatabase
        404, and what 1.x says of a missing retention policy.
    StoreUnauthorized
        401, 403.
    StoreUnavailable
        408, 429, 5xx and anything unexpected that may pass.
    StoreRefused
        Redirections, limits of the server that no other division of the lines can meet, and any other 4xx.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    message = _message(answer)
    said = f"InfluxDB answers {status}: {message}"
    if 300 <= status < 400:
        raise StoreRefused(f"{said}; store.url is redirected to {answer.headers.get('location', 'somewhere else')}")
    if status == 400 and "limit exceeded" in message:
        raise StoreRefused(f"{said}; raise this limit in the server's configuration")
    if status in (400, 422):
        raise BadLines(said)
    if status == 404 or message.startswith("retention policy not found"):
        raise NoDatabase(said)
    if status in (401, 403):
        raise StoreUnauthorized(said + _unauthorized(status, endpoint))
    if status == 413:
        raise TooLarge(said)
    if 400 <= status < 500 and status not in (408, 429):
        raise StoreRefused(said)
    raise StoreUnavailable(said, retry_after_s=_retry_after_s(answer))


def _unauthorized(status: int, endpoint: Endpoint | None) -> str:
    if endpoint is None:
        return ""
    if status == 401:
        return f"; it does not accept {endpoint.who}"
    return f"; rights are missing on store.database = {endpoint.database!r} for {endpoint.who}"


def _message(answer: Answer) -> str:
    try:
        found = msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.DecodeError:
        text = answer.body[:_MESSAGE_CHARS].decode(errors="replace")
    else:
        text = str(found.get("error") or found.get("message") or found)
    return text[:_MESSAGE_CHARS].strip()


def _retry_after_s(answer: Answer) -> float | None:
    """Return the wait that the server asks for (RFC 9110, 10.2.3): seconds, or a date, which its own clock has made."""
    text = answer.headers.get("retry-after", "")
    try:
        wait = float(text)
    except ValueError:
        try:
            span = parsedate_to_datetime(text) - parsedate_to_datetime(answer.headers.get("date", ""))
        except (ValueError, TypeError):
            return None
        wait = span.total_seconds()
    return wait if 0 <= wait <= MAX_RETRY_AFTER_S else None
