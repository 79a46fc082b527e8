"""The shell, in the process and as a process of its own that gets signals."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dyncal.domain.errors import StoreRefused
from dyncal.runtime.program import main
from dyncal.runtime.service import Health, supervise
from services.ingest.service import build
from services.ingest.settings import IngestSettings

LIMIT_S = 20.0


class Obedient:
    name = "obedient"
    drained = False

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()
        await asyncio.sleep(0.01)
        self.drained = True

    def health(self) -> Health:
        return Health(ready=True)


class Failing(Obedient):
    name = "failing"

    async def run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._fail())
            await stop.wait()

    async def _fail(self) -> None:
        raise StoreRefused("the disk is made of cheese")


class Broken(Obedient):
    async def run(self, stop: asyncio.Event) -> None:
        raise ZeroDivisionError


class Stubborn(Obedient):
    name = "stubborn"

    async def run(self, stop: asyncio.Event) -> None:
        await asyncio.sleep(LIMIT_S)


async def test_drains_and_returns_0() -> None:
    service, stop = Obedient(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, stop.set)
    assert await supervise(service, stop) == 0
    assert service.drained


async def test_an_expected_error_is_status_1_and_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert await supervise(Failing(), asyncio.Event()) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "service_failed" in said.err
    assert "made of cheese" in said.err
    assert "StoreRefused" in said.err
    assert "Traceback" not in said.err


async def test_a_fault_of_ours_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await supervise(Broken(), asyncio.Event())


async def test_one_that_does_not_drain_is_cancelled_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    stop = asyncio.Event()
    stop.set()
    assert await supervise(Stubborn(), stop, drain_s=0.05) == 1
    assert "drain_timeout" in capsys.readouterr().err


PROGRAM = """
import asyncio, sys, time
from dyncal.runtime import logging
from dyncal.runtime.service import Health, run_service
from dyncal.runtime.settings import LogSettings

class Service:
    name = "subject"
    def health(self): return Health(True)
    async def run(self, stop):
        print("up", flush=True)
        {body}

logging.configure(LogSettings(format="json"))
status = run_service(Service(), limit_s=1.0)
print("down", flush=True)
sys.exit(status)
"""


def run(body: str, *signals: signal.Signals) -> tuple[int, str, str, float]:
    """Return exit status, output, errors, and the seconds from the first signal to the end."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        started = time.monotonic()
        for signum in signals:
            process.send_signal(signum)
            time.sleep(0.2)
        out, err = process.communicate(timeout=LIMIT_S)
        return process.returncode, out, err, time.monotonic() - started


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_with_0_and_logs_go_to_standard_error(signum: signal.Signals) -> None:
    status, out, err, _ = run("await stop.wait(); await asyncio.sleep(0.1)", signum)
    assert (status, out) == (0, "down\n")
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["draining", "stopped"]


def test_one_that_swallows_cancellation_is_out_in_time() -> None:
    body = "while True:\n            try: await asyncio.sleep(60)\n            except asyncio.CancelledError: pass"
    status, _, err, took = run(body, signal.SIGTERM)
    assert status == 1
    assert "killed_itself" in err
    assert took < 4.0


def test_one_whose_thread_hangs_is_out_in_time() -> None:
    status, _, err, took = run("await asyncio.to_thread(time.sleep, 60)", signal.SIGTERM)
    assert (status, "killed_itself" in err) == (1, True)
    assert took < 4.0


def test_second_signal_ends_at_once() -> None:
    status, _, err, took = run("await asyncio.sleep(60)", signal.SIGINT, signal.SIGINT)
    assert (status, "second signal" in err) == (1, True)
    assert took < 0.9


def test_one_signal_that_comes_twice_is_one_wish() -> None:
    """`timeout` and terminals signal the process and then its group."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body="await stop.wait(); await asyncio.sleep(0.3)")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0


def test_a_program_says_in_its_help_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(IngestSettings, build, ["--help"])
    assert capsys.readouterr().out.startswith("usage: python -m services.ingest [-h] [--config FILE]")


def test_run_program_tells_misconfigured_from_failed(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[broker]\nport = 0\n")
    done = subprocess.run(
        [sys.executable, "-m", "dyncal", "run", "ingest", "--config", str(tmp_path / "bad.toml")],
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "bad.toml: broker.port = 0" in done.stderr
