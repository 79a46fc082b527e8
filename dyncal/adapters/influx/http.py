"""Talking to InfluxDB: connections, credentials, and what its answers mean."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlencode

import msgspec
import urllib3
from urllib3.exceptions import HTTPError, LocationValueError

from dyncal.domain.errors import DyncalError, InvalidSetting, StoreRefused, StoreUnauthorized, StoreUnavailable

Dialect = Literal["v1", "v2"]

MAX_WRITERS: Final = 8
_MESSAGE_CHARS: Final = 300


class BadLines(DyncalError):
    """The server cannot take a part of the lines (400), or not so many at once (413); some of them may be written."""


class NoDatabase(DyncalError):
    """The database does not exist."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server is, and who we are."""

    url: str
    database: str
    org: str = ""
    username: str | None = None
    password: str | None = None
    token: str | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers by lower-case name, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """A pool of connections to one server; nothing is tried again here."""

    def __init__(self, endpoint: Endpoint) -> None:
        headers = urllib3.make_headers(keep_alive=True)
        if endpoint.token is not None:
            headers["Authorization"] = f"Token {endpoint.token}"
        elif endpoint.username is not None:
            headers |= urllib3.make_headers(basic_auth=f"{endpoint.username}:{endpoint.password or ''}")
        self._pool = urllib3.PoolManager(
            maxsize=MAX_WRITERS,
            headers=headers,
            retries=False,
            timeout=urllib3.Timeout(connect=min(3.0, endpoint.timeout_s), read=endpoint.timeout_s),
        )
        self._url = endpoint.url.rstrip("/")

    def ask(
        self, method: str, path: str, fields: Mapping[str, str], body: bytes | None = None, *, encoding: str = ""
    ) -> Answer:
        """Return the server's answer, whatever it says. Raises `StoreUnavailable` if there is none."""
        query = urlencode(fields)
        headers = dict(self._pool.headers)
        if encoding:
            headers["Content-Encoding"] = encoding
        try:
            answer = self._pool.request(method, f"{self._url}{path}?{query}", body=body, headers=headers)
        except LocationValueError as error:
            raise InvalidSetting(f"store.url = {self._url!r} is no address: {error}") from error
        except (HTTPError, OSError) as error:
            raise StoreUnavailable(f"{self._url}: {error}") from error
        return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.data)

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()


class Writer(Protocol):
    """Sends lines in one dialect."""

    def write(self, lines: bytes) -> None:
        """Send lines. Raises what `raise_for` raises."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class WriterV1:
    """``/write`` of InfluxDB 1.x, nanosecond precision."""

    def __init__(self, http: Http, database: str) -> None:
        self._http = http
        self._fields = {"db": database, "precision": "ns"}

    def write(self, lines: bytes) -> None:
        """Send lines."""
        raise_for(self._http.ask("POST", "/write", self._fields, lines))

    def close(self) -> None:
        """Do nothing: the connections are the store's."""


class WriterV2:
    """The synchronous write API of influxdb-client; its batching one loses data without a word."""

    def __init__(self, endpoint: Endpoint) -> None:
        module = importlib.import_module("influxdb_client")
        options = importlib.import_module("influxdb_client.client.write_api").SYNCHRONOUS
        self._refused = importlib.import_module("influxdb_client.rest").ApiException
        self._client: Any = module.InfluxDBClient(
            url=endpoint.url.rstrip("/"),
            token=endpoint.token or "",
            org=endpoint.org,
            timeout=round(endpoint.timeout_s * 1000),
            retries=False,
        )
        self._api: Any = self._client.write_api(write_options=options)
        self._endpoint = endpoint

    def write(self, lines: bytes) -> None:
        """Send lines."""
        try:
            self._api.write(bucket=self._endpoint.database, org=self._endpoint.org, record=lines, write_precision="ns")
        except self._refused as error:
            if not error.status:
                raise StoreUnavailable(f"{self._endpoint.url}: {error.reason}") from error
            headers = {k.lower(): v for k, v in (error.headers or {}).items()}
            body = error.body if isinstance(error.body, bytes) else str(error.body or "").encode()
            raise_for(Answer(error.status, headers, body))
        except (HTTPError, OSError) as error:
            raise StoreUnavailable(f"{self._endpoint.url}: {error}") from error

    def close(self) -> None:
        """Close the client."""
        self._api.close()
        self._client.close()


def raise_for(answer: Answer) -> None:
    """Raise what the answer means, unless it means success.

    Raises
    ------
    BadLines
        400, 413, 422: lines that the server cannot take, or too many.
    NoDatabase
        404.
    StoreUnauthorized
        401, 403.
    StoreUnavailable
        429, 5xx and anything unexpected that may pass.
    StoreRefused
        Any other 4xx.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    said = f"InfluxDB answers {status}: {_message(answer)}"
    if status in (400, 413, 422):
        raise BadLines(said)
    if status == 404:
        raise NoDatabase(said)
    if status in (401, 403):
        raise StoreUnauthorized(said)
    if status in (408, 429) or status >= 500:
        raise StoreUnavailable(said, retry_after_s=_retry_after_s(answer))
    if 400 <= status < 500:
        raise StoreRefused(said)
    raise StoreUnavailable(said)


def detect(http: Http) -> tuple[Dialect, str]:
    """Return the dialect of the server and its version. Raises `StoreUnavailable` if it does not tell."""
    answer = http.ask("GET", "/ping", {})
    version = answer.headers.get("x-influxdb-version", "")
    if answer.status >= 500:
        raise_for(answer)
    if version.lstrip("v").startswith("1."):
        return "v1", version
    if version.lstrip("v").startswith("2."):
        return "v2", version
    health = http.ask("GET", "/health", {})
    try:
        found = msgspec.json.decode(health.body, type=dict[str, Any])
    except msgspec.DecodeError:
        found = {}
    version = str(found.get("version", version))
    if version.lstrip("v").startswith("2."):
        return "v2", version
    if version.lstrip("v").startswith("1."):
        return "v1", version
    raise StoreUnavailable("the server does not say that it is InfluxDB 1.x or 2.x; set store.dialect if it is")


def _message(answer: Answer) -> str:
    try:
        found = msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.DecodeError:
        text = answer.body[:_MESSAGE_CHARS].decode(errors="replace")
    else:
        text = str(found.get("error") or found.get("message") or found)
    return text[:_MESSAGE_CHARS].strip()


def _retry_after_s(answer: Answer) -> float | None:
    try:
        wait = float(answer.headers.get("retry-after", ""))
    except ValueError:
        return None
    return wait if 0 <= wait <= 3600 else None
