from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests import evidence
from tests.benchmarks import __main__ as benchmarks
from tests.evidence import Figure

NAME = "tests.benchmarks.bench_made_up"


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Callable[[], object]], None]:
    """Put a module of benchmarks there, and the evidence aside."""
    monkeypatch.setattr(evidence, "FOLDER", tmp_path)

    def put(sections: Callable[[], object]) -> None:
        module = ModuleType(NAME)
        module.sections = sections  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, NAME, module)

    return put


def figures(value: float) -> dict[str, list[Figure]]:
    return {"Made up": [Figure("ratio", value, 2.0, float("inf"), 7, unit="×")]}


@pytest.mark.parametrize("name", benchmarks.discover())
def test_every_module_offers_its_figures(name: str) -> None:
    assert callable(importlib.import_module(f"tests.benchmarks.bench_{name}").sections)


def test_a_bar_reached_is_written_and_one_missed_is_said(
    made_up: Callable[[Callable[[], object]], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up(lambda: figures(3.0))
    assert benchmarks.run("made_up")
    assert "| ratio | 3 × |" in (tmp_path / "benchmarks.md").read_text()
    made_up(lambda: figures(1.0))
    assert not benchmarks.run("made_up")
    assert "**no**" in capsys.readouterr().out


def test_one_that_fails_does_not_take_the_others_with_it(
    made_up: Callable[[Callable[[], object]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> object:
        raise ValueError("no such filter")

    made_up(broken)
    assert not benchmarks.run("made_up")
    assert "no such filter" in capsys.readouterr().err
