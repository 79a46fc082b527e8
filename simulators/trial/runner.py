"""The runner of a trial: starts the programs, lets them work, stops them in order, and judges."""

from __future__ import annotations

import asyncio
import dataclasses
import urllib.error
import urllib.request
from asyncio.subprocess import Process
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.errors import DyncalError, Unavailable
from dyncal.domain.sensors import EdgeId, SiteId
from dyncal.domain.time import InstantNs
from dyncal.ports.clock import Clock
from simulators.scenarios.scenario import Scenario
from simulators.trial.children import Children
from simulators.trial.configuration import EDGE, SITE, Ports, configuration, to_toml

if TYPE_CHECKING:  # what is needed later is imported when the programs, which take the time, are on their way
    from simulators.plant import Plant
    from simulators.reports import Started, Stopped
    from simulators.trial.score import SensorScore
    from simulators.trial.watcher import Heard

T = TypeVar("T")

START_S: Final = 120.0
SETTLE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class TrialOptions:
    """What is run, where, for how long; without a duration until `stop`."""

    scenario: Scenario
    scenario_source: str
    ports: Ports
    data_dir: Path
    duration_s: float | None
    started_s: float
    log_level: str = "warning"


@dataclass(frozen=True, slots=True)
class Result:
    """What came out: figures by sensor, and the checks that failed, by name."""

    scenario: str
    duration_s: float
    start_to_first_corrected_s: float | None
    plant_late_s: float
    sensors: tuple[SensorScore, ...]
    failed: tuple[str, ...]

    def as_json(self) -> str:
        """Return it as one line of JSON."""
        content: dict[str, Any] = {"ok": not self.failed} | dataclasses.asdict(self)
        content["sensors"] = {s["id"]: s for s in content["sensors"]}
        return msgspec.json.encode(content).decode()


