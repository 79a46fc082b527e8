"""`dyncal score`: figures of estimators, correctors and drift detectors on the reference data sets."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dyncal.cli.reporting import reported, stop

if TYPE_CHECKING:
    from simulators.datasets.store import MemberData
    from simulators.scoring.board import Contestant
    from simulators.scoring.figures import MemberScore
    from simulators.scoring.records import Answer


def score(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Data sets, as `dyncal datasets make` makes them.")],
    method: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]MODULE:FUNCTION", help="A method; may be repeated. `standard` for dyncal's."),
    ] = None,
    results: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Results, .json or .csv; may be repeated.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="Only members of this task; may be repeated.")] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this member; may be repeated.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Only the first trials of each member.")] = None,
    truth: Annotated[Path | None, typer.Option(metavar="DIR", help="Truth that lies elsewhere: blind part.")] = None,
    python: Annotated[str, typer.Option(metavar="FILE", help="Interpreter for the methods given.")] = sys.executable,
    path: Annotated[list[str] | None, typer.Option(metavar="DIR", help="Where modules lie; may be repeated.")] = None,
    foreign: Annotated[
        str | None, typer.Option(metavar="FILE", help="Interpreter with PyDynamic: its methods are standard too.")
    ] = None,
    limit: Annotated[float, typer.Option(min=0.1, metavar="S", help="Longest time for a trial.")] = 60.0,
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="Write scores.json, scores.md and plots here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not tables.")] = False,
) -> None:
    """Score methods, dyncal's and baselines unless others are given, and print tables. A method is code: it is run."""
    with reported("services"):
        from simulators.scoring import board
        from simulators.scoring.records import TASKS
        from simulators.scoring.results_file import read_results
        from simulators.scoring.running import Method
        from simulators.scoring.tables import markdown

        if unknown := set(task or ()) - set(TASKS):
            stop(f"--task cannot be {', '.join(sorted(unknown))}: {', '.join(TASKS)}", 2)
        contestants: list[Contestant] = []
        for given in method or ([] if results else ["standard"]):
            if given == "standard":
                contestants += board.standard(foreign, limit)
                continue
            name, _, entry = given.rpartition("=")
            if ":" not in entry:
                stop(f"--method {given}: not a MODULE:FUNCTION, such as mine:fit or ./mine.py:fit", 2)
            chosen = Method(name or entry, entry, python, tuple(path or ()), limit)
            contestants.append(board.third_party(chosen, task or TASKS))
        contestants += [board.from_file(read_results(file)) for file in results or ()]
        if len({c.name for c in contestants}) < len(contestants):
            stop("two methods have one name; say --method NAME=MODULE:FUNCTION", 2)
        members = board.members_of(directory, truth, only or (), task or ())
        scores = board.run(contestants, members, trials, _told(to))
        if not scores:
            stop("nothing was scored: no method takes part in the tasks of these members")
        text = json.dumps([s.as_json() for s in scores], indent=1)
        lines = "\n".join(markdown(scores)).strip()
        if to is not None:
            to.mkdir(parents=True, exist_ok=True)
            (to / "scores.json").write_text(text + "\n", encoding="utf-8")
            (to / "scores.md").write_text(lines + "\n", encoding="utf-8")
        print(text if as_json else lines)


class _told:  # noqa: N801 - used like a function
    """Says on standard error what is done, and draws the plot of a member, anew with each method."""

    def __init__(self, to: Path | None) -> None:
        self._to = to
        self._answers: dict[str, dict[str, Sequence[Answer]]] = {}

    def __call__(self, made: MemberScore, answers: Sequence[Answer], member: MemberData) -> None:
        from simulators.scoring import plots

        print(f"{made.member}: {made.method}", file=sys.stderr, flush=True)
        if self._to is not None:
            of = self._answers.setdefault(made.member, {})
            of[made.method] = answers
            plots.write(self._to, member, of)
