"""Results from files: read, and what is wrong with them said with file and line or key."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from simulators.scoring.records import Outcome
from simulators.scoring.results_file import read_results
from tests.unit.simulators.scoring import made


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_json_of_all_kinds(tmp_path: Path) -> None:
    results = [
        {"member": "made", "trial": 0, "values": {"gain": 1.0, "tau_s": 2.0}, "u": {"gain": 0.1, "tau_s": 0.1}},
        {"member": "made", "trial": 1, "refused": "no"},
    ]
    text = json.dumps({"format": "dyncal-results/1", "method": "theirs", "results": results})
    read = read_results(written(tmp_path / "r.json", text))
    answers = list(read.answers(made.estimation(3)))
    assert read.method == "theirs"
    assert [a.outcome for a in answers] == [Outcome.ANSWERED, Outcome.REFUSED, Outcome.FAILED]
    assert answers[2].reason == "not in the results file"


def test_json_series_and_alarms(tmp_path: Path) -> None:
    results = [
        {"member": "made", "trial": 0, "value": [None] + [0.5] * (made.N - 1), "u": [0.1] * made.N},
        {"member": "made", "trial": 1, "alarms_t_ns": []},
    ]
    text = json.dumps({"format": "dyncal-results/1", "method": "theirs", "results": results})
    read = read_results(written(tmp_path / "r.json", text))
    series = next(iter(read.answers(made.correction(np.zeros(made.N)))))
    assert np.isnan(series.value[0])
    assert series.u_value[5] == 0.1
    assert list(read.answers(made.drift([None, None])))[1].alarms_t_ns.size == 0


def test_csv_of_estimates(tmp_path: Path) -> None:
    text = "member,trial,parameter,value,u\nmade,0,gain,1.0,0.1\nmade,0,tau_s,2.0,0.2\n"
    answer = next(iter(read_results(written(tmp_path / "r.csv", text)).answers(made.estimation(1))))
    assert (answer.values, answer.u) == ({"gain": 1.0, "tau_s": 2.0}, {"gain": 0.1, "tau_s": 0.2})


def test_csv_of_series(tmp_path: Path) -> None:
    member = made.correction(np.zeros(made.N))
    rows = [f"made,0,{t},{k}" for k, t in enumerate(member.trials[0].t_ns.tolist()) if k > 2]
    read = read_results(written(tmp_path / "r.csv", "\n".join(["member,trial,t_ns,value", *rows])))
    answer = next(iter(read.answers(member)))
    assert np.isnan(answer.value[2])
    assert answer.value[3] == 3
    assert not answer.u_value.size
    off = read_results(written(tmp_path / "o.csv", "member,trial,t_ns,value\nmade,0,7,1.0\n"))
    assert "no sample at t_ns 7" in next(iter(off.answers(member))).reason


def test_csv_of_alarms(tmp_path: Path) -> None:
    text = "member,trial,alarm_t_ns\nmade,0,3000000000\nmade,0,5000000000\nmade,1,\n"
    answers = list(read_results(written(tmp_path / "r.csv", text)).answers(made.drift([None, None])))
    assert [a.alarms_t_ns.size for a in answers] == [2, 0]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("r.json", "{", "not JSON"),
        ("r.json", '{"format": "dyncal-results/1", "method": "m", "results": [{"member": "x"}]}', "results.0.trial"),
        ("r.json", '{"format": "other", "method": "m", "results": []}', "format"),
        ("r.csv", "a,b\n", "line 1: the header"),
        ("r.csv", "member,trial,parameter,value\nm,0,gain,1.0\nm,x,gain,1\n", "line 3"),
        ("r.csv", "member,trial,parameter,value\nm,0,gain\n", "line 2: 3 fields"),
        ("r.csv", "member,trial,parameter,value\nm,0,gain,1\nm,0,gain,1\n", "line 3: gain is there twice"),
        ("r.txt", "", "end in .json or .csv"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = written(tmp_path / name, text)
    with pytest.raises(InvalidData, match=said) as caught:
        read_results(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="cannot read it"):
        read_results(tmp_path / "r.json")
