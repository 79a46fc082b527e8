"""Statistical experiments: many independent trials, and the figures that they add up to.

An experiment is a module-level function of a seed (so that worker processes can run it) and a judge of all results.
The plain test command runs each with few trials and fails where a bar is missed for sure; `make stats` runs them in
full and writes every figure with its bar.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from dyncal.domain.samples import FloatArray
from tests.evidence import Figure
from tests.statistical import experiments


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment.

    Attributes
    ----------
    name : str
        Unique; "topic: what" sorts it in the table.
    trial : callable
        Seed → float64 vector, of one length for all seeds. A `functools.partial` of a module-level function will do.
        NaN marks what a trial refused to say.
    judge : callable
        (n_trials, length) → the figures.
    full, short : int
        Trials in full and in the plain test command.
    """

    name: str
    trial: Callable[[int], FloatArray]
    judge: Callable[[FloatArray], Sequence[Figure]]
    full: int
    short: int


def discover() -> list[Experiment]:
    """Return all experiments of `tests.statistical.experiments`, by name.

    Raises
    ------
    ValueError
        If two have the same name.
    """
    found: list[Experiment] = []
    for module in pkgutil.iter_modules(experiments.__path__, f"{experiments.__name__}."):
        found += getattr(importlib.import_module(module.name), "EXPERIMENTS", ())
    names = [experiment.name for experiment in found]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise ValueError(f"experiments share a name: {', '.join(sorted(doubled))}")
    return sorted(found, key=lambda experiment: experiment.name)


def run_short(experiment: Experiment) -> Sequence[Figure]:
    """Run the short form in this process."""
    return experiment.judge(np.array([experiment.trial(seed) for seed in range(experiment.short)]))


def run_full(
    experiment: Experiment, pool: ProcessPoolExecutor, trials: int, advance: Callable[[int], None]
) -> Sequence[Figure]:
    """Run `trials` trials in worker processes; `advance(n)` hears of each n that are done."""
    size = max(1, min(25, trials // (4 * (os.cpu_count() or 1))))
    parts: list[FloatArray] = []
    for part in pool.map(_several, *zip(*_chunks(experiment, trials, size), strict=True)):
        parts.append(part)
        advance(len(part))
    return experiment.judge(np.concatenate(parts))


def workers() -> ProcessPoolExecutor:
    """Return a process for each core, each with single-threaded linear algebra."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    return ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"))


def _chunks(experiment: Experiment, trials: int, size: int) -> Iterator[tuple[Callable[[int], FloatArray], range]]:
    for first in range(0, trials, size):
        yield experiment.trial, range(first, min(first + size, trials))


def _several(trial: Callable[[int], FloatArray], seeds: range) -> FloatArray:
    return np.array([trial(seed) for seed in seeds])
