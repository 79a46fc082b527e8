"""Rollouts over a real broker: calibrate as a program of its own, and many simulated edges that run the real core.

In full, with a bad set on a fleet of 200: ``python -m tests.rollouts.trial --edges 200``; ``--kill`` kills calibrate
once the abort has begun.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dyncal.adapters.mqtt import PahoMessageBus, open_bus
from dyncal.adapters.registry import open_registry
from dyncal.adapters.registry.sql import SqlRegistry
from dyncal.adapters.signing import open_signer, open_verifier
from dyncal.contracts.topics import parse
from dyncal.domain.coefficients import SetState
from dyncal.domain.orders import Order, OrderKind
from dyncal.domain.rollouts import Member
from dyncal.domain.time import InstantNs
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.settings import BrokerSettings, RegistrySettings, SigningSettings
from tests.rollouts.fleet import Message, SimulatedEdge, edge_of, fill
from tests.servers_mosquitto import Mosquitto

BLOCK: Final = 128  # samples, in as much time as they take
OVER: Final = ("completed", "aborted")
BREACHES: Final = ("above_limit", "reverted")
_CONFIG: Final = """
site = "plant"
data_dir = "{directory}"
[broker]
port = {port}
[calibrate]
poll_s = 0.2
"""


@dataclass
class Trial:
    """A fleet of `n` edges, calibrate and mosquitto; edges in `bad` get a set that their own check finds wanting."""

    directory: Path
    broker: Mosquitto
    n: int
    bad: Collection[int] = ()
    n_connections: int = 4
    edges: list[SimulatedEdge] = field(default_factory=list)
    program: subprocess.Popen[bytes] | None = None
    _orders: int = 0

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        self.registry: SqlRegistry = open_registry(RegistrySettings(), self.directory)
        signing = SigningSettings()
        fill(self.registry, open_signer(signing, self.directory), self.n, self.clock.now(), self.bad)
        verifier = open_verifier(signing, self.directory)
        self.edges = [SimulatedEdge(k, verifier, self.clock.now) for k in range(self.n)]
        for record in self.registry.sets(state=SetState.ACTIVE, limit=self.n):
            self.edges[int(record.coefficients.sensor[3:])].desire(record.envelope)
        self._config = self.directory / "dyncal.toml"
        self._config.write_text(_CONFIG.format(directory=self.directory, port=self.broker.port))

    def start(self) -> None:
        """Start calibrate."""
        command = [sys.executable, "-m", "services.calibrate", "--config", str(self._config)]
        with (self.directory / "calibrate.log").open("ab") as log:
            self.program = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill calibrate: it has no time to say goodbye."""
        if self.program is not None:
            self.program.kill()
            self.program.wait()
            self.program = None

    def order(self, kind: OrderKind, subject: str = "r-1", **body: object) -> str:
        """Give an order; return its id."""
        self._orders += 1
        name = f"o-{self._orders}"
        self.registry.put_order(Order(name, kind, subject, "ann", "engineer", "because", self.clock.now(), body))
        return name

    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Have the edges read, correct and answer meanwhile."""
        settings = BrokerSettings(port=self.broker.port)
        async with contextlib.AsyncExitStack() as stack:
            groups = [self.edges[c :: self.n_connections] for c in range(self.n_connections)]
            buses = [
                await stack.enter_async_context(open_bus(settings, f"edges-{c}", clean=True))
                for c in range(self.n_connections)
            ]
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(work)
                    for bus, group in zip(buses, groups, strict=True)
                    for work in (self._listen(bus, group), self._feed(bus, group))
                ]
                yield
                for task in running:
                    task.cancel()

    async def _listen(self, bus: PahoMessageBus, group: list[SimulatedEdge]) -> None:
        await bus.wait_connected()
        mine = {edge_of(edge.k): edge for edge in group}
        await bus.subscribe([f"dyncal/v1/plant/{name}/coefficients/+/desired" for name in mine])
        for edge in group:
            topic, payload = edge.status()
            await bus.publish(topic, payload, retain=True)
        async for delivery in bus.deliveries():
            edge = mine[parse(delivery.topic).address.edge]
            await _say(bus, edge.desire(delivery.payload))
            delivery.ack()

    async def _feed(self, bus: PahoMessageBus, group: list[SimulatedEdge]) -> None:
        """Give each edge its samples, one edge after the other, so that nobody waits for all."""
        await bus.wait_connected()
        period_s = BLOCK / 100
        due = time.monotonic()
        while True:
            for edge in group:
                await _say(bus, edge.feed(BLOCK))
                due += period_s / len(group)
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def until_over(self, timeout_s: float) -> None:
        """Return once the rollout is over."""
        async with asyncio.timeout(timeout_s):
            while True:
                with contextlib.suppress(LookupError):
                    found = await asyncio.to_thread(self.registry.rollouts)
                    if found and found[0].rollout.state in OVER:
                        return
                await asyncio.sleep(0.25)

    def begun_to_abort(self) -> bool:
        return any("abort" in entry.move.action for entry in self.registry.rollout_moves("r-1"))

    @property
    def members(self) -> list[Member]:
        """The members of the rollout."""
        return self.registry.rollout_members("r-1", limit=self.n)

    def close(self) -> None:
        """Let go of everything."""
        self.kill()
        self.registry.close()


async def _say(bus: PahoMessageBus, messages: list[Message]) -> None:
    for topic, payload in messages:
        await bus.publish(topic, payload, retain=topic.endswith("/reported"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a bad set: how long from the first breach to the end of the abort, and how many were touched."""

    state: str
    abort_s: float
    over_s: float
    touched: int
    still_bad: int
    n: int


