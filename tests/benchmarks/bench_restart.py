"""How long a program takes from its start, after a death, to the first new sample in InfluxDB.

Run: ``python -m tests.benchmarks.bench_restart``
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from dyncal.runtime.clocks import SystemClock
from tests.evidence import Figure, table
from tests.outages.devices import Devices, Plan
from tests.outages.plant import Plant

PROGRAMS: Final = ("edge", "ingest")
TIMES: Final = 5
BAR_S: Final = 3.0
_RATE_HZ: Final = 2000.0
_LONGEST_S: Final = 60.0


def sections() -> dict[str, list[Figure]]:
    """Return the figures: the shortest and the median of several restarts of each program, kernels being cached."""
    plan = Plan.of(round(_RATE_HZ * _LONGEST_S * TIMES * len(PROGRAMS)), _RATE_HZ, seed=1)
    figures = []
    with tempfile.TemporaryDirectory(prefix="dyncal-restart-") as folder:
        plant = Plant(Path(folder), plan)
        try:
            plant.start()
            plan = plan.from_now()
            with Devices(plan, plant.south.port) as devices:
                _first_after(plant, plan, SystemClock().now())
                for name in PROGRAMS:
                    times = [_restart(plant, plan, name) for _ in range(TIMES)]
                    figures += [
                        Figure(
                            f"{name}: from start to the first new sample, best", min(times), 0.0, BAR_S, TIMES, unit="s"
                        ),
                        Figure("the same, median", float(np.median(times)), -np.inf, np.inf, TIMES, unit="s"),
                    ]
                devices.stop()
        finally:
            plant.close()
    return {"Restart of a program that was killed": figures}


def _restart(plant: Plant, plan: Plan, name: str) -> float:
    plant.programs[name].kill()
    time.sleep(1.0)
    began = SystemClock().now()
    plant.programs[name].start()
    return _first_after(plant, plan, began)


def _first_after(plant: Plant, plan: Plan, began_ns: int) -> float:
    """Return how long after an instant a sample that is newer than it is stored [s]."""
    deadline = began_ns + round(_LONGEST_S * 1e9)
    while (now := SystemClock().now()) < deadline:
        if plant.newest("raw", plan.sensors[0]) > began_ns:
            return (now - began_ns) / 1e9
        time.sleep(0.01)
    raise AssertionError(f"no sample in {_LONGEST_S:g} s")


def main() -> None:
    """Print the table."""
    for section, figures in sections().items():
        sys.stdout.write("\n".join([section, *table(figures)]) + "\n")


if __name__ == "__main__":
    main()
