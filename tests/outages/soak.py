"""Memory of agent and ingest under a steady load, and whether it grows: ``python -m tests.outages.soak``."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from tests.outages.counting import n_rows
from tests.outages.devices import Devices, Plan
from tests.outages.plant import Plant

PROGRAMS: Final = ("edge", "ingest")
WARM_UP: Final = 0.2  # of the time
GROWTH: Final = 1.02
_LAG_S: Final = 300.0
_PAGE: Final = os.sysconf("SC_PAGESIZE")


class Soaked(NamedTuple):
    """Samples sent and stored, and of each program its resident memory after the warm-up and at the end [bytes]."""

    sent: int
    stored: int
    memory: dict[str, tuple[float, float]]

    @property
    def growth(self) -> float:
        """Memory at the end over that after the warm-up, of the program where it is largest."""
        return max(late / early for early, late in self.memory.values())


def soak(directory: Path, *, rate_hz: float, seconds: float, seed: int = 1) -> Soaked:
    """Send at `rate_hz` for so long; an early and a late figure are medians over a quarter of the time each."""
    plan = Plan.of(round(rate_hz * seconds), rate_hz, seed=seed)
    plant = Plant(directory, plan)
    seen: dict[str, list[int]] = {name: [] for name in PROGRAMS}
    try:
        plant.start()
        plan = plan.from_now()
        with Devices(plan, plant.south.port) as devices:
            while devices.busy:
                time.sleep(max(seconds / 400, 0.1))
                for name, figures in seen.items():
                    figures.append(_resident(plant, name))
        deadline = time.monotonic() + _LAG_S
        while (stored := n_rows(plan, plant.influx.url)) < plan.n_samples and time.monotonic() < deadline:
            time.sleep(1.0)
        plant.must_live()
    finally:
        plant.close()
    return Soaked(plan.n_samples, stored, {name: _early_and_late(figures) for name, figures in seen.items()})


def _resident(plant: Plant, name: str) -> int:
    popen = plant.programs[name].popen
    assert popen is not None
    return int(Path(f"/proc/{popen.pid}/statm").read_text().split()[1]) * _PAGE


def _early_and_late(figures: list[int]) -> tuple[float, float]:
    warm = figures[int(WARM_UP * len(figures)) :]
    quarter = max(len(warm) // 4, 1)
    return statistics.median(warm[:quarter]), statistics.median(warm[-quarter:])


def main() -> int:
    """Soak as asked for, and print what it took; 1 if something is missing or memory grows."""
    parser = argparse.ArgumentParser(prog="python -m tests.outages.soak", description=__doc__)
    parser.add_argument("--rate", type=float, default=50_000.0, help="samples a second, of all sensors")
    parser.add_argument("--seconds", type=float, default=1800.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dyncal-soak-") as folder:
        found = soak(Path(folder), rate_hz=options.rate, seconds=options.seconds)
    for name, (early, late) in found.memory.items():
        sys.stdout.write(f"{name}: {early / 2**20:.1f} MiB after the warm-up, {late / 2**20:.1f} MiB at the end\n")
    sys.stdout.write(f"{found.stored} of {found.sent} samples are stored; growth {found.growth:.4f}\n")
    return 0 if found.stored == found.sent and found.growth <= GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
