"""The OPC UA server: who is let in, what may be done, and 10 000 sensors."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua
from asyncua.crypto import security_policies

from dyncal.adapters.opcua.pki import Pki
from dyncal.domain import quality
from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.clocks import SystemClock
from services.api.outlets.settings import OpcuaServerSettings
from services.api.state import SensorState, Standing
from tests.integration.outlets.opcua import Serving, serving
from tests.unit.services.api.outlets.alarms import change

T0_NS = 1_769_860_800_123_456_000
URI = "urn:test:client"


class Seen:
    """What a subscription brought."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.events: list[Any] = []

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        del node
        self.values.append((value, data.monitored_item.Value))

    def event_notification(self, event: Any) -> None:
        self.events.append(event)

    async def until(self, n: int, what: str = "values") -> None:
        async with asyncio.timeout(40):
            while len(getattr(self, what)) < n:
                await asyncio.sleep(0.02)


def node(client: Client, identifier: str) -> Any:
    return client.get_node(f"ns=2;s={identifier}")


async def secured(served: Serving, directory: Path, *, trusted: bool = True) -> Client:
    """Return a client with a certificate."""
    own = await asyncio.to_thread(Pki(directory, URI, SystemClock()).own)
    if trusted:
        await asyncio.to_thread(_trust, served, own.certificate)
    client = Client(served.url)
    client.application_uri = URI
    await client.set_security(
        security_policies.SecurityPolicyBasic256Sha256, str(own.certificate), str(own.private_key)
    )
    return client


def _trust(served: Serving, certificate: Path) -> None:
    (served.directory / "trusted").mkdir(parents=True, exist_ok=True)
    (served.directory / "trusted" / "client.der").write_bytes(certificate.read_bytes())


def user(tmp_path: Path, *, operates: bool) -> dict[str, Any]:
    (tmp_path / "password").write_text("pa55")
    return {"name": "maria", "password_file": tmp_path / "password", "operates": operates}


