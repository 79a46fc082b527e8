"""What the doctor finds, beyond servers that do not answer."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dyncal.adapters.signing import open_signer
from dyncal.cli import app, doctor
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import SigningSettings
from tests.servers import Influxd
from tests.servers_mosquitto import Mosquitto


def examined(tmp_path: Path, text: str) -> list[dict[str, str]]:
    file = tmp_path / "c.toml"
    broker = "" if "[broker]" in text else f"[broker]\nport = {free_port()}\n"
    file.write_text(f'data_dir = "{tmp_path}/var"\n{broker}{text}')
    done = CliRunner().invoke(app, ["doctor", "--json", "--config", str(file)])
    findings: list[dict[str, str]] = json.loads(done.stdout)
    assert done.exit_code == any(finding["status"] == "fail" for finding in findings)
    return findings


def of(findings: list[dict[str, str]], check: str) -> list[dict[str, str]]:
    return [finding for finding in findings if finding["check"].startswith(check)]


def test_files_that_are_absent_are_named_with_their_key(tmp_path: Path) -> None:
    found = of(examined(tmp_path, '[broker]\npassword_file = "/absent/p"\n'), "settings of")
    assert {finding["status"] for finding in found} == {"fail"}
    assert f"{tmp_path}/c.toml: broker.password_file = '/absent/p': cannot read it" in found[0]["detail"]


@pytest.mark.parametrize(
    ("section", "statuses", "said"),
    [
        ("", ["ok"], "closed"),
        ('[api.access]\nmode = "open"\n', ["warn"], "from this machine is an engineer"),
        ('[api]\nhost = "0.0.0.0"\nallow_remote = true\n', ["ok", "warn"], "no TLS"),
        ('[api]\nhost = "0.0.0.0"\nallow_remote = true\naccess.mode = "open"\n', ["warn", "warn"], "from others"),
    ],
)
def test_who_gets_in_where_that_is_anybody(section: str, statuses: list[str], said: str, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(section)
    found = list(doctor._access(file))
    assert [finding.status for finding in found] == statuses
    assert said in " ".join(finding.detail for finding in found)
    assert all(finding.advice for finding in found if finding.status != "ok")


def test_a_port_where_nobody_listens_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CONNECT_S", 60.0)
    begun_s = time.monotonic()
    (found,) = of(examined(tmp_path, ""), "broker")
    assert time.monotonic() < begun_s + 30
    assert "Connection refused" in found["detail"]
    assert found["advice"].startswith("start the broker")


def test_keys_that_are_none_and_keys_that_nobody_trusts(tmp_path: Path) -> None:
    trusted = tmp_path / "var" / "keys" / "trusted"
    (first,) = of(examined(tmp_path, ""), "signing")
    assert first["status"] == "warn"
    assert "start calibrate once" in first["advice"]

    signer = open_signer(SigningSettings(), tmp_path / "var")
    (good,) = of(examined(tmp_path, ""), "signing")
    assert (good["status"], signer.key_id in good["detail"]) == ("ok", True)

    (trusted / f"{signer.key_id}.pem").write_text("-----BEGIN PUBLIC KEY-----\nnonsense\n")
    findings = of(examined(tmp_path, ""), "signing")
    assert [finding["status"] for finding in findings] == ["fail", "warn", "warn"]
    assert f"signing.trusted_dir = '{trusted}': {signer.key_id}.pem" in findings[0]["detail"]
    assert signer.key_id in findings[1]["detail"]


def test_a_port_that_somebody_has(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = of(examined(tmp_path, f"[api]\nport = {port}\n[ingest]\nmetrics_port = {port}\n"), "ports")
    assert [finding["status"] for finding in found] == ["warn", "warn"]
    assert f"api.port = {port}: cannot listen on 127.0.0.1: Address already in use" in found[0]["detail"]


@pytest.mark.mosquitto
def test_a_broker_that_refuses_the_password(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "u", "right"], check=True, capture_output=True)
    broker = Mosquitto(tmp_path, extra=f"allow_anonymous false\npassword_file {passwords}")
    broker.start()
    try:
        text = f'[broker]\nport = {broker.port}\nusername = "u"\npassword = "wrong"\n'
        (found,) = of(examined(tmp_path, text), "broker")
        (good,) = of(examined(tmp_path, text.replace("wrong", "right")), "broker")
    finally:
        broker.stop()
    assert (found["status"], good["status"]) == ("fail", "ok")
    assert "username and password_file in [broker]" in found["advice"]


@pytest.mark.influxdb
def test_a_store_that_refuses_the_user(tmp_path: Path) -> None:
    server = Influxd(tmp_path / "influx", auth=True)
    server.start()
    try:
        text = f'[store]\nkind = "influx"\nurl = "{server.url}"\nusername = "u"\npassword = "wrong"\n'
        (found,) = of(examined(tmp_path, text), "store")
    finally:
        server.stop(kill=True)
    assert found["status"] == "fail"
    assert "[store]" in found["advice"]
    assert "password" in found["advice"]
