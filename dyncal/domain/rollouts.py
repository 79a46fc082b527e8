"""Rollouts: coefficient sets that wait are put into force on many sensors in stages, each watched before the next.

A *member* is one sensor of a rollout with the set that it is to get. It is *touched* from the moment at which that set
is published; what is not touched stays as it was, whatever becomes of the rollout.
"""

from __future__ import annotations

import enum
import itertools
import math
from dataclasses import dataclass
from typing import Final

from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import EdgeId, ModelKind, SensorId
from dyncal.domain.time import InstantNs

MAX_STAGES: Final = 20
MAX_MEMBERS: Final = 20_000
_LONGEST_S: Final = 30 * 86_400.0


class RolloutState(enum.StrEnum):
    """Where a rollout stands. It is over once completed or aborted."""

    RUNNING = "running"
    PAUSED = "paused"
    ABORTING = "aborting"
    ABORTED = "aborted"
    COMPLETED = "completed"


class MemberState(enum.StrEnum):
    """Where one sensor of a rollout stands.

    ``left_out``: its edge was never there, or its set did not wait any longer; it was not touched. ``overtaken``:
    somebody else has given the sensor another set since. ``stuck``: it could not be reverted.
    """

    WAITING = "waiting"
    PUBLISHED = "published"
    APPLIED = "applied"
    NORMAL = "normal"
    REVERTING = "reverting"
    REVERTED = "reverted"
    STUCK = "stuck"
    OVERTAKEN = "overtaken"
    LEFT_OUT = "left_out"


class Failure(enum.StrEnum):
    """What went wrong with a set: the edge refused it, or went back by itself; or its residual is too large.

    ``above_limit``: above the set's own limit; ``worse``: significantly worse than with the set before.
    """

    REJECTED = "rejected"
    REVERTED = "reverted"
    ABOVE_LIMIT = "above_limit"
    WORSE = "worse"


class Arrangement(enum.StrEnum):
    """Which sensors come together: as many different edges as can be, or all of an edge, or of a reference, at once."""

    SPREAD = "spread"
    EDGES = "edges"
    REFERENCES = "references"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step: up to which share of all members (0 to 1) sets go out, and for how long they are watched then [s]."""

    share: float
    soak_s: float

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InvalidData(f"a stage's share is above 0 and at most 1, not {self.share}")
        if not 0 <= self.soak_s <= _LONGEST_S:
            raise InvalidData(f"a stage's soak_s is 0 to {_LONGEST_S:.0f} s, not {self.soak_s}")


DEFAULT_STAGES: Final = (Stage(0.02, 300.0), Stage(0.05, 300.0), Stage(0.25, 300.0), Stage(1.0, 300.0))


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """How a rollout goes on, and when it does not.

    Attributes
    ----------
    stages : tuple of Stage
        With growing shares, the last of them 1; the first is the canary group.
    success_share : float
        Least share of a stage's members that must be normal for the next stage to begin; those whose edge is offline
        do not count. Otherwise the rollout pauses.
    abort_share : float
        Share of failures, among the members of the present stage or among all that were touched, above which the
        rollout is aborted. 0: by the first failure.
    worse_ratio : float
        By how much the residual's rms must have grown, significantly, against the set before to count as a failure.
    answer_s : float
        Time within which an edge that is online must answer [s], and an absence of which counts as offline.
    offline_s : float
        Time for which edges that are offline are waited for [s]: in the last stage, and where a stage finds none.
    needs_residual : bool
        Whether a set of which the edge reports no residual (some kinds of model have none) keeps from counting as
        normal.
    """

    stages: tuple[Stage, ...] = DEFAULT_STAGES
    success_share: float = 0.95
    abort_share: float = 0.02
    worse_ratio: float = 2.0
    answer_s: float = 30.0
    offline_s: float = 3600.0
    arrangement: Arrangement = Arrangement.SPREAD
    needs_residual: bool = True

    def __post_init__(self) -> None:
        shares = [stage.share for stage in self.stages]
        if not 1 <= len(shares) <= MAX_STAGES or shares[-1] != 1 or any(a >= b for a, b in itertools.pairwise(shares)):
            raise InvalidData(f"a plan has 1 to {MAX_STAGES} stages with growing shares up to 1, not {shares}")
        if not (0 < self.success_share <= 1 and 0 <= self.abort_share <= 1):
            raise InvalidData("success_share is above 0 and at most 1, abort_share 0 to 1")
        if not (self.worse_ratio >= 1 and math.isfinite(self.worse_ratio)):
            raise InvalidData(f"worse_ratio is at least 1, not {self.worse_ratio}")
        if not (0 < self.answer_s <= _LONGEST_S and 0 <= self.offline_s <= _LONGEST_S):
            raise InvalidData(f"answer_s and offline_s are at most {_LONGEST_S:.0f} s, answer_s above 0")

    def target(self, stage: int, n_members: int) -> int:
        """Return up to how many members are to be touched in a stage: at least one, never more than its share."""
        return max(1, math.floor(self.stages[stage].share * n_members + 1e-9))


DEFAULT_PLAN: Final = RolloutPlan()
"""What is not said of a plan."""


@dataclass(frozen=True, slots=True)
class Residual:
    """What an edge has found of a set: rms of its residual in the sensor's unit, over `n` windows; the set's limit.

    A `limit` of 0 means that the set has none.
    """

    rms: float
    limit: float
    n: float


@dataclass(frozen=True, slots=True)
class Member:
    """One sensor of a rollout.

    Attributes
    ----------
    position : int
        In the order in which members are taken, from 0.
    set_id, sequence : str, int
        The set that it is to get, and that set's sequence.
    before_id : str
        The set that was in force when the rollout began: to that it goes back.
    back_id : str
        The set that went out to revert it, once there is one.
    stage : int, optional
        In which it was touched, from 0.
    failure : Failure, optional
    before, after : Residual, optional
        Residual with the set before, and with the new one.
    """

    sensor: SensorId
    edge: EdgeId
    reference: SensorId
    model: ModelKind
    position: int
    set_id: str
    sequence: int
    before_id: str
    changed_ns: InstantNs
    state: MemberState = MemberState.WAITING
    stage: int | None = None
    failure: Failure | None = None
    reason: str = ""
    back_id: str = ""
    published_ns: InstantNs | None = None
    applied_ns: InstantNs | None = None
    before: Residual | None = None
    after: Residual | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout without its members.

    Attributes
    ----------
    actor : str
        Who began it.
    reason : str
        Of its present state.
    stage, stage_ns : int, int
        The present stage from 0, and since when.
    ended_ns : int, optional
        When it was completed or aborted.
    """

    id: str
    title: str
    plan: RolloutPlan
    actor: str
    state: RolloutState
    reason: str
    n_members: int
    begun_ns: InstantNs
    changed_ns: InstantNs
    stage_ns: InstantNs
    stage: int = 0
    ended_ns: InstantNs | None = None

    @property
    def over(self) -> bool:
        """Whether it is completed or aborted."""
        return self.state in (RolloutState.COMPLETED, RolloutState.ABORTED)


@dataclass(frozen=True, slots=True)
class RolloutMove:
    """One line of a rollout's history; `subject` is a sensor, or '' for the rollout itself."""

    rollout: str
    action: str
    subject: str
    actor: str
    at_ns: InstantNs
    reason: str
