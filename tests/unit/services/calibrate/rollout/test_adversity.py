"""Rollouts among edges that speak for others, offers under their sets' names, restarts, and sensors that move."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from dyncal.adapters.registry import open_registry
from dyncal.adapters.registry.sql import SqlRegistry
from dyncal.adapters.signing import open_verifier
from dyncal.contracts import residuals
from dyncal.contracts.coefficients import encode_report
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.orders import OrderKind, OrderState
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.rollouts import Member, MemberState
from dyncal.ports.records import Act
from dyncal.runtime.settings import RegistrySettings, SigningSettings
from services.calibrate.releases import Releases
from services.calibrate.rollout import asked
from services.calibrate.worker import Arrived, Job
from tests.rollouts.fleet import SITE, SimulatedEdge, address_of, edge_of, sensor_of
from tests.rollouts.simulation import PLAN, Simulation

START, ABORT = OrderKind.ROLLOUT_START, OrderKind.ROLLOUT_ABORT


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqlRegistry]:
    opened = open_registry(RegistrySettings(), tmp_path)
    yield opened
    opened.close()


def canary(plant: Simulation) -> Member:
    """The one sensor of a rollout that has been touched."""
    plant.wait(2)
    (member,) = [m for m in plant.registry.rollout_members("r-1") if m.stage is not None]
    return member


def reborn(plant: Simulation) -> None:
    """Kill calibrate between two messages, and start it again: it has what the registry and the broker keep."""
    plant.worker = plant._born()
    kept: list[Job] = [Arrived(*m) for m in plant.retained.items() if m[0].endswith(("/reported", "/status"))]
    plant.settle([], [None, plant.worker.connected(), *kept])


def test_an_edge_cannot_speak_of_the_residuals_of_others(registry: SqlRegistry, tmp_path: Path) -> None:
    plant = Simulation(registry, tmp_path, 20)
    plant.order(START, plan=PLAN)
    member = canary(plant)
    liar = next(k for k in range(20) if edge_of(k) != member.edge)
    found = ResidualReport(member.sensor, member.set_id, 9.0, 0.1, 250)
    plant.settle([(address_of(liar).residuals, each) for each in residuals.encode([found], plant.clock.now())])
    plant.wait(8)
    assert plant.state == "running"
    assert registry.rollout_members("r-1")[0].failure is None


def test_what_is_rejected_under_the_name_of_a_set_that_runs_is_no_failure_of_it(
    registry: SqlRegistry, tmp_path: Path
) -> None:
    plant = Simulation(registry, tmp_path, 20)
    plant.order(START, plan=PLAN)
    member = canary(plant)
    report = Report(
        member.sensor, member.set_id, 2, Outcome.REJECTED, plant.clock.now(), "signature: none", running=member.set_id
    )
    plant.settle([(EdgeAddress(SITE, member.edge).reported(member.sensor), encode_report(report))])
    plant.wait(1)
    assert plant.state == "running"


def test_killed_between_publication_and_the_edges_going_back_it_knows_that_it_went_back(
    registry: SqlRegistry, tmp_path: Path
) -> None:
    plant = Simulation(registry, tmp_path, 20, bad=tuple(range(20)))
    plant.order(START, plan=PLAN)
    member = canary(plant)
    reborn(plant)
    plant.wait(60, plant.over)
    assert plant.state == "aborted"
    (found,) = [m for m in registry.rollout_members("r-1") if m.sensor == member.sensor]
    assert (found.state, found.back_id) == (MemberState.REVERTED, member.before_id)
    now = plant.worker.engine.trackers[member.sensor].releases.in_force
    assert now is not None
    assert now.coefficients.id == member.before_id


@pytest.mark.parametrize("away", [False, True], ids=["at work", "calibrate away"])
def test_a_sensor_that_moves_to_another_edge_is_followed_there(
    registry: SqlRegistry, tmp_path: Path, away: bool
) -> None:
    plant = Simulation(registry, tmp_path, 20)
    plant.order(START, plan=PLAN)
    member = canary(plant)
    k = plant.edges[member.edge].k
    before = plant.edges.pop(member.edge)
    plant.settle([before.status(online=False)])
    moved = dataclasses.replace(registry.sensor(member.sensor), edge=edge_of(99))
    registry.put_sensors([moved], [], Act("eve", plant.clock.now(), "to the new rack"))
    plant.edges[edge_of(99)] = fresh = SimulatedEdge(k, open_verifier(SigningSettings(), tmp_path), plant.clock.now, 99)
    plant.settle([fresh.status()])
    if away:
        reborn(plant)
    plant.settle([], [None])
    assert fresh.runs == member.set_id  # it was offered what is in force
    plant.order(ABORT)
    plant.wait(20, plant.over)
    assert plant.state == "aborted"
    (found,) = [m for m in registry.rollout_members("r-1") if m.sensor == member.sensor]
    assert (found.state, found.edge) == (MemberState.REVERTED, edge_of(99))
    assert plant.worker.engine.trackers[member.sensor].adjuster.held is False
    assert "rollout.moved" in {entry.action for entry in registry.audit(limit=10_000)}


def test_who_begins_a_rollout_has_released_its_sets(registry: SqlRegistry, tmp_path: Path) -> None:
    """Bounds are relative to what a person released last: after a restart too."""
    plant = Simulation(registry, tmp_path, 20)
    plant.order(START, plan=PLAN)
    member = canary(plant)
    released = registry.last_released(member.sensor, not_by="calibrate")
    assert released is not None
    assert released.coefficients.id == member.set_id


@pytest.mark.parametrize("kind", [START, OrderKind.SET_APPROVE])
def test_an_order_that_nothing_can_deal_with_is_refused_and_not_tried_for_ever(
    registry: SqlRegistry, tmp_path: Path, kind: OrderKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = Simulation(registry, tmp_path, 3)

    def broken(*_: object) -> object:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(asked, "members_of", broken)
    monkeypatch.setattr(Releases, "release", broken)
    done = plant.order(kind, "TT-0000.2-good" if kind is OrderKind.SET_APPROVE else "r-1")
    assert (done.state, done.answer) == (OrderState.REFUSED, "a fault in the calibration service: its log says which")


def test_what_a_rollout_holds_is_held_from_the_first_moment_of_a_new_life(
    registry: SqlRegistry, tmp_path: Path
) -> None:
    plant = Simulation(registry, tmp_path, 20)
    plant.order(START, plan=PLAN)
    canary(plant)
    reborn(plant)
    assert all(tracker.adjuster.held for tracker in plant.worker.engine.trackers.values())
    plant.worker.engine.trackers.pop(sensor_of(3))  # as where the registry contradicts the engine
    registry.put_policy(sensor_of(3), None, Act("eve", plant.clock.now()))
    plant.settle([], [None])
    assert plant.worker.engine.trackers[sensor_of(3)].adjuster.held


def test_an_edge_cannot_run_what_was_never_signed(registry: SqlRegistry, tmp_path: Path) -> None:
    plant = Simulation(registry, tmp_path, 3)
    sensor, at = sensor_of(0), plant.clock.now()
    lie = Report(sensor, f"{sensor}.1-good", 1, Outcome.REVERTED, at, "astray", running=f"{sensor}.2-good")
    plant.settle([(address_of(0).reported(sensor), encode_report(lie))])
    assert plant.worker.engine.trackers[sensor].releases.in_force is None
