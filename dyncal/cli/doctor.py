"""Checks of what the programs need, each with a verdict and, unless it is fine, with what to do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from dyncal.cli.programs import Program, settings_class
from dyncal.domain.errors import DyncalError, InvalidSetting, StoreUnauthorized
from dyncal.runtime import logging
from dyncal.runtime.files import check_files
from dyncal.runtime.settings import (
    LogSettings,
    ProgramSettings,
    RegistrySettings,
    SigningSettings,
    StoreSettings,
    load,
    read_file,
)

ANSWER_S: Final = 5.0
CONNECT_S: Final = 8.0
MIN_FREE_BYTES: Final = 1 << 30
LOW_FREE_BYTES: Final = 5 << 30

_RIGHTS: Final = (
    "correct username, password or token in [store]; where the user may not make databases, let an administrator make "
    "the one named store.database and grant the user all on it"
)

_LISTENERS: Final = {
    Program.API: (("host", "port"),),
    Program.INGEST: (("metrics_host", "metrics_port"),),
    Program.CALIBRATE: (("metrics_host", "metrics_port"),),
    Program.EDGE: (("metrics_host", "metrics_port"),),
}

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    check: str
    status: Status
    detail: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the fields by name."""
        return asdict(self)


class SharedSettings(ProgramSettings):
    """What all programs share."""

    store: StoreSettings = StoreSettings()
    registry: RegistrySettings = RegistrySettings()
    signing: SigningSettings = SigningSettings()


def examine(config: Path | None) -> list[Finding]:
    """Return the outcome of every check; the settings come first, since all others depend on them."""
    logging.configure(LogSettings(level="error"))
    findings = list(_configuration(config))
    try:
        shared = load(SharedSettings, config)
    except InvalidSetting:
        return findings  # said already, for every program
    checks: list[Callable[[], Iterator[Finding]]] = [
        lambda: _access(config),
        lambda: _data_dir(shared.data_dir),
        lambda: _ports(config),
        lambda: _signing(shared),
        lambda: _broker(shared),
        lambda: _store(shared),
        lambda: _registry(shared),
        lambda: _opcua(config),
        _clock,
        _kernels,
    ]
    for check in checks:
        findings.extend(check())
    return findings


def failed(findings: list[Finding]) -> bool:
    """Tell whether any check failed; warnings do not count."""
    return any(finding.status == "fail" for finding in findings)


