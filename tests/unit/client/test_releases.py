"""The client's part about sets and rollouts, and the commands over it, against the application itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from typer.testing import CliRunner

from dyncal.adapters.registry import open_registry
from dyncal.cli import app, releases
from dyncal.client import ApiConflict, ApiNotFound, Client, models
from dyncal.domain.coefficients import SetState
from dyncal.domain.orders import Answer, OrderState
from dyncal.domain.rollouts import Member, Rollout, RolloutMove, RolloutPlan, RolloutState, Stage
from dyncal.domain.sensors import EdgeId, ModelKind
from dyncal.ports.registry import Registry
from dyncal.ports.rollouts import RolloutWrite
from dyncal.runtime.clocks import SimulatedClock
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.registry import S1, S2, act, make_calibration, make_pairing, make_sensor, make_set
from dyncal.testing.store import MemorySampleStore
from services.api.app import create_app
from services.api.deps import Deps
from tests.unit.client.test_client import SECTION, Described, InProcess

WAITS = make_set(2)
_AT = act(1).at_ns


class Plant:
    """A client of an application where a set waits and a rollout goes on; `answer` is what calibrate says to orders."""

    def __init__(self, registry: Registry, http: httpx.Client) -> None:
        self.registry = registry
        self.client = Client("http://127.0.0.1", http=http)
        self.client.transport.pause = self._pause
        self.answer: tuple[OrderState, str] | None = (OrderState.DONE, "published")

    def _pause(self, _: float) -> None:
        """Do what calibrate does meanwhile."""
        for order in self.registry.waiting_orders():
            if self.answer is not None:
                self.registry.answer_order(Answer(order.id, *self.answer, _AT, "result"), act(2))

    @contextmanager
    def connected(self, *_: object) -> Iterator[Client]:
        yield self.client


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    registry = open_registry(RegistrySettings(), tmp_path)
    registry.put_sensors([make_sensor(S1), make_sensor(S2)], [make_pairing()], act())
    registry.add_calibration(make_calibration(), act())
    registry.add_set(make_set(), b"{}", SetState.PUBLISHED, act())
    registry.add_set(WAITS, b"", SetState.VERIFIED, act())
    member = Member(S1, EdgeId("edge-1"), S2, ModelKind.FIRST_ORDER, 0, WAITS.id, 2, make_set().id, _AT)
    rollout = Rollout(
        "r-1", "all", RolloutPlan((Stage(1.0, 1.0),)), "ann", RolloutState.PAUSED, "slow", 1, _AT, _AT, stage_ns=_AT
    )
    registry.write_rollout(
        RolloutWrite("r-1", rollout, (member,), (RolloutMove("r-1", "rollout.begin", "", "ann", _AT, "why"),))
    )
    application = create_app(
        Deps.make(registry, MemorySampleStore(), SimulatedClock(), SECTION, console=tmp_path / "no")
    )
    hooks: dict[str, list[Callable[..., Any]]] = {"request": [Described()]}
    with httpx.Client(transport=InProcess(application), base_url="http://127.0.0.1", event_hooks=hooks) as http:
        made = Plant(registry, http)
        monkeypatch.setattr(releases, "connected", made.connected)
        yield made
    registry.close()


def test_what_is_told_of_sets_and_rollouts(plant: Plant) -> None:
    client = plant.client
    life = client.lifecycle(S1)
    assert [item.set.id for item in life.items] == [WAITS.id, make_set().id]
    assert life.in_force == make_set().id
    assert [found.set_id for found in client.rollout_candidates()] == [WAITS.id]
    assert [found.id for found in client.rollouts(state="paused")] == ["r-1"]
    assert client.rollout("r-1").reason == "slow"
    assert [member.sensor for member in client.rollout_members("r-1")] == [S1]
    assert [move.action for move in client.rollout_history("r-1")] == ["rollout.begin"]
    with pytest.raises(ApiNotFound):
        client.chain(S1, 0)


def test_policies_say_what_they_have_seen(plant: Plant) -> None:
    with pytest.raises(ApiNotFound):
        plant.client.policy(S1)
    first = plant.client.put_policy(S1, models.PolicyBody(mode="approval"), reason="batch 7")
    assert plant.client.policy(S1) == first
    plant.client.put_policy(S1, models.PolicyBody(mode="automatic"), etag=first.etag)
    with pytest.raises(ApiConflict):
        plant.client.put_policy(S1, first.value, etag=first.etag)


def test_orders_are_given_and_waited_for(plant: Plant) -> None:
    client = plant.client
    given = client.approve(S1, WAITS.id, "as left is good", key="once")
    assert client.approve(S1, WAITS.id, "as left is good", key="once").id == given.id
    assert (given.state, client.settled(given).answer) == ("waiting", "published")
    assert [order.id for order in client.orders(subject=WAITS.id)] == [given.id]
    plant.answer = None
    assert client.settled(client.reject(S1, WAITS.id, "no"), 1.0).state == "waiting"
    assert client.roll_back(S1, "rings", to=make_set().id).body == {"to": make_set().id}
    begun = client.begin_rollout(models.RolloutBody(reason="all of them", sensors=[S1]))
    assert begun.body["plan"] == json.loads(msgspec.json.encode(begun.body["plan"]))
    kinds = [
        client.pause_rollout("r-1", "wait").kind, client.resume_rollout("r-1", "go", accept=True).kind,
        client.abort_rollout("r-1", "no").kind,
    ]  # fmt: skip
    assert kinds == ["rollout.pause", "rollout.resume", "rollout.abort"]


def dyncal(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.stdout, done.stderr


def test_commands(plant: Plant, tmp_path: Path) -> None:
    assert dyncal("sets", "list", S1)[1].splitlines()[1].startswith(f"* {make_set().id}  published")
    assert dyncal("sets", "approve", S1, WAITS.id, "--reason", "good") == (0, "", "published result\n")
    assert dyncal("rollout", "list") == (0, "r-1  paused     0 of 1 touched  all\n", "")
    assert dyncal("rollout", "candidates") == (0, f"{S1}  {WAITS.id}  edge-1\n", "")
    assert dyncal("rollout", "show", "r-1")[1].startswith("r-1: paused, slow; begun ")
    plan = tmp_path / "plan.json"
    plan.write_text('{"stages": [{"share": 1.0, "soak_s": 1}]}')
    status, out, _ = dyncal("rollout", "begin", "--reason", "record 17", "--sensor", S1, "--plan", str(plan))
    assert (status, out.startswith("r-")) == (0, True)
    (order,) = plant.client.orders(subject=out.strip())
    assert [stage["share"] for stage in order.body["plan"]["stages"]] == [1.0]
    plan.write_text('{"stages": 1}')
    status, _, err = dyncal("rollout", "begin", "--reason", "x", "--plan", str(plan))
    assert (status, f"{plan}: " in err) == (1, True)
    plant.answer = (OrderState.REFUSED, "the rollout is paused")
    assert dyncal("rollout", "pause", "r-1", "--reason", "x") == (1, "", "refused: the rollout is paused\n")
    for words in (("sets", "reject", S1, WAITS.id), ("sets", "roll-back", S1), ("rollout", "abort", "r-1")):
        assert dyncal(*words, "--reason", "x")[0] == 1
    plant.answer = None
    status, _, err = dyncal("rollout", "resume", "r-1", "--accept", "--reason", "x", "--wait", "0.5")
    assert (status, "waits still" in err) == (1, True)
