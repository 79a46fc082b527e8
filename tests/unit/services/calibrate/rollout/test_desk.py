"""Rollouts through the service's worker, on a real registry and the edges' real core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dyncal.adapters.registry import open_registry
from dyncal.adapters.registry.sql import SqlRegistry
from dyncal.contracts import residuals
from dyncal.contracts.coefficients import encode_report
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.coefficients import Outcome, Report, SetState
from dyncal.domain.orders import OrderKind, OrderState
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.rollouts import MemberState
from dyncal.domain.sensors import SiteId
from dyncal.runtime.settings import RegistrySettings
from tests.rollouts.fleet import sensor_of
from tests.rollouts.simulation import PLAN, Simulation

START, ABORT = OrderKind.ROLLOUT_START, OrderKind.ROLLOUT_ABORT


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqlRegistry]:
    opened = open_registry(RegistrySettings(), tmp_path)
    yield opened
    opened.close()


def test_good_sets_reach_all_edges_in_stages(registry: SqlRegistry, tmp_path: Path) -> None:
    plant = Simulation(registry, tmp_path, 20)
    done = plant.order(START, plan=PLAN, title="all of them")
    assert (done.state, done.answer, done.result) == (OrderState.DONE, "begun with 20 sensors", "r-1")
    seen = []
    for _ in range(60):
        plant.wait(1)
        seen.append(sum(name == "2-good" for name in plant.running().values()))
        if plant.state == "completed":
            break
    assert sorted(set(seen)) == [1, 10, 20]
    assert plant.state == "completed"
    assert registry.rollout("r-1").counts[0].n + sum(c.n for c in registry.rollout("r-1").counts[1:]) == 20
    assert {r.state for r in registry.sets(limit=100) if r.coefficients.sequence == 2} == {SetState.ACTIVE}
    assert registry.verify_audit() is None


def test_a_bad_set_in_the_canary_group_is_found_by_its_edge_and_all_goes_back(
    registry: SqlRegistry, tmp_path: Path
) -> None:
    plant = Simulation(registry, tmp_path, 40, bad=tuple(range(40)))
    plant.order(START, plan=PLAN)
    taken_s = plant.wait(60, lambda: plant.state == "aborted")
    assert taken_s <= 30
    assert not any(name == "2-bad" for name in plant.running().values())
    assert sum(name != "1-good" for name in plant.running().values()) <= 1  # one went back by itself, or both
    touched = [m for m in registry.rollout_members("r-1") if m.stage is not None]
    assert len(touched) == 2
    assert {m.state for m in touched} == {MemberState.REVERTED}
    actions = [entry.action for entry in registry.audit(limit=10_000)]
    assert actions.count("rollout.reverted") == 2
    assert {"rollout.begin", "rollout.published", "rollout.failed", "rollout.abort", "rollout.aborted"} <= set(actions)


def test_aborted_by_a_person_edges_get_the_earlier_numbers_as_a_new_signed_set(
    registry: SqlRegistry, tmp_path: Path
) -> None:
    plant = Simulation(registry, tmp_path, 20)
    plant.order(START, plan=PLAN)
    plant.wait(30, lambda: sum(n == "2-good" for n in plant.running().values()) == 10)
    plant.go(touched := next(k for k, name in plant.running().items() if name == "2-good"))
    assert plant.order(ABORT).state is OrderState.DONE
    plant.wait(10, lambda: plant.state == "aborted")
    assert plant.state == "aborted"
    assert registry.rollout("r-1").rollout.reason.endswith("1 go back once their edges answer")
    running = plant.running()
    assert running.pop(touched) == "2-good"
    back = {k: name for k, name in running.items() if name != "1-good"}
    assert len(back) == 9
    assert all(name.startswith("3-") for name in back.values())
    made = registry.desired_set(sensor_of(min(back)))
    assert made is not None
    assert made.coefficients.restores == f"{made.coefficients.sensor}.1-good"
    assert "goes back to" in made.coefficients.note
    assert "rollout r-1" in made.coefficients.note
    plant.come(touched)
    assert plant.running()[touched].startswith("3-")
    plant.wait(1)
    assert {m.state for m in registry.rollout_members("r-1")} == {MemberState.REVERTED, MemberState.WAITING}


def test_what_an_edge_of_another_site_says_counts_for_nothing(registry: SqlRegistry, tmp_path: Path) -> None:
    plant = Simulation(registry, tmp_path, 20)
    plant.order(START, plan=PLAN)
    plant.wait(1)
    (member,) = [m for m in registry.rollout_members("r-1") if m.stage is not None]
    foreign = EdgeAddress(SiteId("elsewhere"), member.edge)
    report = Report(member.sensor, member.set_id, 2, Outcome.REVERTED, plant.clock.now())
    found = ResidualReport(member.sensor, member.set_id, 9.0, 0.1, 50)
    said = [(foreign.reported(member.sensor), encode_report(report))]
    said += [(foreign.residuals, each) for each in residuals.encode([found], plant.clock.now())]
    plant.settle(said)
    plant.wait(1)
    assert plant.state == "running"


def test_orders_that_make_no_sense_are_refused_with_the_reason(registry: SqlRegistry, tmp_path: Path) -> None:
    plant = Simulation(registry, tmp_path, 3)
    for body, why in (
        ({"sensors": ["TT-0000", "TT-9"]}, "not calibrated: TT-9"),
        ({"edges": ["nowhere"]}, "no set waits for any of these sensors"),
        ({"plan": {"stages": [{"share": 0.5, "soak_s": 1}]}}, "growing shares"),
        ({"plans": 1}, "unknown field"),
    ):
        refused = plant.order(START, **body)
        assert refused.state is OrderState.REFUSED
        assert why in refused.answer
    assert plant.order(ABORT, "r-9").answer == "no rollout r-9 goes on"
    assert plant.order(START, sensors=["TT-0000"], plan=PLAN).state is OrderState.DONE
    assert plant.order(START, "r-2").answer == "in another rollout: TT-0000"
    assert plant.order(OrderKind.ROLLOUT_PAUSE).state is OrderState.DONE
    assert plant.order(OrderKind.ROLLOUT_PAUSE).answer == "the rollout is paused"


@pytest.mark.parametrize("bad", [(), tuple(range(3))], ids=["good", "bad"])
def test_killed_at_any_write_it_goes_on_where_it_was(tmp_path: Path, bad: tuple[int, ...]) -> None:
    """Before or after the n-th write that a rollout takes, one life each: the first, which begin it, and some later."""
    died = 0
    for writes, after in ((0, False), (0, True), (1, False), (1, True), (2, False), (3, True), (5, False), (8, True)):
        directory = tmp_path / f"{writes}-{after}"
        registry = open_registry(RegistrySettings(), directory)
        plant = Simulation(registry, directory, 3, bad=bad)
        plant.mortal.left, plant.mortal.after = writes, after
        plant.order(START, plan=PLAN)
        plant.wait(60, plant.over)
        assert plant.state == ("aborted" if bad else "completed"), (writes, after)
        names = set(plant.running().values())
        assert "2-bad" not in names if bad else names == {"2-good"}
        assert registry.verify_audit() is None
        died += plant.n_deaths
        registry.close()
    assert died == 8
