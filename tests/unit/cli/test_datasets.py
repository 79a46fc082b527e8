"""`dyncal datasets` and `dyncal score`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dyncal.cli.app import app

NAMES = ("points-first-17", "first-step-40db")
MINE = """
def fit(record):
    if record["task"] == "drift":
        return {"alarms_t_ns": []}
    return {"values": dict.fromkeys(record["parameters"], 1.0)}
"""


def typed(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "open"
    only = [word for name in NAMES for word in ("--only", name)]
    assert typed("datasets", "make", "--to", folder, "--trials", "2", *only).exit_code == 0
    return folder


def test_list_names_all_members() -> None:
    assert "second-shock-40db" in typed("datasets", "list").output
    assert "blind-drift" in typed("datasets", "list", "--part", "blind").output


def test_verify_says_what_is_wrong_with_status_1(made: Path, tmp_path: Path) -> None:
    assert typed("datasets", "verify", made).exit_code == 0
    (tmp_path / "x").mkdir()
    for path in made.rglob("*"):
        target = tmp_path / "x" / path.relative_to(made)
        target.mkdir(exist_ok=True) if path.is_dir() else target.write_bytes(path.read_bytes())
    (tmp_path / "x" / NAMES[0] / "truth.json").write_text("{")
    got = typed("datasets", "verify", tmp_path / "x")
    assert got.exit_code == 1
    assert "truth.json" in got.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("datasets", "make", "--to", "x", "--only", "nonsense"), "there is no nonsense"),
        (("datasets", "make", "--to", "x", "--part", "half"), "--part cannot be 'half'"),
        (("datasets", "make", "--to", "x", "--part", "blind"), "--secret FILE"),
        (("datasets", "make", "--to", "x", "--version", "9"), "--version cannot be 9"),
        (("score", "x", "--method", "nonsense"), "not a MODULE:FUNCTION"),
        (("score", "x", "--task", "nonsense"), "--task cannot be nonsense"),
    ],
)
def test_what_is_typed_wrongly_has_status_2(words: tuple[str, ...], said: str) -> None:
    got = typed(*words)
    assert got.exit_code == 2
    assert said in got.output


def test_a_method_and_a_file_are_scored_side_by_side(made: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    results = tmp_path / "theirs.csv"
    results.write_text("member,trial,parameter,value\n" + "".join(
        f"first-step-40db,{k},{name},1.0\n" for k in range(2) for name in ("gain", "tau_s")
    ))  # fmt: skip
    words = (
        "score",
        made,
        "--method",
        f"mine={tmp_path / 'mine.py'}:fit",
        "--results",
        results,
        "--to",
        tmp_path / "out",
    )
    got = typed(*words, "--only", "first-step-40db")
    assert got.exit_code == 0
    assert "| member | mine | theirs |" in got.output
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert {(s["method"], s["n"], s["failed"]) for s in scores} == {("mine", 2, 0), ("theirs", 2, 0)}
    assert scores[0]["parameters"] == scores[1]["parameters"]
    assert (tmp_path / "out" / "first-step-40db.svg").read_bytes().startswith(b"<?xml")
