"""What came of samples: every one of a plan against every row of InfluxDB."""

from __future__ import annotations

import csv
import io
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import Int64Array
from tests.outages.devices import Plan


@dataclass(frozen=True, slots=True)
class Count:
    """Samples made, kept as they were made, missing, made by nobody, and kept with another value."""

    made: int = 0
    kept: int = 0
    missing: int = 0
    extra: int = 0
    altered: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.made + other.made,
            self.kept + other.kept,
            self.missing + other.missing,
            self.extra + other.extra,
            self.altered + other.altered,
        )

    @property
    def perfect(self) -> bool:
        """Whether each sample is kept once and as it was, and nothing else."""
        return self.kept == self.made and not (self.missing or self.extra or self.altered)


def count(plan: Plan, url: str, database: str = "dyncal") -> Count:
    """Count all sensors of a plan in the InfluxDB at `url`."""
    total = Count()
    for sensor in plan.sensors:
        total += compare(plan.instants(), plan.values(sensor), *rows(url, database, sensor))
    return total


def compare(made_ns: Int64Array, made: FloatArray, kept_ns: Int64Array, kept: FloatArray) -> Count:
    """Compare samples made with samples kept; both in order of time, no instant twice."""
    common, at_made, at_kept = np.intersect1d(made_ns, kept_ns, assume_unique=True, return_indices=True)
    same = int(np.count_nonzero(made[at_made].view(np.int64) == kept[at_kept].view(np.int64)))
    return Count(made_ns.size, same, made_ns.size - common.size, kept_ns.size - common.size, common.size - same)


ANSWER_S: Final = 600.0
"""Longest wait for an answer [s]: to count 10^8 rows takes minutes where others work on the machine."""


def rows(url: str, database: str, sensor: SensorId) -> tuple[Int64Array, FloatArray]:
    """Return instants and raw values of a sensor as InfluxDB itself lists them."""
    _, *lines = _ask(url, database, f"SELECT raw FROM samples WHERE sensor='{sensor}'") or [[]]  # a header first
    t_ns, value = (np.array([line[k] for line in lines]) for k in (2, 3))  # after name and tags
    return t_ns.astype(np.int64), value.astype(np.float64)


def n_rows(plan: Plan, url: str, database: str = "dyncal") -> int:
    """Return how many rows of a plan's sensors there are by now."""
    names = "|".join(plan.sensors)
    lines = _ask(url, database, f"SELECT count(raw) FROM samples WHERE sensor =~ /^({names})$/")
    return int(lines[1][3]) if lines else 0


def _ask(url: str, database: str, text: str) -> list[list[str]]:
    parameters = urllib.parse.urlencode({"db": database, "q": text, "epoch": "ns"})
    request = urllib.request.Request(f"{url}/query?{parameters}", headers={"Accept": "application/csv"})
    with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
        return list(csv.reader(io.StringIO(answer.read().decode())))
