"""History, approval, going back, policies, and the way from a value to a reference."""

from __future__ import annotations

import asyncio
import dataclasses

import httpx
import numpy as np

from dyncal.contracts import residuals as contract
from dyncal.domain.coefficients import SetState
from dyncal.domain.orders import Answer, OrderState
from dyncal.domain.quality import good
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.samples import CorrectedSpan, SampleBlock
from dyncal.domain.sensors import EdgeId
from dyncal.domain.time import ExplicitAxis, InstantNs
from dyncal.testing.registry import S1, S2, T0, act, make_calibration, make_set
from services.api.consumer import BusConsumer
from services.api.residuals import ResidualFigures
from tests.unit.services.api.conftest import Api

COEFFICIENTS = f"/v1/sensors/{S1}/coefficients"
POLICY = f"/v1/sensors/{S1}/policy"


@dataclasses.dataclass(slots=True)
class Said:
    """A message from the broker."""

    topic: str
    payload: bytes
    retained: bool = False

    def ack(self) -> None:
        """Nothing waits for it."""


def put_sets(api: Api) -> None:
    api.registry.add_calibration(make_calibration(), act())
    api.registry.add_set(make_set(1), b"e1", SetState.PUBLISHED, act(1))
    api.registry.add_set(make_set(2), b"e2", SetState.PUBLISHED, act(2))
    api.registry.set_state("tc-1-1", SetState.ACTIVE, act(3))
    api.registry.set_state("tc-1-2", SetState.ACTIVE, act(4))
    api.registry.add_set(
        make_set(3), b"", SetState.VERIFIED, act(5, "asks for approval"), earlier=[(SetState.CANDIDATE, act(5))]
    )


async def test_the_sets_of_a_sensor_with_all_that_was_done_with_them(api: Api) -> None:
    put_sets(api)
    found = (await api.http.get(COEFFICIENTS)).json()
    assert (found["sensor"], found["policy"], found["in_force"]) == (S1, None, "tc-1-2")
    assert [(i["set"]["id"], i["set"]["state"], i["waits"], i["can_go_back"]) for i in found["items"]] == [
        ("tc-1-3", "verified", True, False), ("tc-1-2", "active", False, False), ("tc-1-1", "superseded", False, True),
    ]  # fmt: skip
    assert [m["state"] for m in found["items"][0]["moves"]] == ["candidate", "verified"]
    assert found["items"][0]["calibration"]["conformity"]["rule"] == "rule"
    assert len((await api.http.get(COEFFICIENTS, params={"limit": 1})).json()["items"]) == 1
    assert (await api.http.get("/v1/sensors/nobody/coefficients")).status_code == 404


async def test_moves_are_paged(api: Api) -> None:
    put_sets(api)
    address, seen = f"/v1/sensors/{S1}/moves?limit=3", []
    while address:
        answer = await api.http.get(address)
        seen += [(m["set_id"], m["state"]) for m in answer.json()["items"]]
        address = answer.links.get("next", {}).get("url", "")
    assert seen == [(m.set_id, m.state) for m in api.registry.sensor_moves(S1)]
    assert len(seen) == 7


