"""Settings that are read again: all that may be followed is, or nothing, and it is said why."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import BaseModel

from dyncal.cli.programs import Program, settings_class
from dyncal.domain.errors import InvalidSetting
from dyncal.runtime import logging
from dyncal.runtime.reload import Following, Reloader, differences, told
from dyncal.runtime.settings import LIVE, LogSettings, load
from edge_agent.settings import EdgeSettings
from services.ingest.service import build
from services.ingest.settings import IngestSettings

BEFORE = 'site = "a"\ndata_dir = "{dir}"\n[log]\nlevel = "warning"\n[ingest]\nlinger_s = 0.1\n'


class Obliging:
    """A service that notes what it follows, or refuses to."""

    def __init__(self) -> None:
        self.settings: Any = None
        self.refuses = ""

    def follow(self, settings: Any) -> Callable[[], None]:
        if self.refuses:
            raise InvalidSetting(self.refuses)
        return lambda: setattr(self, "settings", settings)


@pytest.fixture(autouse=True)
def _level() -> Any:
    yield
    logging.set_level("info")


class Case:
    def __init__(self, directory: Path) -> None:
        self.file = directory / "dyncal.toml"
        self._directory = directory
        self.write(BEFORE)
        self.service = Obliging()
        self.reload = Reloader(IngestSettings, self.file, load(IngestSettings, self.file), self.service)

    def write(self, text: str) -> None:
        self.file.write_text(text.replace("{dir}", str(self._directory)))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_what_may_change_is_followed(case: Case) -> None:
    case.write(BEFORE.replace("0.1", "0.2"))
    assert case.reload()
    assert case.service.settings.ingest.linger_s == 0.2
    assert case.reload.settings is case.service.settings


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (BEFORE.replace("0.1", "0.2").replace('"a"', '"b"').replace("warning", "debug"), ["site", "restart"]),
        (
            BEFORE.replace("0.1", "0.2") + "metrics_port = 9\n[broker]\nport = 1\n",
            ["ingest.metrics_port", "broker.port"],
        ),
        (BEFORE.replace("0.1", "0.2") + 'quiet_s = "soon"\n', ["ingest.quiet_s", "soon"]),
        (BEFORE.replace("0.1", "0.2") + '[broker]\nca_file = "/nowhere"\n', ["/nowhere"]),
        ("nonsense", ["not TOML"]),
    ],
)
def test_else_nothing_is_and_it_is_said_why(
    case: Case, text: str, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    logging.configure(LogSettings(level="error"))
    before = case.reload.settings
    case.write(text)
    assert not case.reload()
    assert case.service.settings is None
    assert case.reload.settings is before
    said = capsys.readouterr().err
    assert all(name in said for name in names), said
    case.write(BEFORE)
    assert case.reload(), "what was put back is followed again"


def test_what_a_service_refuses_is_not_followed_at_all(case: Case) -> None:
    logging.configure(LogSettings(level="error"))
    case.service.refuses = "not today"
    case.write(BEFORE.replace("warning", "debug"))
    assert not case.reload()
    assert case.reload.settings.log.level == "warning"


def test_secrets_are_not_told(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case.write(BEFORE + '[broker]\npassword = "hunter2"\n')
    assert not case.reload()
    said = capsys.readouterr().err
    assert "broker.password" in said
    assert "hunter2" not in said


def test_the_level_of_the_log_reaches_loggers_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(LogSettings(level="warning"))
    bound = logging.logger("early").bind(client_id="x")
    bound.info("before")
    logging.set_level("info")
    bound.info("after")
    logging.set_level("error")
    bound.warning("later")
    said = capsys.readouterr().err
    assert "after" in said
    assert "before" not in said
    assert "later" not in said
    structlog.reset_defaults()


def test_each_program_says_of_each_setting_whether_it_is_followed() -> None:
    for program in Program:
        kind = settings_class(program)
        schema = told(kind.model_json_schema())
        leaves = [
            each
            for level in (schema, *schema["$defs"].values())
            for each in level.get("properties", {}).values()
            if "$ref" not in each
        ]
        assert {each["x-reload"] for each in leaves} == {"live", "restart"}
        assert schema["$defs"]["LogSettings"]["properties"]["level"]["x-reload"] == "live"
        assert schema["$defs"]["LogSettings"]["properties"]["format"]["x-reload"] == "restart"


def test_what_is_followed_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "upgrades.md").read_text()
    for program in Program:
        for path in _live(settings_class(program)):
            assert f"`{path}`" in page


def _live(kind: type[BaseModel], above: str = "") -> Iterator[str]:
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _live(inner, f"{above}{name}.")
        elif field.json_schema_extra == LIVE:
            yield above + name


def test_lists_are_compared_as_a_whole(tmp_path: Path) -> None:
    one, other = (EdgeSettings(data_dir=tmp_path, edge={"name": "e", "sensors": [
        {"sensor": name, "unit": "Cel", "dt_s": 1.0}]}) for name in "xy")  # fmt: skip
    assert list(differences(one, other)) == [(("edge", "sensors"), False)]
    assert list(differences(one, one)) == []


def test_every_program_follows(tmp_path: Path) -> None:
    assert isinstance(build(IngestSettings(data_dir=tmp_path)), Following)


def test_a_program_follows_at_sighup_and_goes_on_where_it_cannot(tmp_path: Path) -> None:
    """A real one, without a terminal; its broker is not there."""
    config = tmp_path / "dyncal.toml"
    text = f'data_dir = "{tmp_path}"\nlog = {{ level = "info", format = "json" }}\n[broker]\nport = 1\n'
    config.write_text(text)
    log = tmp_path / "log"
    with log.open("wb") as out:
        program = subprocess.Popen(
            [sys.executable, "-m", "services.ingest", "--config", str(config)], stdin=subprocess.DEVNULL, stderr=out
        )
    try:
        _until(log, "cannot_connect")
        config.write_text(text + "[ingest]\nlinger_s = 0.3\n")
        program.send_signal(signal.SIGHUP)
        _until(log, "settings_reloaded")
        config.write_text(text.replace("port = 1", "port = 2"))
        program.send_signal(signal.SIGHUP)
        _until(log, "settings_not_reloaded")
        program.terminate()
        assert program.wait(10) == 0
    finally:
        program.kill()
        program.wait(5)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert next(e for e in events if e["event"] == "settings_reloaded")["changed"] == ["ingest.linger_s"]
    refused = next(e for e in events if e["event"] == "settings_not_reloaded")["error"]
    assert "broker.port" in refused
    assert "restart" in refused


def _until(log: Path, event: str) -> None:
    deadline = time.monotonic() + 30
    while event not in log.read_text():
        assert time.monotonic() < deadline, f"no {event}: {log.read_text()}"
        time.sleep(0.05)
