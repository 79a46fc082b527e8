"""Two results compared: what differs, of which sensor, by how much; and results that are none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import duration
from services.calibrate.settings import CalibrateSection
from simulators.replay import Effects, Options, replay
from simulators.replay.differences import compare, differences
from simulators.replay.effects import AlarmFound
from simulators.replay.results import RESULT_FILE, CorrectedWriter, corrected, load, save
from simulators.replay.simulated import SimulatedSource
from tests.unit.simulators.replay.scenarios import small


def kept(directory: Path, options: Options, seconds: float = 20.0) -> Effects:
    with CorrectedWriter(directory) as writer:
        effects = replay(SimulatedSource(small(), duration(seconds)), options, on_corrected=writer).effects
    save(effects, directory)
    return effects


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two replays; in the second, candidates are judged longer."""
    base = tmp_path_factory.mktemp("results")
    one, other = base / "one", base / "other"
    kept(one, Options())
    rules = CalibrateSection(snapshot_s=1e9, held_out_s=4.0)
    kept(other, dataclasses.replace(Options(), rules=rules))
    return one, other


def test_a_result_comes_back_as_it_was(results: tuple[Path, Path]) -> None:
    one, _ = results
    again = load(one)
    assert load(one / RESULT_FILE) == again
    assert compare(one, one) == []


def test_other_settings_are_named_and_sets_come_later(results: tuple[Path, Path]) -> None:
    found = compare(*results)
    told = [d.what for d in found if d.kind == "settings"]
    assert told == ["calibrate.held_out_s: 0.5 and 4.0"]
    made = [d for d in found if d.kind == "sets" and d.unit == "s"]
    assert made
    assert all(d.size is not None and d.size > 0 for d in made)
    alone = [d for d in found if d.kind == "corrected" and d.unit == "1"]
    assert alone
    assert {d.sensor for d in alone} <= {"T1", "P1"}


def test_parameters_are_told_in_standard_uncertainties(results: tuple[Path, Path]) -> None:
    before = load(results[0])
    first = before.sets[0]
    moved = (first.values[0], first.values[1] + 2.5 * first.u[1], *first.values[2:])
    changed = msgspec.structs.replace(before, sets=(msgspec.structs.replace(first, values=moved), *before.sets[1:]))
    (found,) = differences(before, changed)
    assert (found.kind, found.sensor, found.unit) == ("sets", first.sensor, "u")
    assert found.size == pytest.approx(2.5)
    assert found.what.endswith(first.names[1])


def test_corrected_samples_are_told_in_standard_uncertainties(results: tuple[Path, Path], tmp_path: Path) -> None:
    one, _ = results
    effects = load(one)
    digests = effects.digests | {"corrected": effects.digests["corrected"] | {"P1": "other"}}
    save(msgspec.structs.replace(effects, digests=digests), tmp_path)
    rows = np.array(corrected(one, "P1"))
    rows["value"][10] += 3 * rows["u"][10]
    with CorrectedWriter(tmp_path) as writer:
        writer(SensorId("P1"), rows["t_ns"], rows["value"], rows["u"])
    found = [d for d in compare(one, tmp_path) if d.unit == "u"]
    assert [(d.kind, d.sensor) for d in found] == [("corrected", "P1")]
    assert found[0].size == pytest.approx(3.0)
    assert str(rows["t_ns"][10]) in found[0].what


def test_alarms_that_come_later_or_not_at_all(results: tuple[Path, Path]) -> None:
    before = load(results[0])
    alarm = msgspec.json.decode(
        b'{"source":"T1","kind":"drift","holds":true,"at_ns":1000000000,"parameter":"tau_s"}',
        type=AlarmFound,
    )
    a = msgspec.structs.replace(before, alarms=(alarm,))
    b = msgspec.structs.replace(before, alarms=(msgspec.structs.replace(alarm, at_ns=3_500_000_000),))
    (later,) = differences(a, b)
    assert (later.kind, later.sensor, later.size, later.unit) == ("alarms", "T1", 2.5, "s")
    (missing,) = differences(a, msgspec.structs.replace(before, alarms=()))
    assert missing.what.endswith("only in the first")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read it"),
        (b"{", "no result of a replay"),
        (b'{"v":2}', "missing required"),
        (b'{"v":1}', "of version 1"),
        (b"[]", "no result of a replay"),
    ],
)
def test_what_is_no_result_is_named_with_what_to_do(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / RESULT_FILE).write_bytes(content)
    with pytest.raises(InvalidData, match=said) as told:
        load(tmp_path)
    assert str(tmp_path / RESULT_FILE) in str(told.value)
    assert "dyncal replay --out" in str(told.value)
