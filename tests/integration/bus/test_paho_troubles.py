"""What the bus does when the broker goes, refuses, or sends too much."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from dyncal.adapters.mqtt import EmbeddedBroker, PahoMessageBus, open_bus
from dyncal.adapters.mqtt.client import LinkOptions
from dyncal.adapters.mqtt.connector import Backoff
from dyncal.adapters.mqtt.delivery import HoldLimits
from dyncal.domain.errors import BusUnavailable, InvalidSetting, PublishRefused
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import BrokerSettings
from tests.integration.bus.conformance import WAIT_S, ready, take
from tests.servers_mosquitto import Mosquitto

QUICK = Backoff(first_s=0.05, longest_s=0.2)


def options(port: int, client_id: str = "a", **more: object) -> LinkOptions:
    base: dict[str, object] = {"protocol": "5", **more}
    return LinkOptions("127.0.0.1", port, client_id, clean=False, keepalive_s=5, **base)  # type: ignore[arg-type]


async def until_down(bus: PahoMessageBus) -> None:
    async with asyncio.timeout(WAIT_S):
        while bus.connected:
            await asyncio.sleep(0.01)


@pytest.mark.mosquitto
async def test_reconnects_and_subscribes_again_when_the_broker_lost_everything(mosquitto: Mosquitto) -> None:
    async with PahoMessageBus(options(mosquitto.port), backoff=QUICK) as bus:
        await ready(bus)
        await bus.subscribe(["t/#"])
        mosquitto.stop(kill=True)
        await until_down(bus)
        with pytest.raises(BusUnavailable, match="not connected"):
            await bus.publish("t/1", b"nobody there")
        mosquitto.start()
        await ready(bus)
        assert bus.connections == 2
        await bus.publish("t/1", b"back")
        (delivery,) = await take(bus, 1)
        assert delivery.payload == b"back"


@pytest.mark.mosquitto
@pytest.mark.parametrize("limit", ["message_size_limit 1000", "max_packet_size 1000"])
async def test_a_message_too_large_for_the_broker_is_refused_and_the_connection_stays(
    tmp_path: Path, limit: str
) -> None:
    broker = Mosquitto(tmp_path, f"allow_anonymous true\n{limit}")
    broker.start()
    try:
        async with PahoMessageBus(options(broker.port), backoff=QUICK) as bus:
            await ready(bus)
            with pytest.raises(PublishRefused, match=r"t/big.*(too large|takes at most 1000)"):
                await bus.publish("t/big", b"x" * 2000)
            await bus.publish("t/small", b"x" * 100)
            assert bus.connections == 1
    finally:
        broker.stop()


@pytest.mark.mosquitto
async def test_two_clients_of_one_name_do_not_drive_each_other_out_without_pause(mosquitto: Mosquitto) -> None:
    one, other = (PahoMessageBus(options(mosquitto.port, "same")) for _ in range(2))
    async with one, other:
        await ready(one)
        await asyncio.sleep(3.0)
        assert one.connections + other.connections < 40


@pytest.mark.mosquitto
async def test_publishes_in_flight_fail_when_the_connection_is_lost(mosquitto: Mosquitto) -> None:
    async with PahoMessageBus(options(mosquitto.port), backoff=QUICK, answer_timeout_s=60) as bus:
        await ready(bus)
        assert mosquitto.process is not None
        mosquitto.process.send_signal(19)  # SIGSTOP: connected, and silent
        tasks = [asyncio.create_task(bus.publish("t", b"x")) for _ in range(1_500)]
        await asyncio.sleep(0.05)
        mosquitto.stop(kill=True)
        async with asyncio.timeout(WAIT_S):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {BusUnavailable}


@pytest.mark.mosquitto
async def test_what_nobody_waits_for_any_more_is_not_sent(mosquitto: Mosquitto) -> None:
    """Of what waits for room in the window; what is with the broker is there."""
    narrow = options(mosquitto.port, window=1)
    async with PahoMessageBus(narrow, backoff=QUICK) as bus, PahoMessageBus(options(mosquitto.port, "b")) as other:
        await ready(bus, other)
        await other.subscribe(["t"])
        answers = [bus.post("t", b"%d" % k) for k in range(5)]
        answers[2].cancel()
        await asyncio.gather(*(answer for answer in answers if not answer.cancelled()))
        assert [delivery.payload for delivery in await take(other, 4)] == [b"0", b"1", b"3", b"4"]
        mosquitto.stop(kill=True)
        await until_down(bus)
        with pytest.raises(BusUnavailable, match="not connected"):
            await bus.post("t", b"nobody there")


@pytest.mark.mosquitto
async def test_publish_without_answer_times_out_and_makes_the_connection_anew(mosquitto: Mosquitto) -> None:
    async with PahoMessageBus(options(mosquitto.port), backoff=QUICK, answer_timeout_s=0.3) as bus:
        await ready(bus)
        assert mosquitto.process is not None
        mosquitto.process.send_signal(19)
        with pytest.raises(BusUnavailable, match="no answer"):
            await bus.publish("t", b"x")
        mosquitto.process.send_signal(18)
        await until_down(bus)
        await ready(bus)
        await bus.publish("t", b"y")
        assert bus.connections >= 2


@pytest.mark.mosquitto
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_killed_client_leaves_its_will(mosquitto: Mosquitto, protocol: str) -> None:
    program = f"""
