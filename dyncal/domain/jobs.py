"""A calibration on demand, as it stands."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from dyncal.domain.calibration import Calibration
from dyncal.domain.sensors import Pairing, Sensor
from dyncal.domain.time import InstantNs


class JobState(enum.StrEnum):
    """Where a job stands; the last three are final."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """True if nothing more comes."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class Stage(enum.StrEnum):
    """What a running job is at."""

    WAITING = "waiting"
    READING = "reading"
    STARTING = "starting"
    FITTING = "fitting"
    FINISHED = "finished"


SHARES = {Stage.WAITING: 0.0, Stage.READING: 0.05, Stage.STARTING: 0.3, Stage.FITTING: 0.5, Stage.FINISHED: 1.0}
"""How much is done when a stage begins; a fit cannot say how long it will take."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One job at one moment; each change makes another with a higher `revision`.

    Attributes
    ----------
    digest : str
        Of what was asked, to tell whether a key is used for another request.
    n_begun : int
        How often it was begun: a service that ends while it runs begins it once more, and then no more.
    detail : str
        Why it failed, for people.
    result : Calibration, optional
        What the fit gave, whatever its verdict; not among the registry's calibrations: no coefficient set comes of it.
    """

    id: str
    digest: str
    actor: str
    reason: str
    sensor: Sensor
    pairing: Pairing
    from_ns: InstantNs
    to_ns: InstantNs
    asked_ns: InstantNs
    state: JobState = JobState.WAITING
    stage: Stage = Stage.WAITING
    revision: int = 1
    n_begun: int = 0
    started_ns: InstantNs | None = None
    ended_ns: InstantNs | None = None
    n_samples: int | None = None
    detail: str = ""
    result: Calibration | None = None
