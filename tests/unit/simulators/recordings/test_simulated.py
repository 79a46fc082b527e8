"""Recordings of scenarios: what the plant's channels hand over, in order of arrival, the same bits again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dyncal.cli.app import app
from dyncal.domain.time import duration
from simulators.plant import Plant
from simulators.recordings import open_recording
from simulators.recordings.simulated import T0_NS, record_scenario
from simulators.scenarios.scenario import load_scenario

PLANT = """
name = "pair"
seed = 5
[[stations]]
id = "PT-1"
unit = "kPa"
surface = "mqtt"
model = "second_order"
parameters = { gain = 1.0, damping = 0.3, f0_hz = 4.0, delay_s = 0.02 }
rate_hz = 100
block = 10
measurand = { mean = 250.0, rms = 5.0, band_hz = 3.5 }
converter = { noise = 0.03 }
transport = { dropout = 0.1, duplicate = 0.1, jitter_s = 0.05, overtaken = 0.1, overtaken_s = 0.5 }
pairing = { u_reference = 0.05, tolerance = { f0_hz = 0.02 } }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pair.toml"
    path.write_text(PLANT)
    return path


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_recording_holds_what_the_channels_publish(file: Path, tmp_path: Path, ending: str) -> None:
    scenario = load_scenario(file)
    to = tmp_path / "out" / f"r.{ending}"
    to.parent.mkdir()
    n_rows = record_scenario(scenario, to, duration(20.0))
    first = {f.name: f.read_bytes() for f in to.parent.iterdir()}
    assert record_scenario(scenario, to, duration(20.0)) == n_rows
    assert {f.name: f.read_bytes() for f in to.parent.iterdir()} == first

    got: Counter[tuple[str, int, float]] = Counter()
    came = []
    recording = open_recording(to)
    for block in recording.blocks():
        got.update((block.channel, int(t), float(v)) for t, v in zip(block.t_ns, block.values, strict=True))
        came.append(block.arrival_ns or 0)
    want: Counter[tuple[str, int, float]] = Counter()
    for channel in Plant(scenario, T0_NS).channels():
        for _ in range(260):
            made = channel.next_publication()
            if made.due_ns <= T0_NS + duration(20.0):
                rows = zip(made.t_ns.tolist(), made.value.tolist(), strict=True)
                want.update({(channel.id, t, v): made.copies for t, v in rows if made.copies})
    assert got == want
    assert sum(got.values()) == n_rows
    assert 2 in got.values()
    assert np.all(np.diff(came) >= 0)
    pairing = recording.info.pairings[0].pairing()
    assert (pairing.sensor, pairing.reference, pairing.dead_time) == ("PT-1", "PT-1-ref", True)
    assert pairing.tolerance == {"f0_hz": 0.02}
    assert recording.info.channels["PT-1"].si_unit == r"\kilo\pascal"


def test_the_command_records_and_refuses(file: Path, tmp_path: Path) -> None:
    def call(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["simulate", str(file), *arguments])
        return result.exit_code, result.output

    to = tmp_path / "r.parquet"
    status, output = call("--to", str(to), "--duration", "2")
    assert status == 0
    assert "samples" in output
    assert open_recording(to).info.source.t0_ns == T0_NS
    for wrong in (["--to", str(to)], ["--duration", "2"], ["--to", str(tmp_path / "r.txt"), "--duration", "2"]):
        assert call(*wrong)[0] == 2, wrong
    assert call("--to", str(to), "--duration", "2", "--start", "soon")[0] == 2