def report(findings: list[Finding]) -> str:
    """Return one line for each finding, and what to do below it."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.status:4}  {finding.check}: {finding.detail}")
        if finding.advice:
            lines.append(f"      → {finding.advice}")
    return "\n".join(lines)


def _configuration(config: Path | None) -> Iterator[Finding]:
    for program in Program:
        check = f"settings of {program}"
        try:
            check_files(load(settings_class(program), config), config)
        except InvalidSetting as error:
            yield Finding(check, "fail", str(error), "correct the file or the environment variable named")
        except ImportError as error:
            yield Finding(check, "warn", f"not installed here: {error}", "install it if it is to run here")
        else:
            yield Finding(check, "ok", "valid")


def _access(config: Path | None) -> Iterator[Finding]:
    """Say who gets into the HTTP interface, where that is anybody, and what can be read on the way."""
    try:
        api: Any = getattr(load(settings_class(Program.API), config), str(Program.API))
    except (InvalidSetting, ImportError):
        return
    check, reached = "access", "from this machine" if api.loopback else f"from others, at {api.host}"
    if api.access.mode == "open":
        said = f"open: whoever reaches port {api.port} {reached} is an engineer, without a name"
        yield Finding(check, "warn", said, 'set access.mode = "closed" in [api]; the first start then prints a key')
    else:
        yield Finding(check, "ok", f"closed: who calls signs in or sends a key; reached {reached}")
    if not api.loopback and api.tls is None:
        said = f"passwords and keys can be read on the way to {api.host}: no TLS"
        yield Finding(check, "warn", said, "give tls.cert_file and tls.key_file in [api]; or a proxy with TLS")


def _data_dir(data_dir: Path) -> Iterator[Finding]:
    check = "data_dir"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        probe = data_dir / f".doctor-{os.getpid()}"
        probe.write_bytes(b"x")
        probe.unlink()
        free = shutil.disk_usage(data_dir).free
    except OSError as error:
        yield Finding(
            check, "fail", f"cannot write to {data_dir}: {error.strerror}", "give the program's user the right"
        )
        return
    status: Status = "fail" if free < MIN_FREE_BYTES else "warn" if free < LOW_FREE_BYTES else "ok"
    advice = "" if status == "ok" else "make room: a full disk stops the stores and the spool"
    yield Finding(check, status, f"{data_dir} is writable, {free / 1e9:.1f} GB free", advice)


def _ports(config: Path | None) -> Iterator[Finding]:
    """See that nobody has the ports that programs here want to listen on."""
    for program, where in _LISTENERS.items():
        try:
            section = getattr(load(settings_class(program), config), str(program))
        except (InvalidSetting, ImportError):
            continue
        for host_key, port_key in where:
            host, port = getattr(section, host_key, "127.0.0.1"), getattr(section, port_key)
            if not port:
                continue
            key = f"{program}.{port_key} = {port}"
            trouble = _in_use(host, port)
            if trouble:
                advice = "nothing, if that is dyncal itself at work; else end what listens there, or take another port"
                yield Finding("ports", "warn", f"{key}: cannot listen on {host}: {trouble}", advice)
            else:
                yield Finding("ports", "ok", f"{key}: free on {host}")


def _in_use(host: str, port: int) -> str:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _signing(shared: SharedSettings) -> Iterator[Finding]:
    from dyncal.adapters.signing import examine_keys

    keys = examine_keys(shared.signing, shared.data_dir)
    check = "signing"
    for fault in keys.faults:
        yield Finding(check, "fail", fault, "replace the file by the key it should be, or take it away")
    if keys.own is not None and keys.own not in keys.trusted:
        advice = f"put its public part into {keys.directory} of every edge: edges there reject what it signs"
        yield Finding(check, "warn", f"{keys.own}, with which calibrate signs here, is not trusted here", advice)
    if keys.trusted:
        yield Finding(check, "ok", f"{keys.directory} trusts {', '.join(keys.trusted)}")
    else:
        advice = "start calibrate once, which makes a key, or copy the public key of its machine there"
        yield Finding(check, "warn", f"{keys.directory} trusts no key: an edge here applies no coefficient set", advice)


def _broker(shared: SharedSettings) -> Iterator[Finding]:
    check, address = "broker", f"{shared.broker.host}:{shared.broker.port}"
    try:
        yield Finding(check, "ok", asyncio.run(_talk_to_broker(shared)))
    except TimeoutError as error:
        refused = "refused" in str(error) and "Connection refused" not in str(error)
        advice = (
            "correct username and password_file in [broker], or the broker's access rules"
            if refused
            else "start the broker (mosquitto), or correct [broker]; `dyncal run embedded` brings its own"
        )
        yield Finding(check, "fail", f"{address} does not let us in: {error}", advice)
    except DyncalError as error:
        yield Finding(check, "fail", f"{address}: {error}", "look at the broker's log and access rules; check [broker]")
    except ImportError as error:
        yield Finding(check, "warn", f"no MQTT client: {error}", "pip install 'dyncal[edge]' or 'dyncal[services]'")


async def _talk_to_broker(shared: SharedSettings) -> str:
    from dyncal.adapters.mqtt import open_bus

    try:
        _, writer = await asyncio.open_connection(shared.broker.host, shared.broker.port)
        writer.close()
    except ConnectionRefusedError as error:  # nobody comes of trying again: the bus would, for seconds
        raise TimeoutError("Connection refused: nobody listens there") from error
    except OSError:
        pass  # the bus says it better
    me = f"dyncal-doctor-{os.getpid()}"
    async with open_bus(shared.broker, me, clean=True) as bus:
        try:
            async with asyncio.timeout(CONNECT_S):  # a broker without MQTT 5 answers at the second attempt
                await bus.wait_connected()
        except TimeoutError as error:
            raise TimeoutError(bus.trouble or "no answer") from error
        topic = f"dyncal/doctor/{me}"  # every client may talk to itself there (deploy/mosquitto/access.conf)
        await bus.subscribe([topic])
        await bus.publish(topic, b"doctor")
        async with asyncio.timeout(ANSWER_S):
            (await anext(aiter(bus.deliveries()))).ack()
        return f"{shared.broker.host}:{shared.broker.port} takes and delivers messages"


def _store(shared: SharedSettings) -> Iterator[Finding]:
    def check() -> str:
        from dyncal.adapters.stores import open_store

        with contextlib.closing(open_store(shared.store, shared.data_dir)) as store:
            return store.check()

    yield _called("store", check, "start the database, or correct [store]")


def _registry(shared: SharedSettings) -> Iterator[Finding]:
    def check() -> str:
        from dyncal.adapters.registry import open_registry

        with contextlib.closing(open_registry(shared.registry, shared.data_dir)) as registry:
            return registry.check()

    yield _called("registry", check, "start the database, or correct [registry]")


def _called(name: str, check: Callable[[], str], advice: str) -> Finding:
    try:
        return Finding(name, "ok", check())
    except StoreUnauthorized as error:
        return Finding(name, "fail", str(error), _RIGHTS)
    except DyncalError as error:
        return Finding(name, "fail", str(error), advice)
    except ImportError as error:
        return Finding(name, "warn", f"not installed here: {error}", "needed for the services only")
    except Exception as error:  # noqa: BLE001  a diagnosis must not end at the first surprise
        return Finding(name, "fail", f"{type(error).__name__}: {error}", advice)


def _opcua(config: Path | None) -> Iterator[Finding]:
    content: Any = read_file(config) if config is not None else {}
    servers = content.get("edge", {}).get("opcua", []) if isinstance(content.get("edge", {}), dict) else []
    for server in servers if isinstance(servers, list) else []:
        url = str(server.get("url", "")) if isinstance(server, dict) else ""
        if not url:
            continue
        finding = _called(
            f"OPC UA {url}", lambda url=url: asyncio.run(_endpoints(url)),  # type: ignore[misc]  # mypy infers no default
            "check the server, the address, and the firewall between",
        )  # fmt: skip
        yield finding


async def _endpoints(url: str) -> str:
    from asyncua import Client

    async with asyncio.timeout(ANSWER_S):
        found = await Client(url, timeout=ANSWER_S).connect_and_get_server_endpoints()
    policies = sorted({str(endpoint.SecurityPolicyUri).rpartition("#")[2] for endpoint in found})
    return f"{len(found)} endpoints ({', '.join(policies)})"


def _clock() -> Iterator[Finding]:
    check, advice = "clock", "run chrony or systemd-timesyncd: uncertainty of time is uncertainty of the calibration"
    tracking = _output("chronyc", "-c", "tracking")
    if tracking is not None:
        fields = tracking.split(",")
        offset_s = abs(float(fields[4])) if len(fields) > 4 else float("nan")
        synchronised = len(fields) > 13 and fields[13] != "Not synchronised"
        detail = f"chrony: offset {offset_s * 1e3:.3f} ms" if synchronised else "chrony runs and is not synchronised"
        yield Finding(check, "ok" if synchronised else "warn", detail, "" if synchronised else advice)
        return
    answer = _output("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if answer in ("yes", "no"):
        good = answer == "yes"
        yield Finding(
            check, "ok" if good else "warn", f"systemd: {'' if good else 'not '}synchronised", "" if good else advice
        )
        return
    yield Finding(check, "warn", "unknown: neither chronyc nor timedatectl says whether it is synchronised", advice)


def _output(*command: str) -> str | None:
    program = shutil.which(command[0])
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  fixed commands
            [program, *command[1:]], capture_output=True, text=True, timeout=ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _kernels() -> Iterator[Finding]:
    from dyncal import kernels

    check = "kernels"
    if not kernels.HAVE_NUMBA:
        yield Finding(check, "warn", "numba is not installed: plain numpy is used", "pip install 'dyncal[edge-fast]'")
        return
    for package in (
        "dyncal.models",
        "dyncal.identification.online",
        "dyncal.correction.streaming.stream",
        "dyncal.drift.monitor",
    ):
        with contextlib.suppress(ImportError):
            __import__(package)
    try:
        done = kernels.warm_up()
    except Exception as error:  # noqa: BLE001  numba raises what its cache and its compiler raise
        yield Finding(check, "fail", f"{type(error).__name__}: {error}", "see that the cache directory can be written")
        return
    if done.n_compiled:
        yield Finding(check, "warn", f"{done.n_compiled} of {done.n_kernels} compiled now, in {done.seconds:.1f} s",
                      "nothing: the cache is warm from here on, for this user and this installation")  # fmt: skip
    else:
        yield Finding(check, "ok", f"all {done.n_kernels} in the cache, loaded in {done.seconds:.1f} s")


if __name__ == "__main__":
    sys.stdout.write(report(examine(None)) + "\n")
