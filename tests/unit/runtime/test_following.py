"""Blocks that are followed: the same in all programs, in logs, as spans, and from an alarm back."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from dyncal.cli.app import app
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.domain.traces import instant_of, is_of, span_id, trace_of, traceparent
from dyncal.runtime import logging
from dyncal.runtime.following import SPOOLED, STORED, TAKEN, follower
from dyncal.runtime.settings import LogSettings, TraceSettings

T0 = InstantNs(1_769_860_800_000_000_000)
S = SensorId("TT-101")


def test_a_trace_id_is_derived_and_tells_its_instant_and_its_sensor() -> None:
    trace = trace_of(S, T0)
    assert trace == trace_of(S, T0)
    assert instant_of(trace) == T0
    assert is_of(trace, S)
    assert not is_of(trace, SensorId("TT-102"))
    assert trace < trace_of(S, T0 + 1)
    assert traceparent(trace, SPOOLED) == f"00-{trace}-{span_id(trace, SPOOLED)}-01"
    assert len({span_id(trace, name) for name in (SPOOLED, STORED, TAKEN)}) == 3
    for wrong in ("", "x" * 32, trace.upper(), trace[:-1]):
        with pytest.raises(InvalidData):
            instant_of(wrong)


def test_one_block_in_some_is_followed_and_logged() -> None:
    with structlog.testing.capture_logs() as said:
        followed = follower(TraceSettings(one_in=3), "edge", logging.logger("edge"))
        for k in range(9):
            if followed.follows(k):
                followed.step(SPOOLED, S, k, T0 + k, 10, T0, InstantNs(T0 + 5))
    assert [line["sequence"] for line in said] == [2, 5, 8]
    assert said[0]["event"] == SPOOLED
    assert said[0]["trace"] == trace_of(S, T0 + 2)
    assert not any(follower(TraceSettings(one_in=0), "edge", None).follows(k) for k in range(1000))


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """A small receiver of OTLP over HTTP; its spans."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    requests: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            del format, args

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_spans_reach_a_collector_as_one_trace() -> None:
    with collector() as (url, requests):
        for program, name in (("edge", SPOOLED), ("ingest", STORED), ("calibrate", TAKEN)):
            exporting = follower(TraceSettings(one_in=1, otlp=url), program, logging.logger(program))
            exporting.step(name, S, 7, T0, 10, T0, InstantNs(T0 + 1000))
            await asyncio.to_thread(exporting.close)
    trace = trace_of(S, T0)
    spans: dict[str, Any] = {}
    services: set[str] = set()
    for request in requests:
        for resource in request.resource_spans:
            services |= {a.value.string_value for a in resource.resource.attributes if a.key == "service.name"}
            spans |= {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert services == {"dyncal-edge", "dyncal-ingest", "dyncal-calibrate"}
    assert {span.trace_id.hex() for span in spans.values()} == {trace}
    assert spans[SPOOLED].parent_span_id == b""
    assert {spans[name].parent_span_id.hex() for name in (STORED, TAKEN)} == {span_id(trace, SPOOLED)}
    assert (spans[STORED].start_time_unix_nano, spans[STORED].end_time_unix_nano) == (T0, T0 + 1000)
    assert {a.key: a.value.string_value for a in spans[TAKEN].attributes}["dyncal.sensor"] == S


async def test_a_collector_that_is_away_holds_nothing_up() -> None:
    exporting = follower(TraceSettings(one_in=1, otlp="http://127.0.0.1:9/v1/traces"), "edge", logging.logger("edge"))
    begun_s = asyncio.get_running_loop().time()
    for k in range(5000):
        exporting.step(SPOOLED, S, k, T0 + k, 1, T0, T0)
    async with asyncio.timeout(10):
        await asyncio.to_thread(exporting.close)
    assert asyncio.get_running_loop().time() - begun_s < 10


def test_nothing_of_it_is_imported_where_it_is_off() -> None:
    code = (
        "import sys; import edge_agent.service, services.ingest.service\n"
        "from dyncal.runtime.following import follower; from dyncal.runtime.settings import TraceSettings\n"
        "follower(TraceSettings(), 'edge', None)\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk') or 'otlp' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_finds_the_lines_of_an_alarm_and_of_a_stored_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.configure(LogSettings(format="json"))
    followed = follower(TraceSettings(one_in=1), "edge", logging.logger("edge"))
    for k in range(3):
        followed.step(SPOOLED, S, k, T0 + k * 10**9, 100, T0, T0)
        followed.step(SPOOLED, SensorId("other"), k, T0 + k * 10**9, 100, T0, T0)
    followed.step(STORED, S, 1, T0 + 10**9, 100, T0, T0)
    log = tmp_path / "log"
    log.write_text(capsys.readouterr().err)
    run = CliRunner().invoke
    by_trace = run(app, ["trace", trace_of(S, T0 + 10**9), "--log", str(log)])
    assert by_trace.exit_code == 0
    assert [SPOOLED in line for line in by_trace.stdout.splitlines()[1:]] == [True, False]
    by_sample = run(app, ["trace", S, str(T0 + 1_700_000_000), "--log", str(log)])
    assert by_sample.exit_code == 0
    assert trace_of(S, T0 + 10**9) in by_sample.stdout
    assert "2026-01-31T12:00:01" in by_sample.stdout
    assert run(app, ["trace", S, "2026-01-31T11:00:00Z", "--log", str(log)]).exit_code == 1
    assert run(app, ["trace", "0" * 32, "--log", str(log)]).exit_code == 1
    assert run(app, ["trace", "nonsense", "--log", str(log)]).exit_code == 1
