"""The coefficients of docs/capacity.md, as they were measured last."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "evidence" / "capacity.json"


class Line(msgspec.Struct, frozen=True):
    """A cost of a block of n samples: ``block + n sample``."""

    block: float
    sample: float

    def a_second(self, rate_hz: float, n: float) -> float:
        """Return the cost of a second of one stream of a rate that comes in blocks of n."""
        return rate_hz * (self.block / n + self.sample)


class Coefficients(msgspec.Struct, frozen=True):
    """What was measured, at a revision, on a processor.

    Attributes
    ----------
    edge, ingest_embedded, ingest_influx, calibrate : Line
        Processor time [µs].
    wire, spool : Line
        Bytes of a block on the way to the broker, and in the spool, with raw and corrected values and u.
    embedded_bytes, influx_bytes : float
        On the disk, a sample.
    aggregate_bytes : float
        On the disk, an aggregate (embedded store).
    programs_mb, sensor_mb : float
        Memory of edge, ingest and calibrate in one process, and of each sensor with its reference [MB].
    """

    made_at: str
    processor: str
    edge: Line
    ingest_embedded: Line
    ingest_influx: Line
    calibrate: Line
    wire: Line
    spool: Line
    embedded_bytes: float
    influx_bytes: float
    aggregate_bytes: float
    programs_mb: float
    sensor_mb: float


def read() -> Coefficients:
    """Return those that are kept."""
    return msgspec.json.decode(FILE.read_bytes(), type=Coefficients)


def keep(found: dict[str, Any]) -> None:
    """Keep those that were measured anew, beside the others."""
    before = msgspec.json.decode(FILE.read_bytes()) if FILE.exists() else {}
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(before | found), indent=1) + b"\n")