async def test_values_carry_status_codes_and_source_time_stamps(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Client(served.url) as client:
        raw, corrected = node(client, "sensor/TT-1/Raw"), node(client, "sensor/TT-1/Corrected")
        never = await raw.read_data_value(raise_on_bad_status=False)
        assert never.StatusCode.value == ua.StatusCodes.BadWaitingForInitialData
        served.plant.put("TT-1", T0_NS, 20.5, 21.0, 0.1, quality=quality.UNCERTAIN_SENSOR_NOT_ACCURATE)
        value = await raw.read_data_value(raise_on_bad_status=False)
        assert (value.Value.Value, value.StatusCode.value) == (20.5, quality.UNCERTAIN_SENSOR_NOT_ACCURATE)
        assert value.SourceTimestamp.isoformat() == "2026-01-31T12:00:00.123456+00:00"
        served.plant.states["TT-1"] = Standing(SensorState.OUT_OF_SPECIFICATION, "out of tolerance")
        value = await corrected.read_data_value(raise_on_bad_status=False)
        assert value.StatusCode.value == quality.UNCERTAIN_SENSOR_NOT_ACCURATE
        assert await node(client, "sensor/TT-1/DeviceHealth").read_value() == 3
        served.plant.stales.add("TT-1")
        served.plant.put("TT-1", T0_NS, 20.5, 21.0, 0.1)
        value = await raw.read_data_value(raise_on_bad_status=False)
        assert value.StatusCode.value == quality.UNCERTAIN_LAST_USABLE_VALUE
        served.plant.put("TT-1", T0_NS, 20.5, 21.0, 0.1, quality=quality.BAD_OUT_OF_RANGE)
        value = await raw.read_data_value(raise_on_bad_status=False)
        assert (value.Value.Value, value.StatusCode.value) == (None, quality.BAD_OUT_OF_RANGE)


async def test_a_subscription_gets_what_changes_and_outlives_its_sensor(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Client(served.url) as client:
        seen = Seen()
        subscription = await client.create_subscription(50, seen)
        item = await subscription.subscribe_data_change(node(client, "sensor/TT-2/Corrected"))
        await seen.until(1)
        for k in range(3):
            served.plant.put("TT-2", T0_NS + k, 20.5, 21.0 + k, 0.1)
            await seen.until(2 + k)
        assert [value for value, _ in seen.values] == [None, 21.0, 22.0, 23.0]
        served.plant.declare(2)
        await seen.until(5)
        assert seen.values[-1][1].StatusCode.value == ua.StatusCodes.BadNodeIdUnknown
        assert served.outlet.n_watched == 1
        await subscription.unsubscribe(item)
        assert served.outlet.n_watched == 0
        with pytest.raises(ua.UaStatusCodeError):
            await node(client, "sensor/TT-9/Corrected").read_value()


async def test_nobody_is_registered_for_others_to_find(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = Client(served.url)
        await client.connect_sessionless()
        try:
            with pytest.raises(ua.uaerrors.BadServiceUnsupported):
                await client.uaclient.register_server(
                    ua.RegisteredServer(ServerUri="urn:evil", ServerNames=[ua.LocalizedText("x")])
                )
        finally:
            await client.disconnect_sessionless()


async def test_nobody_writes_or_adds_nodes(tmp_path: Path) -> None:
    async with serving(tmp_path, users=[user(tmp_path, operates=True)]) as served:
        served.plant.put("TT-0", T0_NS, 20.5, 21.0, 0.1)
        client = Client(served.url)
        client.set_user("admin")  # asyncua's own server takes this name without a password
        with pytest.raises(ua.UaStatusCodeError):
            await client.connect()
        async with Client(served.url) as client:
            for identifier in ("sensor/TT-0/Corrected", "sensor/TT-0/State"):
                with pytest.raises(ua.uaerrors.BadUserAccessDenied):
                    await node(client, identifier).write_value(1.0)
            with pytest.raises(ua.UaStatusCodeError):
                await client.nodes.objects.add_object(2, "mine")


async def test_without_security_nobody_is_let_in_unless_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, allow_none=False) as served:
        with monkeypatch.context() as patched:  # a client that goes on although no such endpoint is offered
            patched.setattr(Client, "find_endpoint", staticmethod(lambda endpoints, *_: next(iter(endpoints))))
            with pytest.raises(ua.uaerrors.BadSecurityModeRejected):
                await Client(served.url).connect()
        async with await secured(served, tmp_path / "client") as client:
            assert await node(client, "sensor/TT-0/State").read_value() == "normal"


async def test_a_certificate_that_is_not_trusted_lets_nobody_in(tmp_path: Path) -> None:
    async with serving(tmp_path, allow_none=False) as served:
        client = await secured(served, tmp_path / "client", trusted=False)
        with pytest.raises(ua.uaerrors.BadSecurityChecksFailed):
            await client.connect()
        assert len(list((served.directory / "rejected").iterdir())) == 1


@pytest.mark.parametrize("allow_none", [False, True])
@pytest.mark.parametrize("shown", ["none", "another"])
async def test_the_certificate_of_the_channel_counts_and_not_the_one_that_is_named(
    tmp_path: Path, shown: str, allow_none: bool
) -> None:
    """A channel of an untrusted key, and a session that names no certificate, or the public one of somebody trusted."""
    async with serving(tmp_path, allow_none=allow_none) as served:
        trusted = Pki(tmp_path / "trusted-client", URI, SystemClock()).own()
        _trust(served, trusted.certificate)
        client = await secured(served, tmp_path / "client", trusted=False)
        other = trusted.certificate.read_bytes() if shown == "another" else None
        create = client.uaclient.create_session

        async def lying(params: Any) -> Any:
            params.ClientCertificate = other
            return await create(params)

        client.uaclient.create_session = lying
        with pytest.raises(ua.uaerrors.BadSecurityChecksFailed):
            await client.connect()


async def test_who_only_looks_gives_no_commands(tmp_path: Path) -> None:
    async with serving(tmp_path, allow_none=False, users=[user(tmp_path, operates=False)]) as served:
        served.feed.add(change(1, "TT-0"))
        served.outlet.wake()
        await asyncio.sleep(0.2)
        for name in ("", "maria"):
            client = await secured(served, tmp_path / "client")
            if name:
                client.set_user(name)
                client.set_password("pa55")
            async with client:
                with pytest.raises(ua.uaerrors.BadUserAccessDenied):
                    await node(client, "alarm/TT-0:drift/ShelvingState").call_method(
                        ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_TimedShelve), 1000.0
                    )
        assert not served.desk.wishes


async def test_methods_refuse_what_makes_no_sense(tmp_path: Path) -> None:
    async with serving(tmp_path, allow_none=False, users=[user(tmp_path, operates=True)]) as served:
        served.feed.add(change(1, "TT-0"), change(2, "TT-1"))
        served.outlet.wake()
        client = await secured(served, tmp_path / "client")
        client.set_user("maria")
        client.set_password("pa55")
        async with client:
            await asyncio.sleep(0.2)
            alarm = node(client, "alarm/TT-0:drift")
            other = await node(client, "alarm/TT-1:drift/EventId").read_value()
            acknowledge = ua.NodeId(ua.ObjectIds.AcknowledgeableConditionType_Acknowledge)
            text = ua.LocalizedText("seen")
            for event in (other, b"", b"0" * 16):
                with pytest.raises(ua.uaerrors.BadEventIdUnknown):
                    await alarm.call_method(acknowledge, ua.Variant(event, ua.VariantType.ByteString), text)
            for shelving_ms in (-1.0, 0.0, float("nan"), float("inf")):
                with pytest.raises(ua.uaerrors.BadShelvingTimeOutOfRange):
                    await node(client, "alarm/TT-0:drift/ShelvingState").call_method(
                        ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_TimedShelve), shelving_ms
                    )
            with pytest.raises(ua.UaStatusCodeError):
                await node(client, "sensor/TT-0").call_method(acknowledge, other, text)
            refresh = ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh)
            with pytest.raises(ua.uaerrors.BadSubscriptionIdInvalid):
                await client.get_node(ua.ObjectIds.ConditionType).call_method(
                    refresh, ua.Variant(4711, ua.VariantType.UInt32)
                )
        assert not served.desk.wishes


