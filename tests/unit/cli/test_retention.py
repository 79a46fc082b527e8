from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dyncal.adapters.registry import open_registry
from dyncal.adapters.stores import open_store
from dyncal.cli import app
from dyncal.domain.aggregates import SAMPLES
from dyncal.domain.holds import Hold
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, UniformAxis
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.settings import RegistrySettings, StoreSettings
from dyncal.testing.records import block
from dyncal.testing.registry import S1, act, make_sensor
from services.ingest.service import LEDGER_FILE

run = CliRunner().invoke
DAY = 86_400 * NS_PER_S


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with 600 samples of three days ago, which are to become aggregates after two."""
    monkeypatch.setenv("DYNCAL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DYNCAL_INGEST__RETENTION__RAW_DAYS", "2")
    with closing(open_registry(RegistrySettings(), tmp_path)) as registry:
        registry.put_sensors([make_sensor(S1)], [], act())
    now = SystemClock().now()
    axis = UniformAxis(InstantNs((now - 3 * DAY) // NS_PER_S * NS_PER_S), DurationNs(NS_PER_S // 10), 600)
    with closing(open_store(StoreSettings(), tmp_path)) as store:
        store.write([block(np.arange(600.0), sensor=S1, axis=axis)])
    return tmp_path


def test_show_run_and_what_is_left(data_dir: Path) -> None:
    shown = run(app, ["retention", "show"])
    assert shown.exit_code == 0, shown.output
    assert "samples older than 2 d become aggregates of 1 s" in shown.output
    assert f"{S1}: samples since" in shown.output
    told = run(app, ["retention", "run", "--dry-run"])
    assert "600 rows would become 60 aggregates" in told.output
    done = run(app, ["retention", "run"])
    assert done.exit_code == 0, done.output
    assert "600 rows became 60 aggregates" in done.output
    assert "0 rows became" in run(app, ["retention", "run"]).output
    with closing(open_store(StoreSettings(), data_dir)) as store:
        assert store.first(S1, SAMPLES) is None
    with closing(open_registry(RegistrySettings(), data_dir)) as registry:
        entry = registry.audit()[-1]
    assert (entry.actor, entry.action, entry.reason) == ("command line", "samples.reduce", "600 samples of 1 sensors")


def test_what_is_held_stays_and_is_told(data_dir: Path) -> None:
    now = SystemClock().now()
    hold = Hold("h-1", S1, InstantNs(0), now, "claim 4711", "key:a", now)
    with closing(open_registry(RegistrySettings(), data_dir)) as registry:
        registry.put_hold(hold, act(2, "claim 4711"), most=9)
    assert "0 rows became 0" in run(app, ["retention", "run"]).output
    assert f"stays: {S1} from 1970" in run(app, ["retention", "show"]).output


def test_it_leaves_the_store_to_an_ingest_that_runs(data_dir: Path) -> None:
    code = (
        "import pathlib, sys; from dyncal.adapters.ledger import SqliteLedger;"
        "kept = SqliteLedger(pathlib.Path(sys.argv[1])); print('open', flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(data_dir / LEDGER_FILE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as ingest:
        assert ingest.stdout is not None
        assert ingest.stdout.readline() == "open\n"
        assert run(app, ["retention", "run"]).exit_code == 1
        assert "600 rows would" in run(app, ["retention", "run", "--dry-run"]).output
        ingest.communicate("\n")
    assert run(app, ["retention", "run"]).exit_code == 0


def test_without_a_policy_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNCAL_DATA_DIR", str(tmp_path))
    assert "kept for ever" in run(app, ["retention", "run"]).output
    monkeypatch.setenv("DYNCAL_INGEST__RETENTION__RAW_DAYS", "0.5")
    assert run(app, ["retention", "show"]).exit_code == 2
    monkeypatch.setenv("DYNCAL_INGEST__RETENTION__RAW_DAYS", "5")
    monkeypatch.setenv("DYNCAL_STORE__RETENTION_DAYS", "5")
    assert run(app, ["retention", "show"]).exit_code == 2
