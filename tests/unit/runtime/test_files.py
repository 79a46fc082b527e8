from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.files import check_files
from dyncal.runtime.settings import load
from edge_agent.settings import EdgeSettings
from services.api.settings import ApiSettings
from tests.unit.runtime.test_settings import written

PROGRAMS = ["ingest", "calibrate", "api", "edge", "embedded"]


def config(tmp_path: Path) -> Path:
    (tmp_path / "plain").write_text("no directory")
    return written(tmp_path, f'data_dir = "{tmp_path}/plain/var"\n[broker]\npassword_file = "{tmp_path}/absent"\n')


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_says_all_that_is_wrong_and_ends_with_2(program: str, tmp_path: Path) -> None:
    file = config(tmp_path)
    command = [sys.executable, "-m", "dyncal", "run", program, "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{file}: broker.password_file = '{tmp_path}/absent': cannot read it")
    assert lines[1].startswith(f"{file}: data_dir = '{tmp_path}/plain/var': Not a directory; expected")


def test_files_of_lists_are_looked_at_too(tmp_path: Path) -> None:
    nodes = 'nodes = [{ sensor = "A", node = "i=1", unit = "1", dt_s = 1 }]'
    text = f'data_dir = "{tmp_path}"\n[[edge.opcua]]\nurl = "opc.tcp://h"\npassword_file = "{tmp_path}"\n{nodes}\n'
    file = written(tmp_path, text)
    with pytest.raises(InvalidSetting, match=r"edge\.opcua\.0\.password_file = .*Is a directory"):
        check_files(load(EdgeSettings, file), file)


def test_a_program_that_keeps_nothing_needs_no_directory(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("no directory")
    text = f'data_dir = "{tmp_path}/plain/var"\n[store]\nkind = "influx"\n[registry]\nurl = "postgresql://h/d"\n'
    file = written(tmp_path, text)
    check_files(load(ApiSettings, file), file)