async def test_a_decision_is_an_order_for_calibrate(api: Api) -> None:
    put_sets(api)
    body = {"reason": "looks right"}
    answer = await api.http.post(f"{COEFFICIENTS}/tc-1-3/approve", json=body, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 202
    again = await api.http.post(f"{COEFFICIENTS}/tc-1-3/approve", json=body, headers={"Idempotency-Key": "k1"})
    assert again.json() == answer.json()
    (waiting,) = api.registry.waiting_orders()
    assert (waiting.kind, waiting.subject, waiting.reason) == ("set.approve", "tc-1-3", "looks right")
    assert answer.headers["location"] == f"/v1/orders/{waiting.id}"
    assert (await api.http.post(f"{COEFFICIENTS}/tc-1-3/reject", json=body)).status_code == 202
    assert [o.kind for o in api.registry.waiting_orders()] == ["set.approve", "set.reject"]
    assert api.registry.coefficient_set("tc-1-3").state is SetState.VERIFIED  # nothing was done yet


async def test_who_prefers_to_wait_gets_the_answer(api: Api) -> None:
    put_sets(api)

    async def calibrate() -> None:
        while not api.registry.waiting_orders():
            await asyncio.sleep(0.01)
        (order,) = api.registry.waiting_orders()
        assert order.body == {"to": "tc-1-1"}
        api.registry.answer_order(Answer(order.id, OrderState.REFUSED, "no", order.at_ns), act(9))

    async with asyncio.TaskGroup() as group:
        group.create_task(calibrate())
        asked = group.create_task(
            api.http.post(
                f"/v1/sensors/{S1}/roll-back", json={"reason": "rings", "to": "tc-1-1"}, headers={"Prefer": "wait=9"}
            )
        )
    answer: httpx.Response = asked.result()
    assert (answer.status_code, answer.json()["state"], answer.json()["answer"]) == (200, "refused", "no")


async def test_an_order_needs_a_reason_and_a_set_of_that_sensor(api: Api) -> None:
    put_sets(api)
    api.registry.add_set(make_set(1, S2), b"", SetState.VERIFIED, act(1))
    for path, body, status in (
        (f"{COEFFICIENTS}/tc-1-3/approve", {}, 422),
        (f"{COEFFICIENTS}/tc-1-3/approve", {"reason": ""}, 422),
        (f"{COEFFICIENTS}/tc-1-3/approve", {"reason": "a\x00b"}, 422),
        (f"{COEFFICIENTS}/tc-2-1/approve", {"reason": "why"}, 404),
        (f"{COEFFICIENTS}/none/reject", {"reason": "why"}, 404),
        ("/v1/sensors/nobody/roll-back", {"reason": "why"}, 404),
    ):
        assert (await api.http.post(path, json=body)).status_code == status, path
    assert api.registry.waiting_orders() == []


async def test_a_policy_is_put_only_as_it_was_seen(api: Api) -> None:
    assert (await api.http.get(POLICY)).status_code == 404
    body = {"mode": "within_bounds", "max_parameter_change": {"tau_s": 0.1}, "shadow_s": 60.0}
    put = await api.http.put(POLICY, json=body, params={"reason": "new plant"})
    assert put.status_code == 200
    got = await api.http.get(POLICY)
    assert got.headers["etag"] == put.headers["etag"]
    assert got.json() == {**body, "max_response_change": None}
    assert (await api.http.get(POLICY, headers={"If-None-Match": put.headers["etag"]})).status_code == 304
    other = {"mode": "approval"}
    assert (await api.http.put(POLICY, json=other, headers={"If-Match": '"old"'})).status_code == 412
    tag = {"If-Match": put.headers["etag"]}
    assert (await api.http.put(POLICY, json=other, headers=tag)).status_code == 200
    assert (await api.http.delete(POLICY, headers=tag)).status_code == 412
    assert (await api.http.delete(POLICY)).status_code == 204
    assert (await api.http.delete(POLICY)).status_code == 404
    assert [e.action for e in api.registry.audit()[-3:]] == ["policy.put", "policy.put", "policy.remove"]


async def test_a_policy_that_makes_no_sense_is_refused(api: Api) -> None:
    for body in (
        {"mode": "within_bounds"},
        {"mode": "within_bounds", "max_parameter_change": {"no_such": 0.1}},
        {"mode": "within_bounds", "max_parameter_change": {"tau_s": 0}},
        {"mode": "approval", "max_response_change": 0.1},
        {"mode": "approval", "shadow_s": -1},
        {"mode": "whatever"},
    ):
        assert (await api.http.put(POLICY, json=body)).status_code == 422, body
    assert api.registry.policies() == {}


async def test_what_edges_say_of_residuals_is_shown_and_only_of_their_own_sensors(api: Api) -> None:
    put_sets(api)
    consumer = BusConsumer(api.deps)

    async def say(edge: str, *found: ResidualReport) -> None:
        for payload in contract.encode(found, InstantNs(T0)):
            await consumer._take(Said(f"dyncal/v1/plant/{edge}/residuals", payload))

    await say("edge-1", ResidualReport(S1, "tc-1-2", 0.3, 0.5, 3), ResidualReport(S1, "tc-1-3", 0.1, 0.5, 1, True, 0.2))
    await say("edge-1", ResidualReport(S1, "tc-1-2", 0.1, 0.5, 1))
    await say("edge-2", ResidualReport(S1, "tc-1-2", 9.0, 0.5, 1))
    items = (await api.http.get(COEFFICIENTS)).json()["items"]
    residuals = {i["set"]["id"]: i["residual"] for i in items}
    assert residuals["tc-1-1"] is None
    assert residuals["tc-1-2"]["n"] == 4
    assert residuals["tc-1-2"]["rms"] == np.sqrt((3 * 0.3**2 + 0.1**2) / 4)
    assert (residuals["tc-1-3"]["shadow"], residuals["tc-1-3"]["difference"]) == (True, 0.2)


async def test_one_call_leads_from_a_value_to_the_reference(api: Api) -> None:
    put_sets(api)
    t_ns = T0 + 100_000_000 * np.arange(10, dtype=np.int64)
    span = CorrectedSpan(ExplicitAxis(t_ns[:8]), np.arange(8.0), np.full(8, 0.1), "tc-1-2")
    block = SampleBlock(
        S1, EdgeId("edge-1"), 1, 0, ExplicitAxis(t_ns), np.arange(10.0) + 0.5, good(10), InstantNs(T0), corrected=span
    )
    api.store.write([block])
    found = (await api.http.get(f"/v1/sensors/{S1}/chain", params={"at": str(t_ns[9])})).json()
    assert found["sample"] == {
        "t_ns": int(t_ns[7]), "raw": 7.5, "corrected": 7.0, "u": 0.1, "quality": 0, "set_id": "tc-1-2",
    }  # fmt: skip
    assert found["state"] == "active"
    assert [m["state"] for m in found["moves"]] == ["published", "active"]
    first, last = found["chain"]["steps"]
    assert (first["sensor"], first["reference"], first["calibration"]["id"]) == (S1, S2, "cal-1")
    assert last["sensor"] == S2
    earlier = (await api.http.get(f"/v1/sensors/{S1}/chain", params={"at": str(t_ns[3] + 1)})).json()
    assert earlier["sample"]["t_ns"] == t_ns[3]
    assert (await api.http.get(f"/v1/sensors/{S1}/chain", params={"at": str(T0 - 1)})).status_code == 404


def test_only_the_newest_sets_of_a_sensor_are_kept() -> None:
    book = ResidualFigures(limit=1)
    edge = EdgeId("edge-1")
    for k in range(9):
        assert book.put(edge, [ResidualReport(S1, f"s-{k}", 1.0, 1.0, 1)], InstantNs(T0))
    assert list(book.of(edge, S1)) == ["s-5", "s-6", "s-7", "s-8"]
    assert not book.put(edge, [ResidualReport(S2, "x", 1.0, 1.0, 1)], InstantNs(T0))