async def bad_set(trial: Trial, plan: dict[str, object], *, kill: bool = False, timeout_s: float = 120.0) -> Outcome:
    """Roll a set out that fails; with `kill`, calibrate is killed once the abort has begun, and started again."""
    trial.start()
    async with trial.alive():
        trial.order(OrderKind.ROLLOUT_START, plan=plan)
        if kill:
            async with asyncio.timeout(timeout_s):
                while not await asyncio.to_thread(trial.begun_to_abort):
                    await asyncio.sleep(0.05)
            trial.kill()
            trial.start()
        await trial.until_over(timeout_s)
        await asyncio.sleep(1.0)
    told = [entry for edge in trial.edges for entry in edge.history]
    breaches = [at for at, outcome, set_id in told if outcome in BREACHES and set_id.endswith("-bad")]
    moves = {entry.move.action: entry.move.at_ns for entry in trial.registry.rollout_moves("r-1", limit=1000)}
    began: InstantNs = min(breaches)
    return Outcome(
        str(trial.registry.rollout("r-1").rollout.state),
        (moves["rollout.abort"] - began) / 1e9,
        (moves["rollout.aborted"] - began) / 1e9,
        sum(member.stage is not None for member in trial.members),
        sum(edge.runs.endswith("-bad") for edge in trial.edges),
        trial.n,
    )


PLAN: Final[dict[str, object]] = {
    "stages": [{"share": 0.02, "soak_s": 20.0}, {"share": 0.05, "soak_s": 20.0}, {"share": 1.0, "soak_s": 20.0}],
    "abort_share": 0.0,
}


def main() -> None:
    """Roll a bad set out over a fleet, and print what became of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.rollouts.trial", description=main.__doc__)
    parser.add_argument("--edges", type=int, default=200)
    parser.add_argument("--share-bad", type=float, default=1.0, help="share of the edges whose set is bad")
    parser.add_argument("--kill", action="store_true", help="kill calibrate once the abort has begun")
    arguments = parser.parse_args()
    n = arguments.edges
    with tempfile.TemporaryDirectory(prefix="dyncal-rollout-") as folder:
        broker = Mosquitto(Path(folder))
        broker.start()
        bad = range(0, n, max(1, round(1 / arguments.share_bad)))
        trial = Trial(Path(folder), broker, n, bad)
        try:
            print(asyncio.run(bad_set(trial, PLAN, kill=arguments.kill, timeout_s=300.0)))  # noqa: T201
        finally:
            trial.close()
            broker.stop()


if __name__ == "__main__":
    main()
