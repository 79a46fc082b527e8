"""How long a set takes from its publication to the edge's word that it runs, and what a bad set in a rollout touches.

500 simulated edges run the real core over a real broker (mosquitto), calibrate is a program of its own, on SQLite.
Run: ``python -m tests.benchmarks.bench_rollout``
"""

from __future__ import annotations

import asyncio
import math
import sys
import tempfile
from collections.abc import Callable, Collection, Coroutine
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from dyncal.domain.orders import OrderKind
from tests.evidence import Figure, table
from tests.rollouts.trial import PLAN, Trial, bad_set
from tests.servers_mosquitto import Mosquitto

N: Final = 500
T = TypeVar("T")
ALL_AT_ONCE: Final[dict[str, object]] = {
    "stages": [{"share": 1.0, "soak_s": 0.0}],
    "needs_residual": False,
    "answer_s": 60.0,
}


def sections(n: int = N) -> dict[str, list[Figure]]:
    """Return the figures."""
    took, whole_s = _with_trial(n, (), _published)
    p99 = float(np.quantile(took, 0.99))
    outcome = _with_trial(n, range(n), lambda trial: bad_set(trial, PLAN, timeout_s=300.0))
    assert outcome.state == "aborted", outcome
    return {
        "Rollouts by MQTT": [
            Figure(f"published to applied and reported, {n} edges, p99", p99, 0, 2.0, n, unit="s"),
            Figure("the same, median", float(np.median(took)), 0, 2.0, n, unit="s"),
            Figure("the first published to the last applied", whole_s, 0, math.inf, 1, unit="s"),
            Figure("a bad set: first breach at an edge to abort", outcome.abort_s, 0, 30.0, 1, unit="s"),
            Figure("the same, until all that were touched have gone back", outcome.over_s, 0, 30.0, 1, unit="s"),
            Figure("share of the fleet touched by it", outcome.touched / outcome.n, 0, 0.05, n, unit="%"),
            Figure("edges that still run it in the end", float(outcome.still_bad), 0, 0, n),
        ]
    }


async def _published(trial: Trial) -> tuple[npt.NDArray[np.float64], float]:
    """Return how long each set took [s], and how long all did together [s]."""
    trial.start()
    async with trial.alive():
        trial.order(OrderKind.ROLLOUT_START, plan=ALL_AT_ONCE)
        await trial.until_over(240.0)
    members = trial.members
    out = np.array([member.published_ns for member in members], np.int64)
    back = np.array([member.applied_ns for member in members], np.int64)
    return (back - out) / 1e9, float(back.max() - out.min()) / 1e9


def _with_trial(n: int, bad: Collection[int], run: Callable[[Trial], Coroutine[object, object, T]]) -> T:
    with tempfile.TemporaryDirectory(prefix="dyncal-rollout-") as folder:
        broker = Mosquitto(Path(folder))
        broker.start()
        trial = Trial(Path(folder), broker, n, bad)
        try:
            return asyncio.run(run(trial))
        finally:
            trial.close()
            broker.stop()


if __name__ == "__main__":
    figures = sections(int(sys.argv[1]) if len(sys.argv) > 1 else N)
    for title, group in figures.items():
        sys.stdout.write(f"{title}\n" + "\n".join(table(group)) + "\n")
