"""A bar is missed for sure only where the number of trials leaves no doubt."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests import evidence
from tests.evidence import Figure, bias, coverage, efficiency, table, write


def test_few_trials_prove_nothing_and_many_do() -> None:
    assert not coverage("c", np.ones(20, bool)).missed_for_sure
    assert coverage("c", np.ones(2000, bool)).missed_for_sure
    assert not coverage("c", np.arange(1000) % 20 != 0).missed_for_sure
    assert coverage("c", np.arange(100) % 2 == 0).missed_for_sure


def test_what_is_no_number_is_missed() -> None:
    assert Figure("f", math.nan, 0, 1, 10, 1.0).missed_for_sure
    assert not Figure("f", math.nan, 0, 1, 10).reached
    assert coverage("c", np.empty(0, bool)).missed_for_sure


def test_efficiency_and_bias_know_their_scatter() -> None:
    errors = np.random.default_rng(1).normal(size=4000)
    ratio = efficiency("e", errors, 1.0, 1.1)
    assert ratio.value == pytest.approx(1.0, abs=4 * ratio.u)
    assert ratio.u == pytest.approx(0.0112, rel=0.05)
    mean = bias("b", errors + 0.5, 10.0, 0.01)
    assert mean.value == pytest.approx(0.05, abs=4 * mean.u)
    assert mean.missed_for_sure


def test_a_partial_run_keeps_the_other_sections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "FOLDER", tmp_path)
    write("x", "T", "make x", {"b": [Figure("one", 1.0, 0.0, math.inf, 3)]})
    page = write("x", "T", "make x", {"a": [Figure("two", 2.0, -1.0, 1.0, 3)]})
    text = page.read_text()
    assert text.index("## a") < text.index("## b")
    assert "| one | 1 |" in text
    assert "**no**" in text
    assert "2 figures: 1 reach their bar, 0 miss it by less than their scatter, 1 miss it." in text


def test_a_section_that_nobody_makes_any_more_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "FOLDER", tmp_path)
    write("x", "T", "make x", {"old": [Figure("one", 1.0, 0.0, math.inf, 3)]})
    page = write("x", "T", "make x", {"new": [Figure("two", 2.0, 0.0, math.inf, 3)]}, ["new"])
    assert "## old" not in page.read_text()
    assert "At revision unknown." in page.read_text()


def test_bars_read_as_people_write_them() -> None:
    rows = table(
        [
            Figure("a", 0.95, 0.935, 0.965, 9, 0.01, "%"),
            Figure("b", 3.0, 2.0, math.inf, 1),
            Figure("c", 1.05, 0.0, 1.0, 9, 0.03),
        ]
    )
    assert "| 93.5 % to 96.5 % |" in rows[2]
    assert "| ≥ 2 |" in rows[3]
    assert "| within scatter |" in rows[4]
