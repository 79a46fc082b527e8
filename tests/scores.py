"""The published scores: `python -m tests.scores DIR [--task T] [--only NAME] [--method TEXT] [--trials N] [--missing]`.

DIR holds the open part (`dyncal datasets make --to DIR`). Writes docs/evidence/scores.json and .md; what a run did not
score stays, each score with the revision at which it was made. PyDynamic's methods take part where `make foreign` has
made their environment.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from simulators.datasets.store import MemberData
from simulators.scoring import board
from simulators.scoring.figures import CorrectionScore, DriftScore, FaultScore, MemberScore, ParameterScore, Share
from simulators.scoring.records import Answer
from simulators.scoring.tables import markdown
from tests.benchmarks import foreign
from tests.evidence import FOLDER, revision

MOST: Final = {"dyncal online": 30, "scipy curve_fit": 30, "PyDynamic fit_som": 40, "PyDynamic LSFIR": 3}
"""Trials of those that take seconds each."""
LIMIT_S: Final = 600.0
"""Of a trial: wide, for a machine that has other work."""
_NAN: Final = float("nan")


def main() -> int:
    """Score and write; 1 if nothing was scored."""
    parser = argparse.ArgumentParser(prog="python -m tests.scores", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--task", action="append", default=[])
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--method", default="", help="only methods whose name contains this")
    parser.add_argument("--trials", type=int, help="at most so many of each member")
    parser.add_argument("--missing", action="store_true", help="only what is held of fewer trials, or not at all")
    parser.add_argument("--table", action="store_true", help="write the page from what is held, and score nothing")
    arguments = parser.parse_args()
    if arguments.table:
        write(held())
        return 0
    python = str(foreign.environment()) if foreign.available() else None
    contestants = [
        replace(c, most=MOST.get(c.name)) for c in board.standard(python, LIMIT_S) if arguments.method in c.name
    ]
    done = {(e["member"], e["method"]): e["n"] for e in held()} if arguments.missing else {}
    made = 0
    for member in board.members_of(arguments.directory, None, arguments.only, arguments.task):
        n = min(arguments.trials or len(member.trials), len(member.trials))
        due = [c for c in contestants if done.get((member.name, c.name), 0) < min(n, c.most or n)]
        made += len(board.run(due, [member], n, _kept))
    return 0 if made or arguments.missing else 1


def _kept(made: MemberScore, answers: Sequence[Answer], member: MemberData) -> None:
    """Keep a score at once: an interrupted run has what it found."""
    del answers, member
    sys.stderr.write(f"{made.member}: {made.method}\n")
    known = {(e["member"], e["method"]): e for e in held()}
    known[made.member, made.method] = {"made_at": revision(), **made.as_json()}
    write([known[key] for key in sorted(known)])


def held() -> list[dict[str, Any]]:
    """Return the scores that are kept."""
    path = FOLDER / "scores.json"
    found: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return found


def write(entries: list[dict[str, Any]]) -> None:
    """Write both files."""
    (FOLDER / "scores.json").write_text(json.dumps(entries, indent=1) + "\n")
    order = {c.name: k for k, c in enumerate(board.standard("python"))}
    scores = sorted((score_of(e) for e in entries), key=lambda s: (s.member, order.get(s.method, len(order))))
    at = ", ".join(sorted({str(e["made_at"]) for e in entries}))
    most = ", ".join(f"{name} {n}" for name, n in MOST.items())
    made = f"Made by `dyncal datasets make --to DIR` and `python -m tests.scores DIR`, at revision {at}."
    more = "What the figures are: [docs/datasets.md](../datasets.md); all, with intervals: [scores.json](scores.json)."
    few = f"Each member's first trials, so many as the tables say; at most {most}."
    heading = "# Scores on the reference data sets, version 1, open part"
    lines = [heading, "", made, more, few, *markdown(scores)]
    (FOLDER / "scores.md").write_text("\n".join(lines) + "\n")


def score_of(entry: dict[str, Any]) -> MemberScore:
    """Return a score from its JSON."""
    known = {field.name for field in fields(MemberScore)}
    given = {name: value for name, value in entry.items() if name in known}
    given["seconds_per_sample"] = _number(given["seconds_per_sample"])
    given["parameters"] = {
        name: ParameterScore(**{**_numbers(p), "coverage": _share(p["coverage"])})
        for name, p in given["parameters"].items()
    }
    if given["correction"]:
        c = given["correction"]
        optimum = c["over_optimum"]
        given["correction"] = CorrectionScore(
            **{**_numbers(c), "over_optimum": optimum, "coverage": _share(c["coverage"])}
        )
    if given["drift"]:
        d = given["drift"]
        interval = tuple(float("inf") if edge is None else edge for edge in d["arl0_interval_s"])
        given["drift"] = DriftScore(**{**_numbers(d), "found": _share(d["found"]), "arl0_interval_s": interval})
    if given["faults"]:
        given["faults"] = FaultScore(**given["faults"])
    given["reasons"] = tuple(given["reasons"])
    return MemberScore(**given)


def _share(given: dict[str, Any] | None) -> Share | None:
    return None if given is None else Share(**_numbers(given))


def _numbers(given: dict[str, Any]) -> dict[str, Any]:
    return {name: _number(value) for name, value in given.items()}


def _number(value: Any) -> Any:
    return _NAN if value is None else value


if __name__ == "__main__":
    sys.exit(main())
