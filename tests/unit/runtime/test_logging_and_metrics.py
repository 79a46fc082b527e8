from __future__ import annotations

import json
import logging as stdlib
import urllib.request
from typing import Any, Literal

import pytest
from prometheus_client import CollectorRegistry, Counter

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime import foreign_logs, logging, metrics
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import LogSettings

_FAILS = """
def fail():
    password = "hunter2"
    raise ValueError("bad")
"""


def _fail_in_a_library(password: str) -> None:
    def fail() -> None:
        kept = password
        raise ConnectionError(f"gone\n and away{kept[:0]}")

    try:
        fail()
    except ConnectionError:
        stdlib.getLogger("library").exception("Publish iteration crashed")


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


@pytest.mark.parametrize("form", ["console", "json"])
def test_our_own_exceptions_keep_a_traceback_without_local_variables(
    form: Literal["console", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    logging.configure(LogSettings(format=form))
    made: dict[str, Any] = {}
    exec(compile(_FAILS, "ours.py", "exec"), {"__name__": "dyncal.made_up"}, made)
    try:
        made["fail"]()
    except ValueError:
        logging.logger("part").exception("unexpected")
        stdlib.getLogger("asyncio").exception("Task exception was never retrieved")
    said = capsys.readouterr().err
    assert said.count("ours.py") == 2
    assert said.count("ValueError: bad") == 2
    assert "hunter2" not in said


@pytest.mark.parametrize("form", ["console", "json"])
def test_an_exception_of_a_library_is_one_line_at_warning(
    form: Literal["console", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    logging.configure(LogSettings(format=form, level="warning"))
    _fail_in_a_library("hunter2")
    _fail_in_a_library("hunter2")
    said = capsys.readouterr().err
    (line,) = said.splitlines()
    assert "Publish iteration crashed" in line
    assert "ConnectionError: gone and away" in line
    assert "warning" in line
    assert "library" in line
    assert "hunter2" not in line
    if form == "json":
        assert json.loads(line)["level"] == "warning"


def test_what_libraries_say_again_is_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.configure(LogSettings(format="json"))
    log = stdlib.getLogger("library")
    now_s = [1000.0]
    factory = stdlib.getLogRecordFactory()

    def at(*arguments: Any, **named: Any) -> stdlib.LogRecord:
        record = factory(*arguments, **named)
        record.created = now_s[0]
        return record

    stdlib.setLogRecordFactory(at)
    try:
        for k in range(1000):
            log.warning("try %d failed", k)
            log.warning("other")
        now_s[0] += foreign_logs.REPEAT_S
        log.warning("try %d failed", 1000)
        for k in range(1000):
            log.warning(f"number {k}")
        now_s[0] = 5.0  # the clock was set back
        log.warning("number 999")
    finally:
        stdlib.setLogRecordFactory(factory)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines[:3]] == ["try 0 failed", "other", "try 1000 failed"]
    assert lines[2]["n_alike"] == 999
    assert [line["event"] for line in lines[3:]] == [*(f"number {k}" for k in range(1000)), "number 999"]


def test_at_level_error_failures_of_libraries_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(LogSettings(level="error"))
    _fail_in_a_library("")
    stdlib.getLogger("library").error("loud")
    (line,) = capsys.readouterr().err.splitlines()
    assert "loud" in line


def test_a_group_of_errors_names_what_is_in_it() -> None:
    group = ExceptionGroup("unhandled", [ValueError("a\nb"), OSError(), TypeError("x" * 1000)])
    said = foreign_logs.in_one_line(group)
    assert said.startswith("ExceptionGroup: unhandled: ValueError: a b; OSError; TypeError: xxx")
    assert len(said) == foreign_logs.MAX_TEXT


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
