"""The outlets of a whole API service: conditions come in over the bus, and third parties are told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from asyncua import Client, ua

from dyncal.adapters.opcua.pki import Pki
from dyncal.contracts import conditions, topics
from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.time import InstantNs
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.ports import free_port
from tests.integration.api.plant import EDGE, SITE, Plant, running
from tests.integration.outlets.receiver import Receiver, receiving
from tests.integration.outlets.test_opcua import Seen, node

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def webhook(tmp_path: Path, receiver: Receiver, **more: Any) -> dict[str, Any]:
    (tmp_path / "secret").write_text(SECRET)
    url = f"http://127.0.0.1:{receiver.port}/"
    return {"name": "cmms", "url": url, "secret_file": str(tmp_path / "secret"), **more}


async def until(condition: Any, timeout_s: float = 15) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)


def of_alarm(receiver: Receiver, alarm: str) -> list[tuple[str, str]]:
    data = [post.message["data"] for post in receiver.posts]
    return [(each["event"], each["state"]) for each in data if each["id"] == alarm]


async def test_a_drift_is_told_by_webhook_with_what_people_did_about_it(tmp_path: Path) -> None:
    async with receiving() as receiver:
        api: dict[str, Any] = {"webhooks": [webhook(tmp_path, receiver, kinds=["drift"])]}
        async with (
            running(2, history_s=2, feed=False, **api) as plant,
            httpx.AsyncClient(base_url=plant.service.address) as client,
        ):
            plant.alarm("TT-101")
            await until(lambda: of_alarm(receiver, "TT-101:drift"))
            await client.post("/v1/alarms/TT-101:drift/commands", json={"command": "acknowledge", "reason": "seen"})
            plant.alarm("TT-101", holds=False)
            await until(lambda: len(of_alarm(receiver, "TT-101:drift")) == 3)
            assert of_alarm(receiver, "TT-101:drift") == [
                ("raised", "unacknowledged"),
                ("acknowledged", "acknowledged"),
                ("cleared", "normal"),
            ]
            acknowledged = receiver.posts[1].message["data"]
            assert (acknowledged["actor"], acknowledged["reason"]) == ("http:127.0.0.1", "seen")
            assert plant.service.health().parts["outlet.cmms"] == ""
            metrics = (await client.get("/metrics")).text
            assert 'dyncal_outlet_attempts_total{outcome="delivered",target="cmms"} 3.0' in metrics


async def test_a_receiver_that_is_away_does_not_make_the_service_unready(tmp_path: Path) -> None:
    api: dict[str, Any] = {"webhooks": [webhook(tmp_path, Receiver(port=free_port()))]}
    async with running(2, history_s=2, feed=False, **api) as plant:
        await until(lambda: plant.service.health().ready)
        plant.alarm("TT-101")
        await until(lambda: plant.service.health().parts["outlet.cmms"])
        assert plant.service.health().ready


async def test_a_thousand_alarms_are_all_told(tmp_path: Path) -> None:
    async with receiving() as receiver:
        api: dict[str, Any] = {"webhooks": [webhook(tmp_path, receiver, at_once=8)]}
        async with running(1, history_s=2, feed=False, **api) as plant:
            clock = SystemClock()
            await until(lambda: plant.service.health().ready)
            began_s = clock.monotonic_s()
            for k in range(1000):
                _raise(plant, f"s-{k:04d}")
            ids = {f"s-{k:04d}:drift" for k in range(1000)}
            await until(lambda: ids <= {post.message["data"]["id"] for post in receiver.posts}, 60)
            assert len(receiver.posts) == len(set(receiver.ids))
            assert clock.monotonic_s() - began_s < 60


def _raise(plant: Plant, sensor: str) -> None:
    now = InstantNs(plant.clock.now())
    found = Condition(SITE, sensor, AlarmKind.DRIFT, True, now, EDGE)
    topic = topics.condition(SITE, found.source, found.kind)
    plant.broker.publish(topic, conditions.encode(found, "calibrate", now), retain=True)


async def test_an_opcua_client_sees_the_plant_and_acknowledges(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pa55")
    user = {"name": "maria", "password_file": str(tmp_path / "password"), "operates": True}
    url = f"opc.tcp://127.0.0.1:{free_port()}/dyncal"
    opcua = {"enabled": True, "url": url, "allow_none": True, "users": [user], "interval_s": 0.1}
    async with (
        running(2, history_s=2, opcua=opcua) as plant,
        httpx.AsyncClient(base_url=plant.service.address) as http,
    ):
        await until(lambda: plant.service.health().parts.get("outlet.opcua") == "", 30)
        client = Client(url)
        client.set_user("maria")
        client.set_password("pa55")
        own = Pki(tmp_path / "client", "urn:test:client", SystemClock()).own()
        client.application_uri = own.application_uri
        async with client:
            seen = Seen()
            subscription = await client.create_subscription(100, seen)
            await subscription.subscribe_data_change(node(client, "sensor/TT-101/Raw"))
            await subscription.subscribe_alarms_and_conditions(ua.ObjectIds.Server, ua.ObjectIds.AlarmConditionType)
            await seen.until(3)
            stamps = [value.SourceTimestamp for _, value in seen.values]
            assert stamps == sorted(set(stamps))
            plant.alarm("TT-101")
            await until(lambda: any(event.SourceName == "TT-101" for event in seen.events))
            told = next(event for event in seen.events if event.SourceName == "TT-101")
            await node(client, "alarm/TT-101:drift").call_method(
                ua.NodeId(ua.ObjectIds.AcknowledgeableConditionType_Acknowledge),
                ua.Variant(told.EventId, ua.VariantType.ByteString),
                ua.LocalizedText("over OPC UA"),
            )
            alarm = (await http.get("/v1/alarms/TT-101:drift")).json()
            assert alarm["alarm"]["acknowledged_by"] == "opcua:maria"
            assert alarm["history"][0]["reason"] == "over OPC UA"
            assert await node(client, "sensor/TT-101/State").read_value() == "maintenance_required"
            with pytest.raises(ua.uaerrors.BadConditionBranchAlreadyAcked):
                await node(client, "alarm/TT-101:drift").call_method(
                    ua.NodeId(ua.ObjectIds.AcknowledgeableConditionType_Acknowledge),
                    ua.Variant(told.EventId, ua.VariantType.ByteString),
                    ua.LocalizedText("again"),
                )
