"""The registry's role about holds."""

from __future__ import annotations

from typing import Protocol

from dyncal.domain.holds import Hold
from dyncal.ports.records import Act


class HoldRegistry(Protocol):
    """Samples that must stay; written by the API service, read by whoever would remove samples."""

    def put_hold(self, hold: Hold, act: Act, *, most: int) -> None:
        """Add one. Raises `Conflict` if its id is taken, or there are `most` already."""
        ...

    def release_hold(self, hold_id: str, act: Act) -> Hold:
        """End one, and return what it was; what it said stays in the audit trail. Raises `NotFound`."""
        ...

    def holds(self) -> list[Hold]:
        """Return all that are in force, oldest first."""
        ...
