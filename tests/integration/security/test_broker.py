"""The broker as deploy/mosquitto sets it up: who gets in, and what each may read and write."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from dyncal.adapters.authority import Authority, Purpose
from dyncal.adapters.mqtt.bus import tls_context
from dyncal.cli import doctor
from dyncal.contracts import topics
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.errors import InvalidSetting
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import BrokerSettings
from tests.servers_mosquitto import SecureMosquitto

pytestmark = [
    pytest.mark.mosquitto,
    # paho leaves the socket of a handshake that failed to the garbage collector
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
]

SITE, SENSOR = SiteId("works"), SensorId("TC-1")
MINE, OTHERS = EdgeAddress(SITE, EdgeId("line1")), EdgeAddress(SITE, EdgeId("line2"))
SETTLE_S = 0.5


def of_edge_to_write(edge: EdgeAddress) -> list[str]:
    return [
        edge.status, edge.events, edge.residuals, edge.replies, edge.sources_reported,
        edge.samples(SENSOR), edge.reported(SENSOR), topics.condition(SITE, edge.edge, "spool_filling"),
    ]  # fmt: skip


def of_edge_to_read(edge: EdgeAddress) -> list[str]:
    mine = [edge.committed, edge.requests, edge.sources_desired, edge.desired(SENSOR), edge.shadow(SENSOR)]
    return [*mine, topics.keys(SITE)]


ELSEWHERE = [
    topics.alarm(SITE, SENSOR, "drift"), topics.condition(SITE, SENSOR, "drift"), topics.reporter(SITE, "calibrate"),
    topics.health(SITE, SENSOR), MINE.ledger, "dyncal/v1/other/line1/status", "$SYS/broker/uptime", "anything",
    "dyncal/doctor/somebody",
]  # fmt: skip


class Client:
    """Any client of MQTT 5, as its owner likes it."""

    def __init__(self, settings: BrokerSettings, client_id: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.codes: dict[int, int] = {}
        self.reason: Any = None
        self._answered = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5)
        context = tls or tls_context(settings)
        if context is not None:
            self._client.tls_set_context(context)
        self._client.on_connect = self._on_connect
        self._client.on_publish = lambda client, data, mid, code, properties: self.codes.update({mid: code.value})
        self._client.on_message = lambda client, data, message: self.got.append((message.topic, bytes(message.payload)))
        self._client.on_disconnect = lambda client, data, flags, code, properties: self._answer(code)
        self._port = settings.port

    def _on_connect(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        self._answer(code)

    def _answer(self, code: Any) -> None:
        if self.reason is None:
            self.reason = code
        self._answered.set()

    def connect(self, *, clean: bool = True) -> bool:
        """Tell whether the broker lets it in."""
        try:
            self._client.connect("127.0.0.1", self._port, clean_start=clean, properties=_kept(clean))
        except (OSError, ssl.SSLError):
            return False
        self._client.loop_start()
        self._answered.wait(5)
        return self.reason is not None and self.reason == 0

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> bool:
        """Tell whether the broker took it."""
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        _wait(lambda: sent.mid in self.codes)
        return self.codes[sent.mid] < 128

    def subscribe(self, *wanted: str) -> None:
        self._client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in wanted])
        time.sleep(0.1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def _kept(clean: bool) -> Any:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0 if clean else 60
    return properties


def _wait(check: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Plant:
    """A secure broker, and clients of it."""

    def __init__(self, directory: Path) -> None:
        self.broker = SecureMosquitto(directory, site=SITE)
        self.authority = self.broker.prepare()
        self.broker.start()
        self._clients: list[Client] = []

    def client(self, name: str, *, client_id: str = "", clean: bool = True) -> Client:
        """Return one that is connected."""
        purpose = Purpose.SERVICE if name.startswith("dyncal-") else Purpose.EDGE
        client = self.any(self.broker.settings(self.authority, name, purpose), client_id)
        assert client.connect(clean=clean), client.reason
        return client

    def any(self, settings: BrokerSettings, client_id: str = "", tls: ssl.SSLContext | None = None) -> Client:
        self._clients.append(Client(settings, client_id, tls))
        return self._clients[-1]

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.broker.stop(kill=True)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    plant = Plant(tmp_path)
    try:
        yield plant
    finally:
        plant.close()


def test_an_edge_writes_below_its_own_name_and_nowhere_else(plant: Plant) -> None:
    edge = plant.client("line1")
    assert [topic for topic in of_edge_to_write(MINE) if not edge.publish(topic)] == []
    forbidden = [*of_edge_to_read(MINE), *of_edge_to_write(OTHERS), *of_edge_to_read(OTHERS), *ELSEWHERE]
    assert [topic for topic in forbidden if edge.publish(topic, retain=True)] == []


def test_an_edge_reads_what_is_for_itself_and_nothing_else(plant: Plant) -> None:
    mine, other = plant.client("line1"), plant.client("line2")
    for client in (mine, other):
        client.subscribe("#", "dyncal/v1/#", "dyncal/v1/+/+/samples/+", f"{MINE.prefix}/#", f"{OTHERS.prefix}/#")
    services = {name: plant.client(name) for name in ("dyncal-ingest", "dyncal-calibrate", "dyncal-api")}
    assert services["dyncal-calibrate"].publish(topics.keys(SITE), retain=True)
    for address in (MINE, OTHERS):
        assert services["dyncal-ingest"].publish(address.committed)
        assert services["dyncal-calibrate"].publish(address.desired(SENSOR), retain=True)
        assert services["dyncal-calibrate"].publish(address.shadow(SENSOR), retain=True)
        assert services["dyncal-api"].publish(address.requests)
        assert services["dyncal-api"].publish(address.sources_desired, retain=True)
    third = plant.client("line3")
    third.subscribe("#")
    for client, address in ((mine, MINE), (other, OTHERS)):
        assert all(client.publish(topic, retain=True) for topic in of_edge_to_write(address))
    time.sleep(SETTLE_S)
    assert sorted({topic for topic, _ in mine.got}) == sorted(of_edge_to_read(MINE))
    assert sorted({topic for topic, _ in other.got}) == sorted(of_edge_to_read(OTHERS))
    assert {topic for topic, _ in third.got} == {topics.keys(SITE)}  # which are for all edges


@pytest.mark.parametrize(
    ("name", "reads", "writes"),
    [
        ("dyncal-ingest", [MINE.samples(SENSOR), MINE.status], [MINE.committed, MINE.ledger]),
        (
            "dyncal-calibrate",
            [MINE.samples(SENSOR), MINE.status, MINE.reported(SENSOR), MINE.residuals],
            [MINE.desired(SENSOR), MINE.shadow(SENSOR), topics.keys(SITE), topics.condition(SITE, SENSOR, "drift"),
             topics.condition(SITE, MINE.edge, "spool_filling"),
             topics.reporter(SITE, "calibrate"), topics.health(SITE, SENSOR)],
        ),
        (
            "dyncal-api",
            [*of_edge_to_write(MINE), MINE.ledger, MINE.committed, topics.condition(SITE, SENSOR, "drift"),
             topics.reporter(SITE, "calibrate"), topics.health(SITE, SENSOR), topics.alarm(SITE, SENSOR, "drift")],
            [MINE.requests, MINE.sources_desired, topics.alarm(SITE, SENSOR, "drift"), MINE.residuals,
             MINE.reported(SENSOR)],
        ),
        ("dyncal-reader", [MINE.samples(SENSOR), topics.alarm(SITE, SENSOR, "drift")], []),
    ],
)  # fmt: skip
def test_each_service_does_its_part_and_no_other(plant: Plant, name: str, reads: list[str], writes: list[str]) -> None:
    service, edge = plant.client(name), plant.client("line1")
    services = [plant.client(other) for other in ("dyncal-ingest", "dyncal-calibrate", "dyncal-api")]
    assert [topic for topic in writes if not service.publish(topic)] == []
    everything = {*of_edge_to_write(MINE), *of_edge_to_read(MINE), *ELSEWHERE, *reads, *writes}
    mine_too = {EdgeAddress(SITE, EdgeId(name)).status}
    assert [topic for topic in sorted(everything - set(writes) - mine_too) if service.publish(topic)] == []
    service.subscribe("#")
    for topic in reads:
        assert any(client.publish(topic) for client in (edge, *services)), topic
    time.sleep(SETTLE_S)
    assert {topic for topic, _ in service.got} >= set(reads)


def test_nobody_gets_in_without_a_certificate_of_this_authority_that_is_valid_now(plant: Plant, tmp_path: Path) -> None:
    now, port, ca = SystemClock().now(), plant.broker.port, plant.authority.ca_file
    good = plant.broker.settings(plant.authority, "line1", Purpose.EDGE)
    assert plant.any(good).connect()
    foreign = Authority.make(tmp_path / "foreign", "test authority", now, 30).issue("line1", Purpose.EDGE, now, 30)
    long_ago = InstantNs(now - 40 * 86_400 * NS_PER_S)
    expired = plant.authority.issue("line4", Purpose.EDGE, long_ago, 30)
    to_come = plant.authority.issue("line5", Purpose.EDGE, InstantNs(now + 86_400 * NS_PER_S), 30)
    server = plant.authority.issue("line6", Purpose.BROKER, now, 30, ["127.0.0.1"])  # not one for clients
    refused = {
        "plain text": BrokerSettings(port=port),
        "no certificate": BrokerSettings(port=port, ca_file=ca),
        **{
            what: BrokerSettings(port=port, ca_file=ca, cert_file=files.cert_file, key_file=files.key_file)
            for what, files in {"foreign": foreign, "expired": expired, "to come": to_come, "server": server}.items()
        },
    }
    assert [what for what, settings in refused.items() if plant.any(settings).connect()] == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(plant: Plant) -> None:
    good = plant.broker.settings(plant.authority, "line1", Purpose.EDGE)
    for version, let_in in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        old = tls_context(good)
        assert old is not None
        old.set_ciphers("DEFAULT@SECLEVEL=0")
        old.minimum_version = old.maximum_version = version
        assert plant.any(good, tls=old).connect() is let_in


def test_a_client_refuses_a_broker_of_another_authority_or_name(plant: Plant, tmp_path: Path) -> None:
    now = SystemClock().now()
    foreign = Authority.make(tmp_path / "foreign", "test authority", now, 30)
    mine = plant.broker.settings(plant.authority, "line1", Purpose.EDGE)
    assert not plant.any(mine.model_copy(update={"ca_file": foreign.ca_file})).connect()
    impostor = SecureMosquitto(tmp_path / "impostor", site=SITE, port=free_port())
    impostor.directory.mkdir()
    impostor.prepare()
    elsewhere = plant.authority.issue("elsewhere", Purpose.BROKER, now, 30, ["elsewhere.example"])
    for name, file in (("cert.pem", elsewhere.cert_file), ("key.pem", elsewhere.key_file)):
        (impostor.directory / name).write_bytes(file.read_bytes())
    impostor.start()
    try:
        assert not plant.any(mine.model_copy(update={"port": impostor.port})).connect()
    finally:
        impostor.stop(kill=True)


def test_a_revoked_certificate_is_refused_after_the_broker_has_read_the_list(plant: Plant) -> None:
    settings = plant.broker.settings(plant.authority, "line1", Purpose.EDGE)
    assert plant.any(settings).connect()
    assert plant.authority.revoke("line1", SystemClock().now()) == 1
    (plant.broker.directory / "crl.pem").write_bytes(plant.authority.crl_file.read_bytes())
    plant.broker.stop()
    plant.broker.start()
    assert not plant.any(settings).connect()
    assert plant.any(plant.broker.settings(plant.authority, "line1", Purpose.EDGE)).connect()
    assert plant.any(plant.broker.settings(plant.authority, "line2", Purpose.EDGE)).connect()


def test_who_takes_the_client_id_of_another_gets_nothing_that_was_for_it(plant: Plant) -> None:
    ingest = plant.client("dyncal-ingest", client_id="dyncal-ingest-works", clean=False)
    ingest.subscribe(topics.ALL_SAMPLES)
    ingest.close()
    edge = plant.client("line1")
    assert edge.publish(MINE.samples(SENSOR), b"secret")
    thief = plant.client("line2", client_id="dyncal-ingest-works", clean=False)
    assert edge.publish(MINE.samples(SENSOR), b"secret too")
    time.sleep(SETTLE_S)
    assert thief.got == []


def test_doctor_talks_to_the_broker_with_an_edges_certificate(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = plant.broker.settings(plant.authority, "line1", Purpose.EDGE)
    for name, value in settings.model_dump(exclude_none=True).items():
        if name in ("port", "ca_file", "cert_file", "key_file"):
            monkeypatch.setenv(f"DYNCAL_BROKER__{name.upper()}", str(value))
    findings = [finding for finding in doctor.examine(None) if finding.check == "broker"]
    assert [finding.status for finding in findings] == ["ok"], findings


def test_unusable_files_are_named(plant: Plant, tmp_path: Path) -> None:
    settings = plant.broker.settings(plant.authority, "line1", Purpose.EDGE)
    (tmp_path / "bad.pem").write_text("no PEM")
    for change in ({"ca_file": tmp_path / "bad.pem"}, {"key_file": tmp_path / "bad.pem"}):
        with pytest.raises(InvalidSetting, match=r"bad\.pem"):
            tls_context(settings.model_copy(update=change))
