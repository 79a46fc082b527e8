"""The Influx store against a server that answers as it is told."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from dyncal.adapters.influx import InfluxSampleStore
from dyncal.adapters.influx.http import Dialect, Endpoint
from dyncal.domain.errors import PoisonedWrite, StoreRefused, StoreUnauthorized, StoreUnavailable
from dyncal.testing.records import block, uniform


class FakeInflux(http.server.ThreadingHTTPServer):
    """Keeps what was written; `status` and `poison` decide the answer to a write."""

    daemon_threads = True

    def __init__(self, version: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.version = version
        self.status = 204
        self.headers: dict[str, str] = {}
        self.poison = b""
        self.most_bytes = 1 << 30
        self.cut = False
        self.written: list[bytes] = []
        self.seen: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FakeInflux
    protocol_version = "HTTP/1.1"
    timeout = 0.5  # connections that the client keeps end by themselves

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        ping = self.path.startswith("/ping")
        body = b"" if ping else b'{"status":"pass","version":"' + self.server.version.encode() + b'"}'
        self._answer(204 if ping else 200, body, {"X-Influxdb-Version": self.server.version} if ping else {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server = self.server
        if self.path.startswith("/query"):
            self._answer(200, b'{"results":[{"statement_id":0}]}')
            return
        server.seen.append((self.path, self.headers.get("Authorization", "")))
        if server.cut:
            self.close_connection = True
            self.connection.close()
        elif server.status != 204:
            self._answer(server.status, b'{"error":"as told"}', server.headers)
        elif len(body) > server.most_bytes:
            self._answer(413, b'{"error":"too large"}')
        elif server.poison and server.poison in body:
            self._answer(400, b'{"error":"unable to parse"}')
        else:
            server.written.append(body)
            self._answer(204)

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)


@pytest.fixture(params=["v1", "v2"])
def server(request: pytest.FixtureRequest) -> Iterator[FakeInflux]:
    server = FakeInflux("1.8.10" if request.param == "v1" else "v2.7.1")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def store(server: FakeInflux) -> Iterator[InfluxSampleStore]:
    store = InfluxSampleStore(Endpoint(server.url, "plant", org="works", token="t0ken", timeout_s=2))
    yield store
    store.close()


RECORDS = [block([float(k)], sensor=f"s{k}", sequence=k, axis=uniform(1, k)) for k in range(10)]


def test_the_dialect_is_detected(server: FakeInflux, store: InfluxSampleStore) -> None:
    store.write(RECORDS)
    path, authorization = server.seen[0]
    v1 = server.version.startswith("1")
    assert path.startswith("/write?" if v1 else "/api/v2/write?")
    assert "precision=ns" in path
    assert ("db=plant" if v1 else "bucket=plant") in path
    assert authorization == "Token t0ken"
    assert server.written[0].count(b"samples,sensor=") == 10


@pytest.mark.parametrize(("status", "kind"), [(401, StoreUnauthorized), (403, StoreUnauthorized), (405, StoreRefused)])
def test_refusals(server: FakeInflux, store: InfluxSampleStore, status: int, kind: type[Exception]) -> None:
    server.status = status
    with pytest.raises(kind, match="as told"):
        store.write(RECORDS)
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_passing_trouble_says_when_to_come_back(server: FakeInflux, store: InfluxSampleStore, status: int) -> None:
    server.status, server.headers = status, {"Retry-After": "7"}
    with pytest.raises(StoreUnavailable, match="as told") as caught:
        store.write(RECORDS)
    assert caught.value.retry_after_s == 7
    assert len(server.seen) == 1


def test_a_retry_after_that_is_no_number_is_passed_over(server: FakeInflux, store: InfluxSampleStore) -> None:
    server.status, server.headers = 503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}
    with pytest.raises(StoreUnavailable) as caught:
        store.write(RECORDS)
    assert caught.value.retry_after_s is None


def test_poisoned_records_are_found_and_the_rest_is_written(server: FakeInflux, store: InfluxSampleStore) -> None:
    server.poison = b"sensor=s7 "
    with pytest.raises(PoisonedWrite) as caught:
        store.write(RECORDS)
    assert caught.value.indices == (7,)
    written = b"".join(server.written)
    assert all((f"samples,sensor=s{k} ".encode() in written) == (k != 7) for k in range(10))


def test_requests_that_are_too_large_are_made_smaller(server: FakeInflux, store: InfluxSampleStore) -> None:
    server.most_bytes = 700
    store.write(RECORDS)
    assert b"".join(server.written).count(b"samples,sensor=") == 10


def test_a_cut_connection_is_passing_trouble(server: FakeInflux, store: InfluxSampleStore) -> None:
    store.write(RECORDS[:1])
    server.cut = True
    with pytest.raises(StoreUnavailable):
        store.write(RECORDS)


def test_nobody_there() -> None:
    dialects: tuple[Dialect | None, ...] = ("v1", "v2", None)
    for dialect in dialects:
        store = InfluxSampleStore(Endpoint("http://127.0.0.1:1", "plant", timeout_s=1), dialect)
        with pytest.raises(StoreUnavailable):
            store.write(RECORDS)
        with pytest.raises(StoreUnavailable):
            store.check()
        store.close()
