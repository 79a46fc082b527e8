"""The short form of every experiment."""

from __future__ import annotations

import pytest

from tests.evidence import table
from tests.statistical.harness import Experiment, discover, run_short


@pytest.mark.parametrize("experiment", discover(), ids=lambda experiment: experiment.name)
def test_no_bar_is_missed_for_sure(experiment: Experiment) -> None:
    figures = run_short(experiment)
    assert figures
    print("\n".join(table(figures)))  # noqa: T201 - shown where it fails
    assert not [figure for figure in figures if figure.missed_for_sure]
