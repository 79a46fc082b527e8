"""The edge's disk full, then read-only, while devices send: what cannot be spooled stays with the devices' broker."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.outages.devices import Plan
from tests.outages.plant import Plant

SHARE: Final = 0.2
_BYTES: Final = 9  # of a sample in the spool, at least


class CannotMount(Exception):
    """A file system of a given size can be had by the superuser only."""


@contextlib.contextmanager
def small_disk(place: Path, n_samples: int) -> Iterator[Path]:
    """Make a file system that holds about `SHARE` of so many samples at `place` while inside. Raises `CannotMount`."""
    size_kib = int(n_samples * SHARE * _BYTES / 1024)
    place.mkdir(parents=True, exist_ok=True)
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(place))
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotMount(str(place)) from error
    try:
        yield place
    finally:
        _run("umount", "-l", str(place))


class Disks:
    """InfluxDB is away until the disk is full, and comes back; then the agent starts anew on a read-only disk.

    Attributes
    ----------
    full : bool
        Whether the agent found the disk full in fact.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self.full = False

    def __call__(self, plant: Plant, plan: Plan) -> None:
        """Trouble the disk while the devices send."""
        phase_s = plan.seconds / 6
        time.sleep(phase_s)
        plant.influx.stop(kill=True)
        deadline = time.monotonic() + 2 * phase_s
        while time.monotonic() < deadline and not self.full:
            time.sleep(0.1)
            self.full = "No space left" in plant.programs["edge"].said()
        time.sleep(phase_s / 2)
        plant.influx.start()
        time.sleep(phase_s / 2)
        plant.programs["edge"].kill()  # the disk of a file that is being written cannot be made read-only
        _run("mount", "-o", "remount,ro", str(self._place))
        plant.programs["edge"].start()
        deadline = time.monotonic() + 30
        while "Read-only" not in plant.programs["edge"].said() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(phase_s / 2)
        _run("mount", "-o", "remount,rw", str(self._place))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
