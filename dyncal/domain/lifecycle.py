"""The life of a coefficient set: its states, which moves there are between them, and who may publish it.

    candidate ──► verified ──► published ──► active ──► superseded ──► active   (its edge went back to it)
        │            │             │            │
        ▼            ▼             ▼            ▼
     rejected     rejected     rejected,    superseded,
                               reverted,    reverted,
                               superseded   rejected

A set is a *candidate* once it was designed, *verified* once data that its fit did not use speak for it by the decision
rule, *published* once it was signed and offered to its edge, *active* once the edge says that it runs it.
A verified set that another one replaces before it was published is *rejected*: *superseded* is what an edge may go back
to, and only what was signed may run.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from dyncal.domain.coefficients import SetState
from dyncal.domain.errors import IllegalMove, InvalidData
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs

MOVES: Final[Mapping[SetState, frozenset[SetState]]] = {
    SetState.CANDIDATE: frozenset({SetState.VERIFIED, SetState.REJECTED}),
    SetState.VERIFIED: frozenset({SetState.PUBLISHED, SetState.REJECTED}),
    SetState.PUBLISHED: frozenset({SetState.ACTIVE, SetState.REJECTED, SetState.REVERTED, SetState.SUPERSEDED}),
    SetState.ACTIVE: frozenset({SetState.SUPERSEDED, SetState.REVERTED, SetState.REJECTED}),
    SetState.SUPERSEDED: frozenset({SetState.ACTIVE}),
    SetState.REJECTED: frozenset(),
    SetState.REVERTED: frozenset(),
}
"""Every legal move; `SetState.SUPERSEDED` to `ACTIVE`: the edge left the set that came after, by itself."""


def check_move(set_id: str, before: SetState, to: SetState) -> None:
    """Do nothing if a set may move so.

    Raises
    ------
    IllegalMove
        If it may not; also if it is there already.
    """
    if to not in MOVES[before]:
        raise IllegalMove(f"set {set_id} is {before}: it cannot become {to}")


def check_path(set_id: str, states: Iterable[SetState]) -> None:
    """Do nothing if each state may follow the one before. Raises `IllegalMove`."""
    before: SetState | None = None
    for state in states:
        if before is not None:
            check_move(set_id, before, state)
        before = state


@dataclass(frozen=True, slots=True)
class Move:
    """One step in the life of a set: to `state`, by whom, when, why; `before` is None for its first."""

    set_id: str
    sensor: SensorId
    before: SetState | None
    state: SetState
    actor: str
    at_ns: InstantNs
    reason: str = ""
    number: int = 0
    """Grows from move to move, over all sets; given by the registry."""


MAX_BOUND: Final = 10.0
MAX_SHADOW_S: Final = 30 * 86_400.0


class ReleaseMode(enum.StrEnum):
    """How a verified set comes to be published."""

    AUTOMATIC = "automatic"
    WITHIN_BOUNDS = "within_bounds"
    APPROVAL = "approval"


@dataclass(frozen=True, slots=True)
class ReleasePolicy:
    """Who releases the verified sets of a sensor.

    Attributes
    ----------
    mode : ReleaseMode
        `AUTOMATIC`: the calibration service. `WITHIN_BOUNDS`: it, as long as the set stays within the bounds of the
        last one that a person has released; a person otherwise. `APPROVAL`: a person.
    max_parameter_change : mapping of parameter to float
        Largest relative change of each parameter; those that are not named may change freely.
    max_response_change : float, optional
        Largest relative change of the frequency response, root mean square over the band.
    shadow_s : float
        Least time for which the set runs at the edge beside the active one before it is released [s]; 0: not at all.
    """

    mode: ReleaseMode = ReleaseMode.AUTOMATIC
    max_parameter_change: Mapping[str, float] = field(default_factory=dict)
    max_response_change: float | None = None
    shadow_s: float = 0.0

    def __post_init__(self) -> None:
        bounds = [*self.max_parameter_change.values()]
        if self.max_response_change is not None:
            bounds.append(self.max_response_change)
        if not all(0 < bound <= MAX_BOUND for bound in bounds):
            raise InvalidData(f"a bound on a relative change lies above 0 and is at most {MAX_BOUND:g}")
        if self.mode is ReleaseMode.WITHIN_BOUNDS and not bounds:
            raise InvalidData("a release within bounds needs at least one bound")
        if not 0 <= self.shadow_s <= MAX_SHADOW_S:
            raise InvalidData(f"shadow_s lies between 0 and {MAX_SHADOW_S:g}")
