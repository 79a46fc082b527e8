from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent import keeper as module
from edge_agent.keeper import SetKeeper
from tests.unit.edge_agent.helpers import SENSOR


def test_what_was_kept_is_there_again_with_its_highest_sequence(tmp_path: Path) -> None:
    keeper = SetKeeper(tmp_path)
    assert keeper.load() == {}
    keeper.keep(SENSOR, b"five", 5)
    keeper.keep(SENSOR, b"four again", 5)
    again = SetKeeper(tmp_path)
    assert again.load() == {SENSOR: b"four again"}
    assert again.highest == {SENSOR: 5}
    assert not again.damage
    again.keep(SENSOR, b"six", 6)
    third = SetKeeper(tmp_path)
    third.load()
    assert third.highest == {SENSOR: 6}


@pytest.mark.parametrize("content", [b"", b"9", b"9 00000000", b"nine", b"9 x y", b"\xff" * 1000])
def test_a_damaged_number_is_told_and_not_believed(tmp_path: Path, content: bytes) -> None:
    SetKeeper(tmp_path).keep(SENSOR, b"five", 5)
    (tmp_path / f"{SENSOR}.highest").write_bytes(content)
    keeper = SetKeeper(tmp_path)
    assert keeper.load() == {SENSOR: b"five"}
    assert keeper.highest == {}
    assert list(keeper.damage) == [SENSOR]


def test_a_file_that_is_too_large_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_BYTES", 100)
    SetKeeper(tmp_path).keep(SENSOR, b"x" * 101, 5)
    keeper = SetKeeper(tmp_path)
    assert keeper.load() == {}
    assert "101 bytes" in keeper.damage[SENSOR]
    assert keeper.highest == {SENSOR: 5}
