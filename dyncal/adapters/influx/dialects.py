"""How InfluxDB 1.x, 2.x and 3.x are told apart, written to, and given what is missing."""

from __future__ import annotations

import re
from typing import Any, Final, Literal, Protocol

import msgspec

from dyncal.adapters.influx.http import Answer, BadLines, Body, Endpoint, Http, NoDatabase, raise_for
from dyncal.adapters.influx.queries import identifier
from dyncal.domain.errors import StoreRefused, StoreUnauthorized, StoreUnavailable

Name = Literal["v1", "v2", "v3"]

_MAJOR: Final = re.compile(r"v?([123])\.")


class Dialect(Protocol):
    """One generation of the interface."""

    def write(self, lines: Body) -> None:
        """Send lines. Raises as `Http.write`."""
        ...

    def create(self) -> None:
        """Make what is missing of database, bucket, retention and mapping; what is there is left as it is.

        Raises
        ------
        StoreUnauthorized
            If the credentials do not suffice; the text says who must make what.
        """
        ...


class V1:
    """``/write`` and InfluxQL."""

    def __init__(self, http: Http, endpoint: Endpoint) -> None:
        self._http = http
        self._endpoint = endpoint
        self._fields = {"db": endpoint.database, "precision": "ns"}
        if endpoint.retention_policy:
            self._fields["rp"] = endpoint.retention_policy

    def write(self, lines: Body) -> None:
        """Send lines."""
        self._http.write("/write", self._fields, lines)

    def create(self) -> None:
        """Create the database and its retention policy."""
        endpoint = self._endpoint
        database, policy = identifier(endpoint.database), identifier(endpoint.retention_policy)
        duration = "INF" if endpoint.retention_days is None else f"{_hours(endpoint)}h"
        wish = "" if endpoint.retention_days is None else f" WITH DURATION {duration} REPLICATION 1"
        try:
            self._do(f"CREATE DATABASE {database}{wish}")  # refused where it is there and keeps for another time
            if endpoint.retention_policy:
                self._do(f"CREATE RETENTION POLICY {policy} ON {database} DURATION {duration} REPLICATION 1")
        except StoreUnauthorized as error:
            raise _cannot_create(endpoint, "database", error) from error

    def _do(self, statement: str) -> None:
        answer = self._http.demand("POST", "/query", {"q": statement})
        error = _json(answer).get("results", [{}])[0].get("error", "")
        if error and "conflicts with an existing policy" not in error and "already exists" not in error:
            named = "store.database, store.retention_policy or store.retention_days"
            raise StoreRefused(f"InfluxDB: {error[:300]}; look at {named}")


class V2:
    """``/api/v2``."""

    def __init__(self, http: Http, endpoint: Endpoint) -> None:
        self._http = http
        self._endpoint = endpoint
        self._fields = {"org": endpoint.org, "bucket": endpoint.database, "precision": "ns"}

    def write(self, lines: Body) -> None:
        """Send lines."""
        self._http.write("/api/v2/write", self._fields, lines)

    def create(self) -> None:
        """Create the bucket, and the mapping by which InfluxQL finds it."""
        from dyncal.adapters.influx.administration import make_ready  # noqa: PLC0415  # slow to load, and seldom used

        endpoint = self._endpoint
        try:
            make_ready(endpoint, None if endpoint.retention_days is None else _hours(endpoint) * 3600)
        except StoreUnauthorized as error:
            raise _cannot_create(endpoint, "bucket", error) from error
        except BadLines as error:
            raise StoreRefused(f"{error}; of store.org, store.database or store.retention_days") from error


class V3:
    """``/api/v3``; a database comes into being by the first write."""

    def __init__(self, http: Http, endpoint: Endpoint) -> None:
        self._http = http
        self._endpoint = endpoint
        self._fields = {"db": endpoint.database, "precision": "nanosecond", "accept_partial": "true"}
        self._kept_for_ever = endpoint.retention_days is None

    def write(self, lines: Body) -> None:
        """Send lines."""
        if not self._kept_for_ever:  # how long it keeps is said when it is made, and never again
            self.create()
            self._kept_for_ever = True
        self._http.write("/api/v3/write_lp", self._fields, lines)

    def create(self) -> None:
        """Create the database."""
        wish = {"db": self._endpoint.database}
        if self._endpoint.retention_days is not None:
            wish["retention_period"] = f"{_hours(self._endpoint)}h"
        try:
            body = msgspec.json.encode(wish)
            answer = self._http.ask("POST", "/api/v3/configure/database", {}, body, json=True)
            if answer.status != 409:  # it is there
                raise_for(answer, self._endpoint)
        except StoreUnauthorized as error:
            raise _cannot_create(self._endpoint, "database", error) from error
        except BadLines as error:
            raise StoreRefused(f"{error}; of store.database or store.retention_days") from error


DIALECTS: Final[dict[Name, type[V1] | type[V2] | type[V3]]] = {"v1": V1, "v2": V2, "v3": V3}


def detect(http: Http) -> tuple[Name, str]:
    """Return the dialect of the server and its version.

    Raises
    ------
    StoreUnavailable
        If it does not tell, or nobody answers.
    StoreUnauthorized
        If it tells only whom it knows.
    """
    version = ""
    for path in ("/ping", "/health"):
        answer = http.ask("GET", path, {})
        if answer.status in (401, 403) or answer.status >= 500:
            raise_for(answer, http.endpoint)
        version = answer.headers.get("x-influxdb-version") or str(_json(answer).get("version", version))
        found = _MAJOR.match(version)
        if found:
            names: dict[str, Name] = {"1": "v1", "2": "v2", "3": "v3"}
            return names[found[1]], version
    raise StoreUnavailable(
        f"the server at store.url does not say that it is InfluxDB 1.x, 2.x or 3.x (version {version[:50]!r}); "
        "set store.dialect if it is"
    )


def probe(dialect: Dialect) -> None:
    """Ask by an empty write whether lines would be taken, and make what is missing. Raises as `Dialect`."""
    try:
        dialect.write(b"")
    except BadLines:  # no lines: it has got so far
        return
    except NoDatabase:
        dialect.create()


def _cannot_create(endpoint: Endpoint, what: str, error: StoreUnauthorized) -> StoreUnauthorized:
    return StoreUnauthorized(
        f"{what} store.database = {endpoint.database!r} cannot be made ready with {endpoint.who}: let an administrator "
        f"make it and grant the right to write ({error})"
    )


def _hours(endpoint: Endpoint) -> int:
    return max(1, round((endpoint.retention_days or 0) * 24))


def _json(answer: Answer) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
