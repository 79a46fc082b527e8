"""What a good system concludes from what a scenario does to a sensor."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from dyncal.domain.health import Cause
from dyncal.domain.samples import GapCause
from dyncal.runtime.settings import Section

Conclusion = Literal[
    "healthy", "drift", "contradiction", "process", "reference", "reference_lost", "cannot_tell", "refused", "any"
]
"""In short; see `ExpectSpec.conclusion`."""


class ExpectSpec(Section):
    """What a good system concludes."""

    conclusion: Conclusion = "any"
    """`healthy`: calibrated, no drift alarm, no correction taken back. `drift`: a drift alarm, and none before the
    drift. `contradiction`: a drift alarm or "cannot tell", without naming a parameter. `process`: the sensor is not
    blamed. `reference`: the sensor is not blamed, and it is said that something has changed. `reference_lost`: the
    reference goes away for a while. `cannot_tell`: no set, no alarm, and it is said why. `refused`: no set at all.
    `any`: whatever."""

    parameters: list[str] = Field(default_factory=list, max_length=10)
    """For a drift: the parameter that is named must be one of these; without them, one of those that drift."""

    within_s: float | None = Field(None, gt=0, le=1e7)
    """For a drift, a lost reference and the like: how long after it began it must be said [s]."""

    causes: list[Cause] = Field(default_factory=list)
    """What may be said in the end to have changed; without them, anything."""

    gaps: list[GapCause] = Field(default_factory=list)
    """Gaps that must be on record, by their causes."""

    min_sets: int | None = Field(None, ge=0)
    """Least number of coefficient sets; by default 1 where the conclusion needs a calibration."""

    min_gain: float = Field(5.0, ge=0)
    """Least rms error of raw over corrected indications; 0 where nothing is asked."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.parameters and self.conclusion != "drift":
            raise ValueError(f"parameters are for the conclusion drift, not for {self.conclusion}")
        return self

    @property
    def n_sets(self) -> int:
        """Least number of coefficient sets."""
        if self.min_sets is not None:
            return self.min_sets
        return 0 if self.conclusion in ("cannot_tell", "refused", "any") else 1
