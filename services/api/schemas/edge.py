"""What edges that cannot hold an MQTT session say over HTTP: the same as others say on their topics."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs as Instant
from services.api.schemas.base import InstantNs, Shape, example

Name = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
SetId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@+-]*$")]
Statistic = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Words = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
MAX_ITEMS = 1000


class ResidualBody(Shape):
    """What an edge found of one set since it last said so."""

    model_config = example(sensor="TT-101", set_id="TT-101.5-9ae1c3d2", rms=0.012, limit=0.2, n=3)

    sensor: Name
    set_id: SetId
    rms: Statistic
    """Root mean square of the set's own statistic over `n` windows, in the sensor's unit."""
    limit: Statistic
    """Largest one that is normal, as the set says; 0: it says nothing."""
    n: int = Field(ge=0, le=1_000_000)
    """Windows that ended since; they do not overlap."""

    def to_domain(self) -> ResidualReport:
        """Return the report."""
        return ResidualReport(SensorId(self.sensor), self.set_id, self.rms, self.limit, self.n)


class ResidualsBody(Shape):
    """What an edge found of the sets that it runs."""

    model_config = example(
        items=[{"sensor": "TT-101", "set_id": "TT-101.5-9ae1c3d2", "rms": 0.012, "limit": 0.2, "n": 3}]
    )

    items: list[ResidualBody] = Field(min_length=1, max_length=MAX_ITEMS)


class ReportBody(Shape):
    """What an edge did with a set of one of its sensors."""

    model_config = example(
        set_id="TT-101.5-9ae1c3d2",
        sequence=5,
        outcome="applied",
        at_ns=1_769_860_800_000_000_000,
        running="TT-101.5-9ae1c3d2",
    )

    set_id: SetId
    sequence: int = Field(ge=0, le=2**63 - 1)
    outcome: Outcome
    at_ns: InstantNs
    reason: Words = ""
    """Why it was rejected, as `docs/lifecycle.md` lists it (``expired: …``), or gone back from."""
    running: str = Field("", max_length=255, pattern=r"^([A-Za-z0-9][A-Za-z0-9._:@+-]*)?$")
    """The set that runs now; empty if none does."""
    digest: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    """SHA-256 of the text of the set that was rejected, as it came."""

    def to_domain(self, sensor: SensorId, by: str = "") -> Report:
        """Return the report about a sensor's set; `by` is added to the reason."""
        at, why = Instant(self.at_ns), f"{self.reason}{by}".strip()
        return Report(sensor, self.set_id, self.sequence, self.outcome, at, why, self.running, self.digest)
