"""Run the experiments in full: `python -m tests.statistical [--only TEXT] [--trials N]`."""

from __future__ import annotations

import argparse
import sys

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.evidence import write
from tests.statistical.harness import Experiment, discover, run_full, workers


def main() -> int:
    """Run, show progress, write docs/evidence/statistics.md; 1 if a bar was not reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.statistical", description=main.__doc__)
    parser.add_argument("--only", default="", help="run those whose name contains this")
    parser.add_argument("--trials", type=int, help="trials of each, instead of its own number")
    parser.add_argument("--list", action="store_true", help="say what there is")
    arguments = parser.parse_args()
    known = discover()
    chosen = [experiment for experiment in known if arguments.only in experiment.name]
    if arguments.list or not chosen:
        for experiment in known:
            print(f"{experiment.full:6d} trials  {experiment.name}")  # noqa: T201
        return 0 if arguments.list else 2
    return _run(chosen, arguments.trials, [experiment.name for experiment in known])


def _run(chosen: list[Experiment], trials: int | None, known: list[str]) -> int:
    missed = 0
    numbers = [trials or experiment.full for experiment in chosen]
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with workers() as pool, Progress(*columns) as progress:
        task = progress.add_task("trials", total=sum(numbers))
        for experiment, n in zip(chosen, numbers, strict=True):
            progress.update(task, description=experiment.name)
            figures = run_full(experiment, pool, n, lambda done: progress.advance(task, done))
            # after each, so that an interrupted run keeps what it has found out
            write("statistics", "What has been measured: statistics", "make stats", {experiment.name: figures}, known)
            for figure in figures:
                missed += not figure.reached
                if not figure.reached:
                    progress.console.print(f"not reached: {experiment.name}: {figure.what}: {figure.value:.4g}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