async def test_subscriptions_of_others_are_out_of_reach(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Client(served.url) as client, Client(served.url) as other:
        seen = Seen()
        subscription = await client.create_subscription(50, seen)
        await subscription.subscribe_data_change(node(client, "sensor/TT-0/Corrected"))
        await seen.until(1)
        number = subscription.subscription_id
        mode = ua.SetPublishingModeParameters(PublishingEnabled=False, SubscriptionIds=[number])
        for trespass in (
            other.uaclient.delete_subscriptions([number]),
            other.uaclient.set_publishing_mode(mode),
            other.uaclient.delete_monitored_items(
                ua.DeleteMonitoredItemsParameters(SubscriptionId=number, MonitoredItemIds=[112])
            ),
        ):
            with pytest.raises(ua.uaerrors.BadSubscriptionIdInvalid):
                await trespass
        served.plant.put("TT-0", T0_NS, 20.5, 21.0, 0.1)
        await seen.until(2)
        with pytest.raises(ua.uaerrors.BadSubscriptionIdInvalid):
            await other.get_node(ua.ObjectIds.ConditionType).call_method(
                ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh),
                ua.Variant(subscription.subscription_id, ua.VariantType.UInt32),
            )


@pytest.mark.parametrize(("asked_ms", "given_ms"), [(0.0, 50), (-1.0, 50), (1e-9, 50), (1e15, 3_600_000), (500.0, 500)])
async def test_intervals_are_such_that_a_server_can_keep_them(tmp_path: Path, asked_ms: float, given_ms: float) -> None:
    async with serving(tmp_path) as served, Client(served.url) as client:
        asked = ua.CreateSubscriptionParameters(RequestedPublishingInterval=asked_ms, PublishingEnabled=True)
        made = await client.uaclient.create_subscription(asked, lambda _: None)
        assert made.RevisedPublishingInterval == given_ms


