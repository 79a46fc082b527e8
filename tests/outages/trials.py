"""What is tried: each takes an empty directory and returns what came of all samples."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from tests.outages.bridge import Disorder
from tests.outages.delivery import Delivered, Say, deliver
from tests.outages.devices import Plan
from tests.outages.disks import Disks, small_disk
from tests.outages.kills import Kills
from tests.outages.plant import Plant

RATE_HZ: Final = 8000.0
SAMPLES_A_KILL: Final = 50_000


class Trial(Protocol):
    """Something that goes wrong while `n_samples` are sent."""

    def __call__(self, directory: Path, *, n_samples: int, seed: int, say: Say = ...) -> Delivered:
        """Run it in an empty directory."""


def _quiet(_: str) -> None:
    """Say nothing."""


def killed(directory: Path, *, n_samples: int, seed: int, say: Say = _quiet) -> Delivered:
    """Kill agent, broker, ingest and InfluxDB at random, once in `SAMPLES_A_KILL`, four times at least."""
    plan = Plan.of(n_samples, RATE_HZ, seed=seed)
    kills = Kills(max(4, n_samples // SAMPLES_A_KILL), say)
    with _plant(directory, plan) as plant:
        return deliver(plant, plan, kills, say)


def disordered(directory: Path, *, n_samples: int, seed: int, say: Say = _quiet) -> Delivered:
    """Repeat a fifth of the messages between edge and ingest, and have all of them arrive in any order."""
    plan = Plan.of(n_samples, RATE_HZ, seed=seed)
    with (
        _plant(directory, plan, bridged=True) as plant,
        Disorder(plant.north.port, _far(plant), seed=seed) as disorder,
    ):
        found = deliver(plant, plan, lambda *_: None, say)
    say(f"{disorder.n_passed} messages, {disorder.n_twice} of them twice")
    return found


def clocks_jumped(directory: Path, *, n_samples: int, seed: int, say: Say = _quiet) -> Delivered:
    """Have the devices' clocks jump an hour ahead, an hour behind, and back."""
    plan = Plan.of(n_samples, RATE_HZ, seed=seed, jumps_s=(3600.0, -3600.0, 0.0))
    with _plant(directory, plan) as plant:
        return deliver(plant, plan, lambda *_: None, say)


def disks_troubled(directory: Path, *, n_samples: int, seed: int, say: Say = _quiet) -> Delivered:
    """Fill the edge's disk, then have the agent start on a read-only one. Raises `disks.CannotMount`."""
    plan = Plan.of(n_samples, RATE_HZ, seed=seed)
    with _plant(directory, plan) as plant, small_disk(plant.spool_disk, n_samples) as disk:
        trouble = Disks(disk)
        found = deliver(plant, plan, trouble, say)
    assert trouble.full, "the disk never was full: send more samples"
    return found


TRIALS: Final[Mapping[str, Trial]] = {
    "kills": killed,
    "disorder": disordered,
    "clocks": clocks_jumped,
    "disks": disks_troubled,
}


@contextlib.contextmanager
def _plant(directory: Path, plan: Plan, *, bridged: bool = False) -> Iterator[Plant]:
    plant = Plant(directory, plan, bridged=bridged)
    try:
        yield plant
    finally:
        plant.close()


def _far(plant: Plant) -> int:
    assert plant.far is not None
    return plant.far.port
