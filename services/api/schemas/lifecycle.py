"""The life of coefficient sets: states, moves, policies, orders about them, and what values are traced to."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from dyncal.domain.coefficients import SetState
from dyncal.domain.lifecycle import MAX_BOUND, MAX_SHADOW_S, Move, ReleaseMode, ReleasePolicy
from services.api.residuals import Figure
from services.api.schemas.base import InstantNs, Shape, example, number
from services.api.schemas.calibrations import CalibrationOut, SetOut
from services.api.schemas.findings import ChainOut

Why = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Bound = Annotated[float, Field(gt=0, le=MAX_BOUND, allow_inf_nan=False)]


class DecisionBody(Shape):
    """Why a set that waits is approved or rejected."""

    model_config = example(reason="as-left deviation is what the new probe promises")

    reason: Why


class RollBackBody(Shape):
    """To which set a sensor goes back, and why."""

    model_config = example(reason="the newer set rings at each step", to="TT-101.4-1f0c77ab")

    reason: Why
    to: str | None = Field(None, max_length=255, pattern=r"^[^\x00]*$")
    """Id of a set that was superseded; null: the one before the one in force."""


class PolicyBody(Shape):
    """Who releases the verified sets of a sensor."""

    model_config = example(
        mode="within_bounds", max_parameter_change={"tau_s": 0.1}, max_response_change=0.05, shadow_s=600.0
    )

    mode: ReleaseMode
    """`automatic`: the calibration service; `within_bounds`: it, within the bounds below of what a person released
    last; `approval`: an engineer."""
    max_parameter_change: dict[Annotated[str, Field(max_length=40)], Bound] = Field(default_factory=dict, max_length=20)
    """Largest relative change by name of parameter."""
    max_response_change: Bound | None = None
    """Largest relative change of the frequency response, root mean square over the band."""
    shadow_s: float = Field(0.0, ge=0, le=MAX_SHADOW_S, allow_inf_nan=False)
    """Least time for which a set runs at the edge beside the one in force before it is released [s]; 0: not at all."""

    @classmethod
    def of(cls, policy: ReleasePolicy) -> Self:
        """Return the shape of a policy."""
        return cls(
            mode=policy.mode,
            max_parameter_change=dict(policy.max_parameter_change),
            max_response_change=policy.max_response_change,
            shadow_s=policy.shadow_s,
        )

    def to_domain(self) -> ReleasePolicy:
        """Return the policy. Raises `InvalidData`."""
        return ReleasePolicy(self.mode, self.max_parameter_change, self.max_response_change, self.shadow_s)


class MoveOut(Shape):
    """One step in the life of a set."""

    model_config = example(
        set_id="TT-101.5-9ae1c3d2", before="verified", state="published", actor="user:eve",
        at_ns=1_769_860_800_000_000_000, reason="as-left deviation is what the new probe promises", number=17,
    )  # fmt: skip

    set_id: str
    before: SetState | None
    """null for its first."""
    state: SetState
    actor: str
    at_ns: InstantNs
    reason: str
    number: int

    @classmethod
    def of(cls, move: Move) -> Self:
        """Return the shape of a move."""
        return cls(
            set_id=move.set_id,
            before=move.before,
            state=move.state,
            actor=move.actor,
            at_ns=move.at_ns,
            reason=move.reason,
            number=move.number,
        )


class MovePage(Shape):
    """Moves, newest first."""

    items: list[MoveOut]
    next_cursor: str | None


class ResidualOut(Shape):
    """What the edge says of the residual of a set, since this service began to listen."""

    model_config = example(
        rms=0.012, n=40, limit=0.2, shadow=False, difference=None, fault="", at_ns=1_769_860_800_000_000_000
    )

    rms: float
    """In the sensor's unit, over windows that do not overlap."""
    n: float
    """Windows; at most 256 count, the newest most."""
    limit: float
    """Largest that is normal, as the set says; 0: it says nothing."""
    shadow: bool
    """Whether the set runs beside the one in force."""
    difference: float | None
    """Of a set on trial: root mean square of its values minus those of the set in force."""
    fault: str
    """Why a trial ended; empty while it goes on."""
    at_ns: InstantNs

    @classmethod
    def of(cls, figure: Figure) -> Self:
        """Return the shape of a figure."""
        return cls(
            rms=figure.rms,
            n=figure.n,
            limit=figure.limit,
            shadow=figure.shadow,
            difference=number(figure.difference),
            fault=figure.fault,
            at_ns=figure.at_ns,
        )


class LifeOut(Shape):
    """A set, the calibration that it came from (as found, as left, decision rule), its moves, its residual."""

    set: SetOut
    calibration: CalibrationOut | None
    moves: list[MoveOut]
    """Oldest first."""
    residual: ResidualOut | None
    waits: bool
    """Whether it waits to be released, or is on trial."""
    can_go_back: bool
    """Whether somebody can go back to it."""


class LifecycleOut(Shape):
    """The sets of a sensor, newest first, and who releases them."""

    sensor: str
    policy: PolicyBody | None
    """null: none of its own; what the calibration service is set to holds."""
    in_force: str | None
    """The set that its edge runs, or should."""
    items: list[LifeOut]


class TracedSampleOut(Shape):
    """One corrected value, and what made it."""

    model_config = example(
        t_ns=1_769_860_800_000_000_000, raw=20.1, corrected=21.4, u=0.05, quality=0, set_id="TT-101.5-9ae1c3d2"
    )

    t_ns: InstantNs
    raw: float | None
    corrected: float | None
    u: float | None
    """Standard uncertainty."""
    quality: int
    """OPC UA status code."""
    set_id: str


class SampleChainOut(Shape):
    """What one corrected value is traced to: set, fit, window, reference, and so on to the last one's certificate."""

    sensor: str
    unit: str
    sample: TracedSampleOut
    state: SetState
    """Of the set, now."""
    moves: list[MoveOut]
    """Of the set, oldest first."""
    chain: ChainOut
