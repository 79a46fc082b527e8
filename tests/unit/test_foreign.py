from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import foreign

HEAD = "from tests.benchmarks.foreign_scripts.exchange import best_s, give, inputs\n"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this Python stand for the foreign one, so that no package index is asked."""
    monkeypatch.setattr(foreign, "environment", lambda: Path(sys.executable))


def script(directory: Path, body: str) -> Path:
    path = directory / "script.py"
    path.write_text(HEAD + body)
    return path


@pytest.mark.usefixtures("here")
def test_arrays_go_there_and_back(tmp_path: Path) -> None:
    body = (
        "given = inputs()\ngive(twice=2 * given['x'], n=given['n'] + 1, seconds=best_s(lambda: sum(range(1000)), 3))\n"
    )
    outputs = foreign.run(script(tmp_path, body), {"x": np.arange(3.0), "n": 4})
    np.testing.assert_array_equal(outputs["twice"], [0.0, 2.0, 4.0])
    assert int(outputs["n"]) == 5
    assert 0 < float(outputs["seconds"]) < 1


@pytest.mark.usefixtures("here")
def test_a_failing_script_says_why(tmp_path: Path) -> None:
    with pytest.raises(foreign.Failed, match="no such filter"):
        foreign.run(script(tmp_path, "raise ValueError('no such filter')\n"), {})
    with pytest.raises(foreign.Failed, match="gave nothing back"):
        foreign.run(script(tmp_path, "inputs()\n"), {})


@pytest.mark.usefixtures("here")
def test_a_script_that_does_not_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(foreign.Failed, match="longer than 2 s"):
        foreign.run(script(tmp_path, "import time\ntime.sleep(60)\n"), {}, timeout_s=2)


def test_without_an_index_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "ERROR: nothing found")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", refuse)
    foreign.environment.cache_clear()
    try:
        assert not foreign.available()
        assert "nothing found" in capsys.readouterr().err
        assert not foreign.folder().exists()
        assert list(tmp_path.glob("dyncal/*")) == []
    finally:
        foreign.environment.cache_clear()
