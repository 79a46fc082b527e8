"""Whether a verified set may be published by the service itself, or a person has to say so. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dyncal.domain.coefficients import CoefficientSet, Parameters
from dyncal.domain.lifecycle import ReleaseMode, ReleasePolicy
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import InstantNs
from services.calibrate import response
from services.calibrate.trial import Trial


@dataclass(frozen=True, slots=True, eq=False)
class InForce:
    """A set that the edge runs, or should; with what a new fit is compared to.

    `corner_rad_s` is the measurand's bandwidth at the time, NaN where that is not known any more.
    """

    coefficients: CoefficientSet
    cov_statistical: FloatArray
    corner_rad_s: float


@dataclass(slots=True, eq=False)
class Waiting:
    """A verified set that is not published yet.

    Attributes
    ----------
    made : InForce
    since_ns : int
    why : str
        Why it was made.
    needs : str
        Why a person has to release it; '' where nobody needs to.
    trial : Trial, optional
        While it runs at the edge beside the one in force.
    checked_ns : int, optional
        Up to which instant of the record data were looked at for what contradicts it.
    n_against : int
        How many looks in a row did.
    """

    made: InForce
    since_ns: InstantNs
    why: str
    needs: str
    trial: Trial | None = None
    checked_ns: int | None = None
    n_against: int = 0

    @property
    def id(self) -> str:
        """The set."""
        return self.made.coefficients.id


def person_needed(
    policy: ReleasePolicy, made: CoefficientSet, in_force: CoefficientSet | None, anchor: CoefficientSet | None
) -> str:
    """Return why a person has to release a set; '' where the service may.

    Parameters
    ----------
    made : CoefficientSet
        The verified set.
    in_force : CoefficientSet, optional
        What it would replace: where a person went back to that, nothing replaces it without a person.
    anchor : CoefficientSet, optional
        What a person released last, and so what bounds are relative to: many small steps are one large one.
    """
    if in_force is not None and in_force.restores is not None:
        return f"somebody went back to {in_force.restores}: what follows has to be approved"
    if policy.mode is ReleaseMode.APPROVAL:
        return "the policy asks for approval"
    if policy.mode is ReleaseMode.WITHIN_BOUNDS:
        if anchor is None:
            return "nothing was released before: there is nothing to be within bounds of"
        return _beyond(policy, made.parameters, anchor.parameters, made.correction.band_hz)
    return ""


def _beyond(policy: ReleasePolicy, new: Parameters, old: Parameters, band_hz: float) -> str:
    """Return which bound a change exceeds; '' if none."""
    if (new.model, new.names) != (old.model, old.names):
        return "the model is another one than that of the set released last"
    said = []
    for name, bound in policy.max_parameter_change.items():
        if name not in new.names:
            return f"there is a bound on {name}, which this model does not have"
        k = new.names.index(name)
        before = float(old.values[k])
        change = abs(float(new.values[k]) - before) / abs(before) if before else np.inf
        if not change <= bound:
            said.append(f"{name} changed by {change:.2%}, {bound:.2%} allowed")
    if policy.max_response_change is not None:
        change = response.relative_change(new, old, band_hz)
        if not change <= policy.max_response_change:
            said.append(f"the response changed by {change:.2%}, {policy.max_response_change:.2%} allowed")
    return "; ".join(said)
