"""What is secret is shown by no command, whatever fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dyncal.cli import app
from dyncal.runtime.ports import free_port

run = CliRunner().invoke
SECRET = "hunter2-in-plain"


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that nobody answers for, each with a secret, given in every way."""
    port = free_port()
    (tmp_path / "secret").write_text(SECRET + "\n")
    for name, value in {
        "DATA_DIR": str(tmp_path / "var"),
        "BROKER__PORT": str(port),
        "BROKER__USERNAME": "me",
        "BROKER__PASSWORD": SECRET,
        "STORE__KIND": "influx",
        "STORE__URL": f"http://me:{SECRET}@127.0.0.1:{port}",
        "STORE__PASSWORD": SECRET,
        "STORE__TOKEN_FILE": str(tmp_path / "secret"),
        "STORE__TIMEOUT_S": "1",
        "REGISTRY__URL": f"postgresql+psycopg://me:{SECRET}@127.0.0.1:{port}/dyncal",
        "REGISTRY__PASSWORD_FILE": str(tmp_path / "secret"),
    }.items():
        monkeypatch.setenv(f"DYNCAL_{name}", value)


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize(
    "arguments",
    [
        *[["config", "show", program] for program in ("ingest", "calibrate", "api", "edge")],
        ["config", "show", "api", "--json"],
        ["audit", "verify"],
        ["audit", "export"],
        ["keys", "list"],
        ["backup", "kept"],
    ],
    ids=" ".join,
)
def test_no_command_shows_a_secret(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var" / "keys").mkdir(parents=True)
    (tmp_path / "var" / "keys" / "x").write_text("something to keep")
    done = run(app, arguments)
    written = capfd.readouterr()
    assert SECRET not in done.output + written.out + written.err
    assert arguments[0] == "config" or done.exit_code != 0


@pytest.mark.usefixtures("secrets")
def test_doctor_shows_none(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("dyncal.cli.doctor.CONNECT_S", 0.5)
    done = run(app, ["doctor", "--json"])
    written = capfd.readouterr()
    assert '"registry"' in done.output
    assert SECRET not in done.output + written.out + written.err
