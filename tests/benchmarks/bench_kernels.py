"""How long a program takes to make all kernels ready from numba's cache: ``python -m tests.benchmarks.bench_kernels``.

Each trial is a process of its own, which imports every module that defines kernels and warms all of them up.
"""

from __future__ import annotations

import importlib
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from dyncal.cli.kernels import compile_ahead, modules
from dyncal.kernels import WarmUp, warm_up
from tests.evidence import Figure, table

TRIALS = 5


def started() -> WarmUp:
    """Return what the warm-up of all kernels did in this process."""
    for name in modules():
        importlib.import_module(name)
    return warm_up()


def sections() -> dict[str, list[Figure]]:
    """Measure all."""
    compile_ahead()  # a cache that is full
    found = []
    for _ in range(TRIALS):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            found.append(process.submit(started).result())
    n, took = found[0].n_kernels, [one.seconds for one in found]
    return {
        "Kernels: a warm start": [
            Figure("kernels", n, 1, np.inf, TRIALS),
            Figure("compiled although kept, in all trials", sum(one.n_compiled for one in found), 0, 0, TRIALS),
            Figure("time to make all ready, median", float(np.median(took)), -np.inf, 2, TRIALS, unit="s"),
            Figure("time to make all ready, longest", max(took), -np.inf, np.inf, TRIALS, unit="s"),
        ]
    }


def main() -> None:
    """Print the table."""
    for section, figures in sections().items():
        sys.stdout.write("\n".join([section, *table(figures)]) + "\n")


if __name__ == "__main__":
    main()
