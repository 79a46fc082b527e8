"""How long it takes to check an audit trail of 100 000 entries, and whether any one byte changed is found.

Run: ``python -m tests.benchmarks.bench_audit``
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from tests import trails
from tests.evidence import Figure, table
from tests.trails import Trail

N: Final = 100_000
TIMES: Final = 5
TRIALS: Final = 60
BAR_S: Final = 2.0


def sections(n: int = N, trials: int = TRIALS) -> dict[str, list[Figure]]:
    """Return the figures; a change of bytes that no value of the trail is made of counts as found."""
    with tempfile.TemporaryDirectory(prefix="dyncal-audit-") as folder:
        trail = Trail(Path(folder) / "trail", n)
        figures = [
            Figure(
                f"{n} entries of {what} checked, slowest of {TIMES}", _slowest(trail, file), 0.0, BAR_S, TIMES, unit="s"
            )
            for what, file in (("a database (SQLite)", trail.file), ("an exported file", trail.export))
        ]
        for what, file, change in (
            ("one byte of any value of the database", trail.file, trails.change_value),
            ("one byte anywhere in the database", trail.file, trails.change_byte),
            ("one byte anywhere in the exported file", trail.export, trails.change_byte),
        ):
            share = _found(trail, file, change, trials)
            figures.append(Figure(f"{what} changed: found, or no value changed", share, 1.0, 1.0, trials, unit="%"))
    return {"Audit trail": figures}


def _slowest(trail: Trail, file: Path) -> float:
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        assert not trail.examine(file).faults
        times.append(time.perf_counter() - began)
    return max(times)


def _found(trail: Trail, file: Path, change: Callable[[Path, np.random.Generator], str], trials: int) -> float:
    copy = file.with_name(f"copy{file.suffix}")
    before = trails.content(file) if file == trail.file else None
    n_found = 0
    for seed in range(trials):
        shutil.copy(file, copy)
        change(copy, np.random.default_rng(seed))
        n_found += bool(trail.examine(copy).faults) or (before is not None and trails.content(copy) == before)
    return n_found / trials


if __name__ == "__main__":
    for title, found in sections().items():
        sys.stdout.write(f"{title}\n" + "\n".join(table(found)) + "\n")
