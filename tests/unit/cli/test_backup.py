from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dyncal.adapters.registry import open_registry
from dyncal.cli import app
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.registry import act, make_sensor

run = CliRunner().invoke


def test_back_up_check_and_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNCAL_DATA_DIR", str(tmp_path / "var"))
    with closing(open_registry(RegistrySettings(), tmp_path / "var")) as registry:
        registry.put_sensors([make_sensor()], [], act())
    kept = str(tmp_path / "kept")
    made = run(app, ["backup", kept])
    assert made.exit_code == 0, made.output
    assert "1 entries in its audit trail" in made.output
    assert run(app, ["backup", kept]).exit_code == 1
    assert run(app, ["restore", kept, "--check"]).exit_code == 0
    assert run(app, ["restore", kept]).exit_code == 1
    assert run(app, ["restore", kept, "--replace"]).exit_code == 0
    with closing(open_registry(RegistrySettings(), tmp_path / "var")) as registry:
        assert [entry.action for entry in registry.audit()] == ["sensor.put", "registry.restore"]
    (tmp_path / "kept" / "manifest.json").write_text("{}")
    assert run(app, ["restore", kept, "--check"]).exit_code == 1


def test_what_lies_elsewhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNCAL_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("DYNCAL_SIGNING__KEY_FILE", str(tmp_path / "elsewhere.pem"))
    open_registry(RegistrySettings(), tmp_path / "var").close()
    made = run(app, ["backup", str(tmp_path / "kept")])
    assert made.exit_code == 0, made.output
    assert "elsewhere.pem" in made.output.replace("\n", "")
