"""Rollouts over HTTP: what is read, and what is ordered."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dyncal.domain.coefficients import SetState
from dyncal.domain.orders import Answer, OrderKind, OrderState
from dyncal.domain.rollouts import Failure, MemberState
from dyncal.ports.records import Act
from dyncal.ports.rollouts import RolloutWrite
from dyncal.testing.registry import S1, act, make_set
from dyncal.testing.rollouts import make_member, make_move, make_rollout
from services.api import pages
from tests.unit.services.api.conftest import Api

BODY = {"reason": "because", "sensors": ["tc-1"], "plan": {"stages": [{"share": 1, "soak_s": 5}]}}


def fill(api: Api) -> None:
    failed = replace(make_member(1, state=MemberState.REVERTED), stage=0, failure=Failure.WORSE, back_id="x")
    normal = replace(make_member(2, state=MemberState.NORMAL), stage=0)
    moves = [make_move("rollout.begin"), make_move("rollout.failed", "tc-1")]
    api.registry.write_rollout(RolloutWrite("r-1", make_rollout(), [make_member(0), failed, normal], moves))


async def test_a_rollout_is_shown_with_its_stages(api: Api) -> None:
    fill(api)
    answer = await api.http.get("/v1/rollouts/r-1")
    found = answer.json()
    assert (found["n_sensors"], found["n_touched"], found["n_failed"], found["n_reverted"], found["n_waiting"]) == (
        3, 2, 1, 1, 1,
    )  # fmt: skip
    first = {"target": 1, "n_touched": 2, "n_applied": 1, "n_normal": 1, "n_failed": 1, "n_reverted": 1}
    assert found["stages"][0].items() >= first.items()
    assert found["plan"]["arrangement"] == "edges"
    again = await api.http.get("/v1/rollouts/r-1", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    api.registry.write_rollout(RolloutWrite("r-1", members=[make_member(0, state=MemberState.LEFT_OUT)]))
    again = await api.http.get("/v1/rollouts/r-1", headers={"if-none-match": answer.headers["etag"]})
    assert again.json()["n_left_out"] == 1
    assert (await api.http.get("/v1/rollouts/r-9")).status_code == 404


async def test_members_and_history_are_paged(api: Api) -> None:
    fill(api)
    page = (await api.http.get("/v1/rollouts/r-1/members", params={"limit": 2})).json()
    rest = (await api.http.get("/v1/rollouts/r-1/members", params={"cursor": page["next_cursor"]})).json()
    assert [m["sensor"] for m in page["items"] + rest["items"]] == ["tc-0", "tc-1", "tc-2"]
    (failed,) = (await api.http.get("/v1/rollouts/r-1/members", params={"state": "reverted"})).json()["items"]
    assert (failed["failure"], failed["back_id"], failed["before"]["limit"]) == ("worse", "x", 0.5)
    moves = (await api.http.get("/v1/rollouts/r-1/history", params={"limit": 1})).json()
    rest = (await api.http.get("/v1/rollouts/r-1/history", params={"cursor": moves["next_cursor"]})).json()
    assert [(m["action"], m["sensor"]) for m in moves["items"] + rest["items"]] == [
        ("rollout.failed", "tc-1"), ("rollout.begin", None),
    ]  # fmt: skip
    for part in ("members", "history"):
        assert (await api.http.get(f"/v1/rollouts/r-9/{part}")).status_code == 404


async def test_rollouts_are_listed_newest_first(api: Api) -> None:
    for k in range(3):
        api.registry.write_rollout(RolloutWrite(f"r-{k}", make_rollout(f"r-{k}", k=k)))
    page = (await api.http.get("/v1/rollouts", params={"limit": 2})).json()
    rest = (await api.http.get("/v1/rollouts", params={"cursor": page["next_cursor"]})).json()
    assert [r["id"] for r in page["items"] + rest["items"]] == ["r-2", "r-1", "r-0"]
    assert (await api.http.get("/v1/rollouts", params={"state": "paused"})).json()["items"] == []


@pytest.mark.parametrize(
    "path", ["/v1/rollouts", "/v1/rollouts/r-1/history", "/v1/orders", "/v1/calibrations", "/v1/audit"]
)
@pytest.mark.parametrize("position", ["9" * 19, f"{1 << 63} x", "-1", "x", ""])
async def test_a_cursor_that_is_none_of_ours_is_refused(api: Api, path: str, position: str) -> None:
    fill(api)
    answer = await api.http.get(path, params={"cursor": pages.encode(position)})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:dyncal:problem:cursor"), answer.text


async def test_what_waits_can_be_listed(api: Api) -> None:
    api.registry.add_set(make_set(1), b"e", SetState.PUBLISHED, act())
    api.registry.add_set(make_set(2), b"", SetState.VERIFIED, act(1))
    (found,) = (await api.http.get("/v1/rollouts/candidates")).json()["items"]
    assert (found["sensor"], found["edge"], found["set_id"], found["since_ns"]) == (
        S1, "edge-1", "tc-1-2", act(1).at_ns,
    )  # fmt: skip


async def test_a_rollout_is_ordered_once_for_each_key(api: Api) -> None:
    first = await api.http.post("/v1/rollouts", json=BODY, headers={"idempotency-key": "k1"})
    assert first.status_code == 202
    order = first.json()
    assert (order["kind"], order["state"], order["reason"]) == ("rollout.start", "waiting", "because")
    assert order["subject"] == "r-" + order["id"].removeprefix("o-")
    assert order["body"]["sensors"] == ["tc-1"]
    assert order["body"]["plan"]["stages"] == [{"share": 1.0, "soak_s": 5.0}]
    again = await api.http.post("/v1/rollouts", json=BODY, headers={"idempotency-key": "k1"})
    assert (again.status_code, again.json()) == (202, order)
    other = await api.http.post("/v1/rollouts", json=BODY | {"reason": "x"}, headers={"idempotency-key": "k1"})
    assert (other.status_code, other.json()["type"]) == (422, "urn:dyncal:problem:key-reused")
    assert (await api.http.get(first.headers["location"])).json() == order
    assert len(api.registry.waiting_orders()) == 1
    listed = (await api.http.get("/v1/orders", params={"subject": order["subject"]})).json()["items"]
    assert listed == [order]


async def test_who_waits_gets_the_answer(api: Api) -> None:
    async def answer() -> None:
        while not (orders := api.registry.waiting_orders()):
            await asyncio.sleep(0.01)
        said = Answer(orders[0].id, OrderState.REFUSED, "no rollout r-1 goes on", act(5).at_ns)
        api.registry.answer_order(said, Act("calibrate", act(5).at_ns))

    task = asyncio.create_task(answer())
    found = await api.http.post(
        "/v1/rollouts/r-1/resume", json={"reason": "go", "accept": True}, headers={"prefer": "wait=5"}
    )
    await task
    assert found.status_code == 200
    assert (found.json()["state"], found.json()["answer"]) == ("refused", "no rollout r-1 goes on")
    assert api.registry.order(found.json()["id"]).body == {"accept": True}


@pytest.mark.parametrize(("verb", "kind"), [("pause", OrderKind.ROLLOUT_PAUSE), ("abort", OrderKind.ROLLOUT_ABORT)])
async def test_commands_become_orders_with_a_reason(api: Api, verb: str, kind: OrderKind) -> None:
    for nothing in ("", "a\0b"):
        assert (await api.http.post(f"/v1/rollouts/r-1/{verb}", json={"reason": nothing})).status_code == 422
    answer = await api.http.post(f"/v1/rollouts/r-1/{verb}", json={"reason": "stop"})
    assert answer.status_code == 202
    (order,) = api.registry.waiting_orders()
    assert (order.kind, order.subject, order.reason) == (kind, "r-1", "stop")


@pytest.mark.parametrize(
    "wrong",
    [
        {"plan": {"stages": [{"share": 0.5, "soak_s": 1}]}},
        {"plan": {"stages": []}},
        {"plan": {"abort_share": 2}},
        {"sensors": ["a b"]},
        {"plans": {}},
        {"reason": ""},
    ],
)
async def test_what_makes_no_sense_is_not_ordered(api: Api, wrong: dict[str, object]) -> None:
    answer = await api.http.post("/v1/rollouts", json=BODY | wrong)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.registry.waiting_orders() == []
