"""The registry's role about calibrations on demand."""

from __future__ import annotations

from typing import Protocol

from dyncal.domain.jobs import Job
from dyncal.ports.records import Act


class JobRegistry(Protocol):
    """Jobs, so that they outlive the service that works them off; written by the API service."""

    def add_job(self, job: Job, act: Act, *, most: int) -> None:
        """Add one; the oldest that have ended are forgotten beyond `most`. Raises `Conflict` if its id is taken."""
        ...

    def keep_job(self, job: Job, act: Act | None = None) -> None:
        """Replace one by what it has become, audited as cancelled where somebody's `act` did it.

        One of the same or a higher revision stays as it is. Raises `NotFound`.
        """
        ...

    def jobs(self) -> list[Job]:
        """Return all that are kept, oldest first."""
        ...