class Trial:
    """One run of a scenario against the real programs.

    Parameters
    ----------
    announce : callable
        Is told the address of the live page once it answers.
    """

    def __init__(self, options: TrialOptions, clock: Clock, announce: Callable[[str], None]) -> None:
        self._options, self._clock, self._announce = options, clock, announce
        self._address = f"http://127.0.0.1:{options.ports.api}/"

    async def run(self, stop: asyncio.Event) -> Result | None:
        """Run until the duration is over or `stop`; return the result, or None where there is nothing to judge.

        Raises
        ------
        ChildDied
            If a program ended by itself.
        Unavailable
            If a program does not come up in time.
        """
        o = self._options
        config = o.data_dir / "dyncal.toml"
        config.write_text(to_toml(configuration(o.scenario, o.ports, o.data_dir, o.log_level)), encoding="utf-8")
        async with AsyncExitStack() as stack:
            children = await stack.enter_async_context(Children())
            plant_process = await children.start("simulators", self._plant_arguments(), pipe=True)
            await children.start("embedded", ["-m", "dyncal", "run", "embedded", "--config", str(config)])
            await children.start("edge", ["-m", "dyncal", "run", "edge", "--config", str(config)])
            from dyncal.adapters.mqtt import open_bus  # noqa: PLC0415
            from dyncal.runtime import logging  # noqa: PLC0415
            from dyncal.runtime.settings import BrokerSettings, LogSettings  # noqa: PLC0415
            from simulators.plant import Plant  # noqa: PLC0415
            from simulators.trial.watcher import Watcher  # noqa: PLC0415

            logging.configure(LogSettings.model_validate({"level": o.log_level}))
            broker = BrokerSettings(port=o.ports.broker, protocol="3.1.1")
            reports = await stack.enter_async_context(open_bus(broker, "dyncal-trial-reports", clean=True))
            blocks = await stack.enter_async_context(open_bus(broker, "dyncal-trial-blocks", clean=True))
            watcher = Watcher(reports, blocks, EdgeAddress(SiteId(SITE), EdgeId(EDGE)), self._clock)
            watching = asyncio.create_task(watcher.run(), name="watcher")
            stack.push_async_callback(_cancelled, watching)
            started = await self._started(plant_process, children, stop)
            if started is None or not await self._page_answers(children, stop):
                return None
            self._announce(self._address)
            await self._wait(children, stop, o.duration_s)
            if stop.is_set() or o.duration_s is None:
                return None
            plant = Plant(o.scenario, InstantNs(started.t0_ns))
            stopped, ended_ns = await self._wind_down(plant_process, children, plant)
        return await asyncio.to_thread(self._judge, plant, watcher.heard, stopped, ended_ns)

    def _plant_arguments(self) -> list[str]:
        o = self._options
        ports = ["--opcua-port", str(o.ports.opcua), "--mqtt-port", str(o.ports.broker)]
        return ["-m", "simulators", o.scenario_source, *ports, "--log-level", o.log_level]

    async def _started(self, process: Process, children: Children, stop: asyncio.Event) -> Started | None:
        from simulators.reports import Started, read_report  # noqa: PLC0415

        line = await self._within(_read_line(process), children, stop, "the simulators did not start")
        if line == b"":
            raise DyncalError("the simulators ended before they had started")
        report = read_report(line) if line is not None else None
        return report if isinstance(report, Started) else None

    async def _page_answers(self, children: Children, stop: asyncio.Event) -> bool:
        done = await self._within(_answers(self._address), children, stop, f"{self._address} does not answer")
        return done is not None

    async def _within(
        self, work: Coroutine[Any, Any, T], children: Children, stop: asyncio.Event, complaint: str
    ) -> T | None:
        """Return the result of `work`, or None if `stop` came first."""
        task = asyncio.create_task(work)
        try:
            await _any(task, children.died, stop, seconds=START_S)
            children.check()
            if task.done():
                return task.result()
            if stop.is_set():
                return None
            raise Unavailable(f"{complaint} within {START_S:g} s")
        finally:
            await _cancelled(task)

    async def _wait(self, children: Children, stop: asyncio.Event, seconds: float | None) -> None:
        await _any(None, children.died, stop, seconds=seconds)
        children.check()

    async def _wind_down(self, process: Process, children: Children, plant: Plant) -> tuple[Stopped, InstantNs]:
        """Stop the plant, let its last samples reach the store, then stop the edge and after it the services."""
        from simulators.reports import Stopped, read_report  # noqa: PLC0415

        stopping = asyncio.create_task(children.stop("simulators"))
        report = read_report(await _read_line(process))
        await stopping
        if not isinstance(report, Stopped):
            raise DyncalError("the simulators did not say what they made")
        ended_ns = self._clock.now()
        left = await self._settled(plant, report)
        if left:
            _logger().error("samples_not_in_store", channels=left, after_s=SETTLE_S)
        for name in ("edge", "embedded"):
            children.check()
            status = await children.stop(name)
            if status:
                _logger().error("stopped_badly", child=name, status=status)
        return report, ended_ns

    async def _settled(self, plant: Plant, stopped: Stopped) -> list[str]:
        from simulators.trial.harvest import last_instants, missing  # noqa: PLC0415  # stores: not before they are needed

        last_ns = await asyncio.to_thread(last_instants, plant, stopped.generated)
        deadline = self._clock.monotonic_s() + SETTLE_S
        while True:
            left = await asyncio.to_thread(missing, self._options.data_dir, last_ns)
            if not left or self._clock.monotonic_s() > deadline:
                return left
            await asyncio.sleep(0.5)

    def _judge(self, plant: Plant, heard: Heard, stopped: Stopped, ended_ns: InstantNs) -> Result:
        from simulators.trial.harvest import Ended, harvest  # noqa: PLC0415
        from simulators.trial.score import failures, score  # noqa: PLC0415

        o = self._options
        ended = Ended(stopped.published, stopped.generated, InstantNs(ended_ns))
        scores = tuple(score(evidence) for evidence in harvest(plant, heard, ended, o.data_dir, EdgeId(EDGE)))
        first = None if heard.first_corrected_s is None else heard.first_corrected_s - o.started_s
        return Result(
            scenario=o.scenario.name,
            duration_s=o.duration_s or 0.0,
            start_to_first_corrected_s=first,
            plant_late_s=stopped.max_late_s,
            sensors=scores,
            failed=tuple(failures(scores)),
        )


async def _read_line(process: Process) -> bytes:
    return await process.stdout.readline() if process.stdout is not None else b""


async def _answers(address: str) -> bool:
    while True:
        try:
            await asyncio.to_thread(_get, f"{address}healthz")
        except (urllib.error.URLError, OSError):
            await asyncio.sleep(0.25)
        else:
            return True


def _get(address: str) -> None:
    with urllib.request.urlopen(address, timeout=2.0) as answer:  # noqa: S310  # our own loopback address
        answer.read()


async def _any(task: asyncio.Task[Any] | None, *events: asyncio.Event, seconds: float | None) -> None:
    """Wait until the task is done, an event is set, or the time is over."""
    waiters = [asyncio.create_task(event.wait()) for event in events]
    try:
        everything: Sequence[asyncio.Task[Any]] = [*waiters, *([task] if task is not None else [])]
        await asyncio.wait(everything, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            await _cancelled(waiter)


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; what it failed with is said, not raised."""
    task.cancel()
    outcome = (await asyncio.gather(task, return_exceptions=True))[0]
    if isinstance(outcome, Exception):
        _logger().error("task_failed", task=task.get_name(), error=str(outcome))


def _logger() -> Any:
    from dyncal.runtime.logging import logger  # noqa: PLC0415

    return logger("trial")
