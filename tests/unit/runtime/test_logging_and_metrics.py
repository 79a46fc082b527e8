from __future__ import annotations

import json
import logging as stdlib
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Counter

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime import logging, metrics
from dyncal.runtime.settings import LogSettings
from tests.servers_mosquitto import free_port


@pytest.fixture(autouse=True)
def as_before() -> object:
    root = stdlib.getLogger()
    before = (list(root.handlers), root.level)
    yield
    root.handlers[:], root.level = before[0], before[1]
    logging.configure(LogSettings())
    root.handlers[:], root.level = before[0], before[1]


def test_json_is_one_object_a_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(LogSettings(format="json", level="info"))
    log = logging.logger("part")
    log.debug("quiet")
    log.info("happened", n=3)
    try:
        raise ValueError("inner")
    except ValueError:
        log.exception("failed")
    stdlib.getLogger("other").warning("from elsewhere %d", 5)
    said = capsys.readouterr()
    assert said.out == ""
    first, second, third = [json.loads(line) for line in said.err.splitlines()]
    assert (first["event"], first["component"], first["n"], first["level"]) == ("happened", "part", 3, "info")
    assert first["timestamp"].endswith("Z")
    assert "ValueError: inner" in second["exception"]
    assert (third["event"], third["level"]) == ("from elsewhere 5", "warning")


def test_console_goes_to_standard_error_too(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(LogSettings(level="warning"))
    logging.logger("part").info("quiet")
    logging.logger("part").warning("loud", why="because")
    said = capsys.readouterr()
    assert (said.out, "quiet" in said.err) == ("", False)
    assert "loud" in said.err
    assert "because" in said.err


def test_metrics_are_served_until_closed() -> None:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc(2)
    port = free_port()
    close = metrics.serve(registry, port)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert b"things_total 2.0" in answer.read()
        with pytest.raises(InvalidSetting, match=f"metrics_port = {port}"):
            metrics.serve(registry, port)
    finally:
        close()
