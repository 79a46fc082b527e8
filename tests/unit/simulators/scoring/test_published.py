"""What is published is what was scored: read back from JSON, and written as a page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from simulators.scoring.figures import MemberScore, score
from simulators.scoring.records import Answer, Outcome, failed
from simulators.scoring.tables import markdown
from tests import scores
from tests.unit.simulators.scoring import made
from tests.unit.simulators.scoring.test_figures import estimates


def all_kinds() -> list[MemberScore]:
    alarms = Answer(Outcome.ANSWERED, alarms_t_ns=np.array([25 * 10**9]))
    value = Answer(Outcome.ANSWERED, value=np.ones(made.N), u_value=np.ones(made.N))
    return [
        score("dyncal x", made.estimation(20), estimates(20, 1.0, 1.0)),
        score("dyncal x", made.estimation(2, "fault-made"), [*estimates(1, 1.0, 1.0), failed("x")]),
        score("dyncal y", made.correction(np.ones(made.N)), [value] * 3),
        score("dyncal z", made.drift([20, None]), [alarms, Answer(Outcome.ANSWERED)]),
        score("dyncal w", made.drift([None]), [Answer(Outcome.ANSWERED)]),
    ]


def test_scores_come_back_from_their_json() -> None:
    for one in all_kinds():
        back = scores.score_of(json.loads(json.dumps({"made_at": "abc", **one.as_json()})))
        assert markdown([back]) == markdown([one])


def test_a_page_names_its_revision_and_how_many_trials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scores, "FOLDER", tmp_path)
    scores.write([{"made_at": "abc", **one.as_json()} for one in all_kinds()])
    page = (tmp_path / "scores.md").read_text()
    assert "at revision abc" in page
    assert "| *trials* | 20 |" in page
    assert len(scores.held()) == 5
