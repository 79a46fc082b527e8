"""The registry's role about laboratory calibrations."""

from __future__ import annotations

from typing import Protocol

from dyncal.domain.laboratory import LaboratoryCalibration
from dyncal.domain.sensors import SensorId
from dyncal.ports.access import Reach
from dyncal.ports.records import Act


class LaboratoryRegistry(Protocol):
    """Laboratory calibrations, each with the file it came in; written by the API service, never changed."""

    def add_laboratory(self, found: LaboratoryCalibration, source: bytes, act: Act) -> bool:
        """Add one; return whether it is new: one of an id that is there stays as it is, and is not audited."""
        ...

    def laboratory(self, id_: str) -> LaboratoryCalibration:
        """Return one. Raises `NotFound`."""
        ...

    def laboratory_source(self, id_: str) -> bytes:
        """Return the file it came in. Raises `NotFound`."""
        ...

    def laboratories(
        self,
        sensor: SensorId | None = None,
        *,
        before: tuple[int, str] | None = None,
        limit: int = 100,
        reach: Reach | None = None,
    ) -> list[LaboratoryCalibration]:
        """Return those with (calibrated_ns, id) < before, newest first, equal ones by falling id; within `reach`."""
        ...