import asyncio
import contextlib
from dyncal.adapters.mqtt import open_bus
from dyncal.ports.message_bus import Will
from dyncal.runtime.settings import BrokerSettings
async def main():
    settings = BrokerSettings(port={mosquitto.port}, protocol={protocol!r})
    async with open_bus(settings, "victim", will=Will("w/victim", b"gone")) as bus:
        await bus.wait_connected()
        await bus.publish("w/victim", b"here", retain=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    async with open_bus(BrokerSettings(port=mosquitto.port), "watch", clean=True) as watch:
        await ready(watch)
        await watch.subscribe(["w/#"])
        with subprocess.Popen([sys.executable, "-c", program]) as victim:
            (birth,) = await take(watch, 1)
            victim.kill()
            (will,) = await take(watch, 1)
        assert (birth.payload, will.payload) == (b"here", b"gone")
    async with open_bus(BrokerSettings(port=mosquitto.port), "late", clean=True) as late:
        await ready(late)
        await late.subscribe(["w/#"])
        (kept,) = await take(late, 1)
        assert (kept.payload, kept.retained) == (b"gone", True)


@pytest.mark.mosquitto
async def test_surplus_is_not_taken_and_comes_again(mosquitto: Mosquitto) -> None:
    limited = options(mosquitto.port, "slow", protocol="3.1.1", hold=HoldLimits(messages=10))
    async with PahoMessageBus(options(mosquitto.port)) as source, PahoMessageBus(limited, backoff=QUICK) as slow:
        await ready(source, slow)
        await slow.subscribe(["t"])
        await asyncio.gather(*(source.publish("t", b"%d" % i) for i in range(35)))
        async with asyncio.timeout(WAIT_S):
            while slow.dropped < 25:
                await asyncio.sleep(0.01)
        seen: set[bytes] = set()
        while len(seen) < 35:
            (delivery,) = await take(slow, 1)
            seen.add(delivery.payload)
        assert slow.connections > 1


@pytest.mark.mosquitto
async def test_wrong_password_is_said_and_right_one_from_a_file_works(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "edge", "right"], check=True, capture_output=True)
    passwords.chmod(0o644)
    broker = Mosquitto(tmp_path, extra=f"allow_anonymous false\npassword_file {passwords}")
    broker.start()
    try:
        wrong = BrokerSettings(port=broker.port, username="edge", password=SecretStr("wrong"))
        async with open_bus(wrong, "a") as bus:
            async with asyncio.timeout(WAIT_S):
                while "Not authorized" not in bus.trouble:
                    await asyncio.sleep(0.01)
            with pytest.raises(BusUnavailable, match="Not authorized"):
                await bus.publish("t", b"x")
        secret = tmp_path / "secret"
        secret.write_text("right\n")
        async with open_bus(BrokerSettings(port=broker.port, username="edge", password_file=secret), "a") as bus:
            await ready(bus)
    finally:
        broker.stop()


