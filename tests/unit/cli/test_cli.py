"""Commands as a user gives them."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dyncal
from dyncal.cli import app
from dyncal.runtime.ports import free_port

PROGRAMS = ["ingest", "calibrate", "api", "edge", "embedded"]
run = CliRunner().invoke


def test_version_and_help() -> None:
    assert run(app, ["version"]).stdout == dyncal.__version__ + "\n"
    assert "doctor" in run(app, ["--help"]).output


@pytest.mark.parametrize("program", PROGRAMS)
def test_config_show_is_toml_that_the_program_reads(program: str, tmp_path: Path) -> None:
    first = run(app, ["config", "show", program])
    assert first.exit_code == 0, first.output
    (tmp_path / "c.toml").write_text(first.stdout)
    shown = tomllib.loads(first.stdout)
    assert shown["broker"]["port"] == 1883
    second = run(app, ["config", "show", program, "--config", str(tmp_path / "c.toml")])
    assert tomllib.loads(second.stdout) == shown


@pytest.mark.parametrize("program", PROGRAMS)
def test_config_schema(program: str) -> None:
    schema = json.loads(run(app, ["config", "schema", program]).stdout)
    assert schema["properties"]["broker"]
    assert schema["$defs"]["BrokerSettings"]["properties"]["port"]["description"].startswith("TCP port")


def test_config_show_redacts_and_says_where_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[broker]\nport = 99\n[registry]\nurl = 'postgresql://u:hunter2@h/d'\n[store]\ntoken = 'hunter2'\n")
    monkeypatch.setenv("DYNCAL_BROKER__PASSWORD", "hunter2")
    for flag in ([], ["--json"]):
        shown = run(app, ["config", "show", "api", "--config", str(file), *flag])
        assert shown.exit_code == 0
        assert "hunter2" not in shown.output
        assert "postgresql://u:**********@h/d" in shown.output
    origins = json.loads(shown.stdout)["origins"]
    assert (origins["broker.port"], origins["broker.password"], origins["broker.host"]) == (
        "file",
        "environment",
        "default",
    )


def test_faulty_settings_are_status_2_and_named(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[broker]\nport = 0\n")
    for command in (["config", "show", "api"], ["run", "api"]):
        done = run(app, [*command, "--config", str(file)])
        assert done.exit_code == 2
        assert "c.toml: broker.port = 0" in done.stderr


def test_doctor_names_what_fails_and_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        f'data_dir = "{tmp_path}/var"\n[broker]\nport = {free_port()}\n'
        f'[[edge.opcua]]\nurl = "opc.tcp://127.0.0.1:{free_port()}"\nnodes = []\n'
    )
    done = run(app, ["doctor", "--json", "--config", str(file)])
    assert done.exit_code == 1, done.output
    findings = {finding["check"].split(" opc.tcp")[0]: finding for finding in json.loads(done.stdout)}
    assert findings["broker"]["status"] == findings["OPC UA"]["status"] == "fail"
    assert "mosquitto" in findings["broker"]["advice"]
    for check in ("store", "registry"):
        assert findings[check]["status"] == "ok", findings[check]
    assert findings["data_dir"]["status"] in ("ok", "warn")
    assert findings["clock"]["status"] in ("ok", "warn")
    assert all(finding["advice"] for finding in findings.values() if finding["status"] != "ok")


@pytest.mark.parametrize(
    ("program", "not_wanted"),
    [
        ("edge", ["scipy.signal", "scipy.linalg", "fastapi", "influxdb_client", "sqlalchemy", "amqtt", "services"]),
        ("ingest", ["fastapi", "asyncua", "amqtt", "edge_agent", "services.api", "services.calibrate"]),
        ("calibrate", ["fastapi", "asyncua", "amqtt", "edge_agent", "services.api"]),
        ("api", ["asyncua", "amqtt", "edge_agent", "services.calibrate", "services.ingest"]),
    ],
)
def test_a_program_imports_only_what_it_runs(program: str, not_wanted: list[str]) -> None:
    code = (
        "import json, sys; import dyncal.cli.app; from dyncal.cli.programs import *; "
        f"builder(Program({program!r})); settings_class(Program({program!r})); print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(json.loads(done.stdout))
    assert not loaded.intersection(not_wanted)
