"""An InfluxDB of any generation that is strict about what it is sent, and answers as badly as it is told.

It knows what the documentation of 1.x, 2.x and 3.x says of addresses, parameters, credentials and answers; a request
that is not as documented gets 400 with a word, so that a test fails. What 1.6.7 does is tested with the real one.
"""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

TOKEN, PASSWORD = "t0ken", "Basic Ym9zczpzZWNyZXQ="  # boss:secret
ORG_ID = "0123456789abcdef"
VERSIONS = {"v1": "1.8.10", "v2": "v2.7.1", "v3": "3.4.0"}
WRITES = {"v1": "/write", "v2": "/api/v2/write", "v3": "/api/v3/write_lp"}
_VALUE = r'(?:-?\d+i|-?\d+(?:\.\d+)?(?:e[+-]\d+)?|"(?:[^"\\]|\\.)*"|true|false)'
_LINE = re.compile(rf"(\w+(?:,\w+=(?:[^ ,=\\]|\\.)+)+) (\w+={_VALUE}(?:,\w+={_VALUE})*) (-?\d+)")


@dataclass
class Fault:
    """The answer to one write: a status, or a cut before the lines are taken, after it, or within the answer."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    cut: Literal["", "before", "after", "in answer"] = ""
    message: str = "as told"


class FakeInflux(http.server.ThreadingHTTPServer):
    """Keeps what is written as points: (series, instant) → fields."""

    daemon_threads = True

    def __init__(self, dialect: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.dialect = dialect
        self.databases = {"plant"}
        self.mappings: set[str] = set()
        self.may_create = True
        self.credentials = {f"Token {TOKEN}", PASSWORD}
        self.always: Fault | None = None
        self.faults: deque[Fault] = deque()
        self.poison = ""
        self.most_bytes = 1 << 30
        self.points: dict[tuple[str, int], dict[str, str]] = {}
        self.seen: list[tuple[str, int]] = []  # address and size of each write
        self.made: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def sensors(self) -> set[str]:
        return {series.partition("sensor=")[2] for series, _ in self.points if series.startswith("samples,")}

    def take(self, body: bytes) -> str:
        """Keep what can be kept, and return what is wrong with the rest."""
        trouble = ""
        for line in body.decode().split("\n")[:-1]:
            found = _LINE.fullmatch(line)
            if found is None or (self.poison and self.poison in line):
                trouble = trouble or f"partial write: unable to parse '{line[:60]}' dropped=1"
            else:
                fields = dict(re.findall(rf"(\w+)=({_VALUE})", found[2]))
                self.points.setdefault((found[1], int(found[3])), {}).update(fields)
        return trouble if body.endswith(b"\n") else "no newline at the end"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FakeInflux
    protocol_version = "HTTP/1.1"
    timeout = 0.5  # connections that the client keeps end by themselves

    def log_message(self, *_: object) -> None: ...

    @property
    def place(self) -> str:
        return urlsplit(self.path).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def do_GET(self) -> None:
        server, query = self.server, self.query
        if self.place == "/ping":
            version = {"X-Influxdb-Version": VERSIONS[server.dialect]} if server.dialect != "v3" else {}
            self._answer(204 if version else 200, headers=version, body={"version": VERSIONS["v3"]})
        elif not self._known():
            self._answer(401, "unauthorized access")
        elif self.place == "/api/v2/orgs":
            self._answer(
                200, body={"orgs": [{"id": ORG_ID, "name": "works"}]} if query.get("org") == "works" else {"orgs": []}
            )
        elif self.place == "/api/v2/buckets":
            name = query["name"]
            if name in server.databases:
                self._answer(200, body={"buckets": [{"id": f"id-{name}", "name": name, "retentionRules": []}]})
            else:  # as 2.7 does
                self._answer(404, body={"code": "not found", "message": f'bucket "{name}" not found'})
        elif self.place == "/api/v2/dbrps":
            self._answer(200, body={"content": [mapping(name) for name in server.mappings & {query["db"]}]})
        else:
            self._answer(200, body={"status": "pass"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._known():
            self._answer(401, "authorization failed")
        elif self.place == WRITES[self.server.dialect]:
            self._write(body)
        elif self.place == "/query":
            self._statement(self.query["q"])
        else:
            self._make(json.loads(body))

    def _write(self, body: bytes) -> None:
        server, query = self.server, self.query
        server.seen.append((self.path, len(body)))
        fault = server.faults.popleft() if server.faults else server.always or Fault()
        database = query.get("bucket" if server.dialect == "v2" else "db")
        precision = "nanosecond" if server.dialect == "v3" else "ns"
        if fault.cut == "before":
            self._cut()
        elif fault.status != 204:
            self._answer(fault.status, fault.message, fault.headers)
        elif query.get("precision") != precision or (server.dialect == "v2" and query.get("org") != "works"):
            self._answer(400, f"not as documented: {self.path}")
        elif server.dialect != "v3" and database not in server.databases:
            self._answer(404, f'database not found: "{database}"')
        elif len(body) > server.most_bytes:
            self._answer(413, "Request Entity Too Large")
        elif not body:
            self._answer(*((204, "") if server.dialect == "v1" else (400, "writing requires points")))
        else:
            trouble = server.take(body)
            if fault.cut == "after":
                self._cut()
            elif fault.cut:
                self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 500\r\n\r\n{")
                self._cut()
            else:
                self._answer(*((400, trouble) if trouble else (204, "")))

    def _statement(self, statement: str) -> None:
        if not self.server.may_create:
            self._answer(403, "requires admin privilege")
            return
        self.server.made.append({"q": statement})
        found = re.match(r'CREATE DATABASE "(\w+)"', statement)
        if found:
            self.server.databases.add(found[1])
        self._answer(200, body={"results": [{"statement_id": 0}]})

    def _make(self, wish: dict[str, Any]) -> None:
        server = self.server
        if not server.may_create:
            self._answer(403, "write to buckets is unauthorized")
            return
        server.made.append({"path": self.place, **wish})
        if self.place == "/api/v2/dbrps":
            server.mappings.add(wish["database"])
            self._answer(201, body=mapping(wish["database"]))
            return
        name = wish["name" if server.dialect == "v2" else "db"]
        if server.dialect == "v2" and name in server.databases:
            self._answer(422, body={"code": "conflict", "message": f"bucket with name {name} already exists"})
            return
        server.databases.add(name)
        self._answer(201, body={**wish, "id": f"id-{name}"})

    def _known(self) -> bool:
        return self.headers.get("Authorization", "") in self.server.credentials

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _answer(
        self, status: int, error: str = "", headers: dict[str, str] | None = None, body: dict[str, Any] | None = None
    ) -> None:
        text = b"" if status == 204 else json.dumps(body if body is not None else {"error": error}).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def mapping(database: str) -> dict[str, Any]:
    return {
        "id": "m",
        "orgID": ORG_ID,
        "bucketID": f"id-{database}",
        "database": database,
        "retention_policy": "autogen",
        "default": True,
    }


@contextmanager
def serving(dialect: str) -> Iterator[FakeInflux]:
    """Serve until the end of the block."""
    server = FakeInflux(dialect)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