@pytest.mark.mosquitto
async def test_mutual_tls(tmp_path: Path) -> None:
    ca = make_certificate(tmp_path, "ca", None)
    make_certificate(tmp_path, "server", ca)
    make_certificate(tmp_path, "client", ca)
    files = f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key\n"
    broker = Mosquitto(tmp_path, extra=f"allow_anonymous true\nrequire_certificate true\n{files}")
    broker.start()
    try:
        settings = BrokerSettings(
            port=broker.port,
            ca_file=tmp_path / "ca.pem",
            cert_file=tmp_path / "client.pem",
            key_file=tmp_path / "client.key",
        )
        async with open_bus(settings, "a", clean=True) as bus:
            await ready(bus)
            await bus.subscribe(["t"])
            await bus.publish("t", b"x" * 200_000)
            (delivery,) = await take(bus, 1)
            assert len(delivery.payload) == 200_000
        async with open_bus(BrokerSettings(port=broker.port, ca_file=tmp_path / "ca.pem"), "a") as bus:
            await asyncio.sleep(0.5)
            assert not bus.connected
    finally:
        broker.stop()


def test_unusable_tls_file_is_an_invalid_setting(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(InvalidSetting, match="ca_file"):
        open_bus(BrokerSettings(ca_file=tmp_path / "ca.pem"), "a")


async def test_close_is_quick_where_nobody_answers() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        started = time.monotonic()
        async with open_bus(BrokerSettings(port=deaf.getsockname()[1]), "a") as bus:
            await asyncio.sleep(0.2)
            assert not bus.connected
        assert time.monotonic() - started < 2.0


async def test_falls_back_to_3_1_1_where_the_broker_does_not_know_5() -> None:
    async with EmbeddedBroker(port=free_port()) as broker:
        started = time.monotonic()
        async with open_bus(BrokerSettings(port=broker.port), "a", clean=True) as bus:
            await ready(bus)
            await bus.publish("t", b"x")
        assert time.monotonic() - started < 8.0


async def test_embedded_broker_says_when_its_port_is_taken() -> None:
    async with EmbeddedBroker(port=free_port()) as broker:
        with pytest.raises(BusUnavailable, match=str(broker.port)):
            async with EmbeddedBroker(port=broker.port):
                pass


async def test_embedded_broker_publishes_the_will_of_a_client_that_breaks_off() -> None:
    async with EmbeddedBroker(port=free_port()) as broker:
        settings = BrokerSettings(port=broker.port, protocol="3.1.1")
        async with open_bus(settings, "watch", clean=True) as watch:
            await ready(watch)
            await watch.subscribe(["w"])
            reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
            # CONNECT, clean session, will retained at QoS 1 on "w" saying "gone", client "v", keep alive 60 s
            writer.write(
                bytes.fromhex("10 18 00 04 4d515454 04 2e 003c 0001 76 0001 77 0004 676f6e65".replace(" ", ""))
            )
            await reader.readexactly(4)
            writer.close()
            await writer.wait_closed()
            (will,) = await take(watch, 1)
            assert will.payload == b"gone"
        async with open_bus(settings, "late", clean=True) as late:
            await ready(late)
            await late.subscribe(["w"])
            (kept,) = await take(late, 1)
            assert kept.retained


def make_certificate(
    directory: Path, name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Write `name`.pem and `name`.key, signed by `issuer` or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start.replace(year=2120))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    certificate = builder.sign(key if issuer is None else issuer[1], hashes.SHA256())
    (directory / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / f"{name}.key").write_bytes(private)
    (directory / f"{name}.key").chmod(0o644)
    return certificate, key


@pytest.mark.mosquitto
async def test_acknowledging_and_publishing_while_connections_end_never_raises_anything_unexpected(
    mosquitto: Mosquitto,
) -> None:
    """paho closes its sockets in its own thread, at any moment of ours."""
    async with open_bus(BrokerSettings(port=mosquitto.port), "source", clean=True) as source:
        await ready(source)
        for round_ in range(15):
            async with PahoMessageBus(options(mosquitto.port, "sink", protocol="3.1.1")) as sink:
                await ready(sink)
                await sink.subscribe(["race"])
                await asyncio.gather(*(source.publish("race", b"x") for _ in range(20)))
                held = await take(sink, 20, ack=False)
                closing = asyncio.create_task(sink.close())
                await asyncio.sleep(0.0002 * round_)
                for delivery in held:
                    delivery.ack()
                    with contextlib.suppress(BusUnavailable):
                        await asyncio.wait_for(sink.publish("elsewhere", b"x"), 5)
                await closing
