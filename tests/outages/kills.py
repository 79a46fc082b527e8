"""Programs and servers killed at random while devices send: how many samples are missing, extra or altered in the end.

Full: ``python -m tests.outages kills``; the tests run a short form (`tests/e2e/test_kills.py`).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from dyncal.runtime.clocks import SystemClock
from tests.outages.counting import Count, count
from tests.outages.devices import Devices, Plan
from tests.outages.plant import VICTIMS, Plant

DOWN_S: Final = (0.1, 3.0)
PATIENCE_S: Final = 45.0
LEAD_NS: Final = 200_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was killed how often, what came of the samples, and how long the last ones took after the last was sent."""

    kills: Counter[str]
    count: Count
    settled_s: float


def run(
    directory: Path,
    *,
    seed: int,
    n_samples: int,
    n_kills: int,
    rate_hz: float = 8000.0,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Send at least `n_samples` at `rate_hz` in all, kill `n_kills` times meanwhile, wait, and count.

    Victims come in turn, each as often as any other, in random order; instants and times down are random.
    """
    n_sensors, block = 8, 100
    dt_ns = round(1e9 * n_sensors / rate_hz)
    n_blocks = -(-n_samples // (n_sensors * block))
    plan = Plan(seed, SystemClock().now() + LEAD_NS, n_sensors, n_blocks, block, dt_ns)
    plant = Plant(directory, plan)
    try:
        plant.start()
        plan = Plan(seed, SystemClock().now() + LEAD_NS, n_sensors, n_blocks, block, dt_ns)
        with Devices(plan, plant.south.port) as devices:
            sending = threading.Thread(target=devices.send_all, name="devices")
            sending.start()
            kills = _kill(plant, plan, n_kills, say)
            sending.join()
        began = time.monotonic()
        found = _settled(plant, plan, say)
        plant.must_live()
        return Outcome(kills, found, time.monotonic() - began)
    finally:
        plant.close()


def _kill(plant: Plant, plan: Plan, n_kills: int, say: Callable[[str], None]) -> Counter[str]:
    rng = np.random.default_rng([plan.seed, 1])
    victims = [str(name) for _ in range(-(-n_kills // len(VICTIMS))) for name in rng.permutation(VICTIMS)][:n_kills]
    began, share = time.monotonic(), plan.seconds / max(n_kills, 1)
    for k, victim in enumerate(victims):
        # within its share of the time, so that the last one falls before the devices have ended
        time.sleep(max(0.0, began + (k + rng.uniform(0.0, 0.5)) * share - time.monotonic()))
        down_s = min(float(rng.uniform(*DOWN_S)), share / 2)
        say(f"{k + 1} of {n_kills}: {victim} killed, {down_s:.1f} s down")
        plant.kill(victim, down_s)
    return Counter(victims)


def _settled(plant: Plant, plan: Plan, say: Callable[[str], None]) -> Count:
    """Count until all is there, or nothing has come for a while."""
    last, since = Count(), time.monotonic()
    while time.monotonic() - since < PATIENCE_S:
        found = count(plan, plant.influx.url)
        if found.perfect:
            return found
        if found != last:
            last, since = found, time.monotonic()
            say(f"{found.kept} of {found.made} samples are stored")
        time.sleep(1.0)
    return last
