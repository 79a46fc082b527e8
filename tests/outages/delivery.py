"""From devices to InfluxDB, with whatever goes wrong meanwhile, and the count of what arrived."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dyncal.domain.accounts import Account
from tests.outages.counting import Count, count, n_rows
from tests.outages.devices import Devices, Plan
from tests.outages.plant import Plant

PATIENCE_S: Final = 45.0
EXTRA_S: Final = 2.0

Say = Callable[[str], None]
Trouble = Callable[[Plant, Plan], None]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of the samples, what ingest's ledger says of them, and how long the last ones took to arrive [s]."""

    count: Count
    ledger: Account
    settled_s: float

    @property
    def perfect(self) -> bool:
        """Whether each sample is kept once and as it was, nothing else is, and the ledger knows of no loss.

        It counts a sample twice that came under two numbers: sent without the disk by an agent that died then.
        """
        ledger, n = self.ledger, self.count.made
        return self.count.perfect and ledger.adds_up and ledger.samples >= n and not (ledger.lost or ledger.quarantined)


def deliver(plant: Plant, plan: Plan, trouble: Trouble, say: Say = lambda _: None) -> Delivered:
    """Start a plant, send all of a plan (from now on, whatever its t0), make trouble meanwhile, wait, and count."""
    plant.start()
    plan = plan.from_now()
    with Devices(plan, plant.south.port):
        trouble(plant, plan)
    began = time.monotonic()
    _settle(plant, plan, say)
    settled_s = time.monotonic() - began
    time.sleep(EXTRA_S)  # for what nobody made
    plant.must_live()
    return Delivered(count(plan, plant.influx.url), plant.ledger(), settled_s)


def _settle(plant: Plant, plan: Plan, say: Say) -> None:
    """Return when as much is stored as was made, or nothing has come for a while."""
    n, since = -1, time.monotonic()
    while n < plan.n_samples and time.monotonic() - since < PATIENCE_S:
        found = n_rows(plan, plant.influx.url)
        if found != n:
            n, since = found, time.monotonic()
            say(f"{n} of {plan.n_samples} samples are stored")
        time.sleep(0.5)
