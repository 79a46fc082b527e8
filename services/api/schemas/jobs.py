"""Calibrations on demand."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from dyncal.domain.jobs import SHARES, Job, JobState, Stage
from services.api.schemas.base import InstantNs, Shape, example
from services.api.schemas.calibrations import CalibrationOut
from services.api.schemas.sensors import PairingBody

_AT_NS = 1_769_860_800_000_000_000


class JobBody(Shape):
    """An interval of the store, and how to fit to it."""

    model_config = example(from_ns=_AT_NS, to_ns=_AT_NS + 600_000_000_000, reason="after cleaning")

    from_ns: InstantNs
    to_ns: InstantNs
    """Exclusive."""
    pairing: PairingBody | None = None
    """Reference and model; null for those of the sensor's pairing."""
    reason: str = Field("", max_length=500)
    """Why, for those who see the job."""


class JobOut(Shape):
    """A calibration on demand, as it stands."""

    model_config = example(
        id="j-3f2a",
        sensor="TT-101",
        from_ns=_AT_NS,
        to_ns=_AT_NS + 600_000_000_000,
        pairing={"reference": "TT-101-REF", "model": "first_order"},
        actor="user:anna",
        reason="after cleaning",
        state="running",
        stage="fitting",
        share=0.5,
        revision=4,
        asked_at_ns=_AT_NS,
        started_at_ns=_AT_NS,
        ended_at_ns=None,
        n_samples=6000,
        detail="",
        result=None,
    )

    id: str
    sensor: str
    from_ns: InstantNs
    to_ns: InstantNs
    pairing: PairingBody
    actor: str
    reason: str
    state: JobState
    stage: Stage
    share: float
    """How much of the stages is done, 0 to 1; a fit cannot say how long it will take."""
    revision: int
    """Grows with every change."""
    asked_at_ns: InstantNs
    started_at_ns: InstantNs | None
    ended_at_ns: InstantNs | None
    n_samples: int | None
    """Samples of the sensor in the interval; null before they were read."""
    detail: str
    """Why it failed."""
    result: CalibrationOut | None
    """What the fit gave, whatever its verdict. No coefficient set comes of it."""

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return the shape of a job."""
        return cls(
            id=job.id,
            sensor=job.sensor.id,
            from_ns=job.from_ns,
            to_ns=job.to_ns,
            pairing=PairingBody.of(job.pairing),
            actor=job.actor,
            reason=job.reason,
            state=job.state,
            stage=job.stage,
            share=SHARES[job.stage],
            revision=job.revision,
            asked_at_ns=job.asked_ns,
            started_at_ns=job.started_ns,
            ended_at_ns=job.ended_ns,
            n_samples=job.n_samples,
            detail=job.detail,
            result=None if job.result is None else CalibrationOut.of(job.result),
        )


class JobList(Shape):
    """Jobs that are remembered, newest first."""

    items: list[JobOut]