async def test_queues_are_bounded_when_items_are_made_and_when_they_are_modified(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Client(served.url) as client:
        number = (await client.create_subscription(50, Seen())).subscription_id

        async def make(identifier: str, attribute: Any, size: int) -> Any:
            read = ua.ReadValueId(NodeId=node(client, identifier).nodeid, AttributeId=attribute)
            chosen = ua.EventFilter() if attribute is ua.AttributeIds.EventNotifier else None
            wanted = ua.MonitoringParameters(ClientHandle=1, QueueSize=size, Filter=chosen)
            item = ua.MonitoredItemCreateRequest(
                ItemToMonitor=read, MonitoringMode=ua.MonitoringMode.Reporting, RequestedParameters=wanted
            )
            asked = ua.CreateMonitoredItemsParameters(SubscriptionId=number, ItemsToCreate=[item])
            return (await client.uaclient.create_monitored_items(asked))[0]

        async def modify(item: int, size: int) -> Any:
            wanted = ua.MonitoringParameters(ClientHandle=1, QueueSize=size)
            request = ua.MonitoredItemModifyRequest(MonitoredItemId=item, RequestedParameters=wanted)
            asked = ua.ModifyMonitoredItemsParameters(SubscriptionId=number, ItemsToModify=[request])
            return (await client.uaclient.modify_monitored_items(asked))[0]

        value = await make("sensor/TT-0/Corrected", ua.AttributeIds.Value, 2**32 - 1)
        events = await make("site", ua.AttributeIds.EventNotifier, 0)
        assert (value.RevisedQueueSize, events.RevisedQueueSize) == (100, 10_000)
        for made, size, revised in ((value, 2**32 - 1, 100), (value, 0, 1), (events, 0, 10_000), (events, 50, 50)):
            assert (await modify(made.MonitoredItemId, size)).RevisedQueueSize == revised
        assert (await modify(4711, 1)).StatusCode.value == ua.StatusCodes.BadMonitoredItemIdInvalid


async def test_a_thousand_alarms_reach_a_subscriber_exactly_once_and_in_order(tmp_path: Path) -> None:
    async with serving(tmp_path, n=1000) as served, Client(served.url, timeout=60) as client:
        seen = Seen()
        subscription = await client.create_subscription(100, seen, queue_maxsize=5000)
        await subscription.subscribe_alarms_and_conditions(
            ua.ObjectIds.Server, ua.ObjectIds.AlarmConditionType, queuesize=5000
        )
        served.feed.add(*(change(k + 1, f"TT-{k}") for k in range(1000)))
        served.outlet.wake()
        await seen.until(1000, "events")
        assert [event.SourceName for event in seen.events] == [f"TT-{k}" for k in range(1000)]


async def test_ten_thousand_sensors_are_browsed_and_read(tmp_path: Path) -> None:
    async with serving(tmp_path, n=10_000) as served, Client(served.url, timeout=30) as client:
        edges = await node(client, "site").get_children(refs=ua.ObjectIds.Organizes)
        assert len(edges) == 100
        sensors = await edges[99].get_children(refs=ua.ObjectIds.Organizes)
        assert sensors[-1].nodeid.Identifier == "sensor/TT-9999"
        served.plant.put("TT-9999", T0_NS, 1.0, 2.0, 0.1)
        assert await node(client, "sensor/TT-9999/Corrected").read_value() == 2.0


async def test_an_address_that_is_taken_is_said(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        with pytest.raises(InvalidSetting, match=r"api\.opcua\.url"):
            async with serving(tmp_path, url=served.url):
                pass


@pytest.mark.parametrize(
    "wrong",
    [
        {"security_modes": ()},
        {"anonymous": False},
        {"url": "opc.tcp://127.0.0.1"},
        {"allow_none": True, "security_policies": (), "users": ({"name": "a", "password_file": "b"},)},
        {"users": ({"name": "a", "password_file": "b"}, {"name": "a", "password_file": "c"})},
    ],
)
def test_settings_that_let_nobody_in_or_give_secrets_away_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"nobody could|in the clear|pattern|more than one"):
        OpcuaServerSettings.model_validate(wrong)
