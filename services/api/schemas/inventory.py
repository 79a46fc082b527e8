"""Sensors and pairings in bulk."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from dyncal.domain.sensors import EdgeId, Pairing, Sensor, SensorId, SiteId
from dyncal.domain.time import DurationNs
from services.api.births import MAX_DT_NS, MAX_TEXT
from services.api.schemas.base import Shape, example
from services.api.schemas.sensors import NAME, PairingBody

MAX_ROWS = 100_000


class InventoryRow(Shape):
    """A sensor, and its pairing where it has one."""

    model_config = example(
        id="TT-101",
        site="plant",
        edge="edge-1",
        unit="Cel",
        dt_ns=100_000_000,
        label="Reactor inlet",
        pairing={"reference": "TT-101-REF", "model": "first_order", "u_reference": 0.05},
    )

    id: str = Field(pattern=NAME)
    site: str = Field(pattern=NAME)
    edge: str = Field(pattern=NAME)
    unit: str = Field(max_length=MAX_TEXT)
    """Unit of the indication, UCUM or D-SI; what the edge declares replaces it."""
    dt_ns: int = Field(gt=0, le=MAX_DT_NS)
    """Nominal sampling interval [ns]."""
    label: str = Field("", max_length=MAX_TEXT)
    pairing: PairingBody | None = None
    """null leaves a pairing that is there as it is."""

    @classmethod
    def of(cls, sensor: Sensor, pairing: Pairing | None) -> Self:
        """Return the row of a sensor."""
        return cls(
            id=sensor.id,
            site=sensor.site,
            edge=sensor.edge,
            unit=sensor.unit,
            dt_ns=sensor.dt_ns,
            label=sensor.label,
            pairing=None if pairing is None else PairingBody.of(pairing),
        )

    def to_domain(self) -> tuple[Sensor, Pairing | None]:
        """Return sensor and pairing. Raises `InvalidData`."""
        id_ = SensorId(self.id)
        sensor = Sensor(id_, SiteId(self.site), EdgeId(self.edge), self.unit, DurationNs(self.dt_ns), self.label)
        return sensor, None if self.pairing is None else self.pairing.to_domain(id_)


class InventoryBody(Shape):
    """All sensors with their pairings, in order of id."""

    model_config = example(
        items=[
            {"id": "TT-101-REF", "site": "plant", "edge": "edge-1", "unit": "Cel", "dt_ns": 100_000_000},
            {
                "id": "TT-101",
                "site": "plant",
                "edge": "edge-1",
                "unit": "Cel",
                "dt_ns": 100_000_000,
                "label": "Reactor inlet",
                "pairing": {"reference": "TT-101-REF", "model": "first_order", "u_reference": 0.05},
            },
        ]
    )

    items: list[InventoryRow] = Field(max_length=MAX_ROWS)


class InventoryChange(Shape):
    """What an import makes of one row that is not as it was."""

    line: int
    """Line of the CSV file, or number of the item, from 1."""
    id: str
    sensor: Literal["new", "changed", "same"]
    pairing: Literal["new", "changed", "same"]


class InventoryReport(Shape):
    """What an import did, or with `dry_run` would do."""

    model_config = example(
        dry_run=True,
        n_rows=2,
        n_changed=1,
        changes=[{"line": 3, "id": "TT-101", "sensor": "same", "pairing": "new"}],
    )

    dry_run: bool
    n_rows: int
    n_changed: int
    """Rows of which sensor or pairing is new or changed."""
    changes: list[InventoryChange]
    """Those rows; the first 1000 of them."""
