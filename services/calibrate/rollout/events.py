"""What the rollout engine is told, and what it wants done."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from dyncal.domain.coefficients import Report
from dyncal.domain.rollouts import Member, Residual, Rollout, RolloutMove, RolloutPlan
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act


class Verb(enum.StrEnum):
    """What people can do to a rollout that has begun."""

    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Restored:
    """These rollouts were going on, or reverting, when the program ended."""

    rollouts: tuple[tuple[Rollout, tuple[Member, ...]], ...]
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Begin:
    """Somebody begins a rollout of these members; their order and state are the engine's to say."""

    rollout: str
    title: str
    plan: RolloutPlan
    members: tuple[Member, ...]
    actor: str
    reason: str
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Commanded:
    """Somebody wants something done to a rollout. `accept`, with RESUME: the present stage counts as passed."""

    rollout: str
    verb: Verb
    actor: str
    reason: str
    now_ns: InstantNs
    accept: bool = False


@dataclass(frozen=True, slots=True)
class Reported:
    """An edge said what it did with a set."""

    edge: EdgeId
    report: Report
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class ResidualFound:
    """An edge said what the residual of a set that it runs is; `found.n` windows are new since it last said so."""

    edge: EdgeId
    sensor: SensorId
    set_id: str
    found: Residual
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class EdgeSeen:
    """An edge went online or offline."""

    edge: EdgeId
    online: bool
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class NotPublished:
    """A set could not be put into force: it does not wait any more. Nothing was sent."""

    sensor: SensorId
    set_id: str
    why: str
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class RevertMade:
    """A set that goes back was published as `back_id`; '' where that could not be, for the reason `why`."""

    sensor: SensorId
    set_id: str
    back_id: str
    now_ns: InstantNs
    why: str = ""


@dataclass(frozen=True, slots=True)
class Renewed:
    """A set of which its edge had heard too late was published again, under a new id and number."""

    sensor: SensorId
    old_id: str
    set_id: str
    sequence: int
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Moved:
    """A sensor belongs to another edge now, which is offered what is in force."""

    sensor: SensorId
    edge: EdgeId
    now_ns: InstantNs


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes."""

    now_ns: InstantNs


Event = (
    Restored
    | Begin
    | Commanded
    | Reported
    | ResidualFound
    | EdgeSeen
    | NotPublished
    | RevertMade
    | Renewed
    | Moved
    | Tick
)


@dataclass(frozen=True, slots=True)
class Publish:
    """Put a set that waits into force. To be done once, however often it is said."""

    sensor: SensorId
    set_id: str
    act: Act


@dataclass(frozen=True, slots=True)
class Revert:
    """Publish a new set with the coefficients of `to_id` in place of `set_id`. To be done once, however often said."""

    sensor: SensorId
    set_id: str
    to_id: str
    act: Act


@dataclass(slots=True)
class Changes:
    """What a rollout's progress is: to be kept as a whole, and before any of `acts` is done.

    `of` is the rollout's id; `refusal` says why what somebody wanted was not done, '' where it was.
    """

    of: str = ""
    rollout: Rollout | None = None
    members: dict[SensorId, Member] = field(default_factory=dict)
    moves: list[RolloutMove] = field(default_factory=list)
    acts: list[Publish | Revert] = field(default_factory=list)
    refusal: str = ""

    @property
    def kept(self) -> bool:
        """Whether there is anything to keep."""
        return self.rollout is not None or bool(self.members or self.moves)
