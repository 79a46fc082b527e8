"""What somebody who begins a rollout asks for: read from the body of an order, and matched with the sets that wait."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from dyncal.domain.errors import InvalidData
from dyncal.domain.rollouts import DEFAULT_PLAN, MAX_MEMBERS, MAX_STAGES, Arrangement, Member, RolloutPlan, Stage
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from services.calibrate.tracker import Tracker

_Names = Annotated[list[Annotated[str, Meta(max_length=128)]], Meta(max_length=MAX_MEMBERS)]
_SHOWN: Final = 5


class _Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    share: float
    soak_s: float


class _Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    stages: Annotated[tuple[_Stage, ...], Meta(max_length=MAX_STAGES)] = tuple(
        _Stage(stage.share, stage.soak_s) for stage in DEFAULT_PLAN.stages
    )
    success_share: float = DEFAULT_PLAN.success_share
    abort_share: float = DEFAULT_PLAN.abort_share
    worse_ratio: float = DEFAULT_PLAN.worse_ratio
    answer_s: float = DEFAULT_PLAN.answer_s
    offline_s: float = DEFAULT_PLAN.offline_s
    arrangement: Arrangement = DEFAULT_PLAN.arrangement
    needs_residual: bool = DEFAULT_PLAN.needs_residual


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: Annotated[str, Meta(max_length=200)] = ""
    plan: _Plan = _Plan()
    sensors: _Names = []
    edges: _Names = []
    references: _Names = []
    models: _Names = []


@dataclass(frozen=True, slots=True)
class Asked:
    """A title, a plan, and which sensors: by name, or (no names) all whose sets wait and that fit each filter given."""

    title: str
    plan: RolloutPlan
    sensors: frozenset[str]
    edges: frozenset[str]
    references: frozenset[str]
    models: frozenset[str]


def read(body: Mapping[str, object]) -> Asked:
    """Return what the body of an order asks for. Raises `InvalidData`."""
    try:
        found = msgspec.convert(dict(body), _Asked, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidData(str(error)) from error
    fields: dict[str, Any] = msgspec.structs.asdict(found.plan)
    fields["stages"] = tuple(Stage(stage.share, stage.soak_s) for stage in found.plan.stages)
    names = (frozenset(part) for part in (found.sensors, found.edges, found.references, found.models))
    return Asked(found.title, RolloutPlan(**fields), *names)


def members_of(asked: Asked, trackers: Mapping[SensorId, Tracker], now_ns: InstantNs) -> tuple[list[Member], str]:
    """Return the members of a rollout, and in words whom it leaves out though they fit.

    Raises
    ------
    InvalidData
        If a sensor that was asked for by name has no set that waits, or none to go back to; or nobody fits.
    """
    if asked.sensors:
        unknown = asked.sensors - trackers.keys()
        if unknown:
            raise InvalidData(f"not calibrated: {_few(unknown)}")
    chosen = [t for t in trackers.values() if _fits(asked, t)]
    members = [_member(tracker, now_ns) for tracker in chosen]
    unset = [t.sensor.id for t, m in zip(chosen, members, strict=True) if m is None and _waits(t)]
    if asked.sensors and None in members:
        idle = [t.sensor.id for t in chosen if not _waits(t)]
        why = (
            f"no set waits (that is not on trial) for {_few(idle)}"
            if idle
            else f"no earlier set to go back to: {_few(unset)}"
        )
        raise InvalidData(why)
    found = [member for member in members if member is not None]
    if not found:
        raise InvalidData("no set waits for any of these sensors")
    return found, f"; without an earlier set to go back to, and so left out: {_few(unset)}" if unset else ""


def _fits(asked: Asked, tracker: Tracker) -> bool:
    about = (
        (asked.sensors, tracker.sensor.id),
        (asked.edges, tracker.sensor.edge),
        (asked.references, tracker.pairing.reference),
        (asked.models, tracker.pairing.model.value),
    )
    return all(not wanted or name in wanted for wanted, name in about)


def _waits(tracker: Tracker) -> bool:
    waiting = tracker.releases.waiting
    return waiting is not None and waiting.trial is None


def _member(tracker: Tracker, now_ns: InstantNs) -> Member | None:
    """Return the member that a sensor would be; None where no set waits, or there is none to go back to."""
    waiting, now = tracker.releases.waiting, tracker.releases.in_force
    if waiting is None or now is None or not _waits(tracker):
        return None
    made = waiting.made.coefficients
    return Member(
        sensor=tracker.sensor.id,
        edge=tracker.sensor.edge,
        reference=tracker.pairing.reference,
        model=tracker.pairing.model,
        position=0,
        set_id=made.id,
        sequence=made.sequence,
        before_id=now.coefficients.id,
        changed_ns=now_ns,
    )


def _few(names: Collection[str] | Iterable[str]) -> str:
    every = sorted(names)
    return ", ".join(every[:_SHOWN]) + (f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "")
