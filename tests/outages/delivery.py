"""From devices to InfluxDB, with whatever goes wrong meanwhile, and the count of what arrived."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.outages.counting import Count, count
from tests.outages.devices import Devices, Plan
from tests.outages.plant import Plant

PATIENCE_S: Final = 45.0

Say = Callable[[str], None]
Trouble = Callable[[Plant, Plan], None]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of the samples, and how long the last ones took after the last was sent [s]."""

    count: Count
    settled_s: float


def deliver(plant: Plant, plan: Plan, trouble: Trouble, say: Say = lambda _: None) -> Delivered:
    """Start a plant, send all of a plan (from now on, whatever its t0), make trouble meanwhile, wait, and count."""
    plant.start()
    plan = plan.from_now()
    with Devices(plan, plant.south.port) as devices:
        sending = threading.Thread(target=devices.send_all, name="devices")
        sending.start()
        trouble(plant, plan)
        sending.join()
    began = time.monotonic()
    found = _settled(plant, plan, say)
    plant.must_live()
    return Delivered(found, time.monotonic() - began)


def _settled(plant: Plant, plan: Plan, say: Say) -> Count:
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
