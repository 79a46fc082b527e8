"""A fleet and the calibration service's worker under a simulated clock, without a broker in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dyncal.adapters.signing import open_signer, open_verifier
from dyncal.contracts.topics import parse
from dyncal.domain.orders import Order, OrderKind
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs
from dyncal.ports.registry import Registry
from dyncal.runtime.clocks import SimulatedClock
from dyncal.runtime.logging import logger
from dyncal.runtime.settings import SigningSettings
from dyncal.testing.store import MemorySampleStore
from services.calibrate.metrics import CalibrateMetrics
from services.calibrate.settings import CalibrateSection
from services.calibrate.worker import Arrived, Job, Orders, Worker
from tests.rollouts.fleet import SimulatedEdge, edge_of, fill

PLAN: dict[str, object] = {
    "stages": [{"share": 0.05, "soak_s": 8.0}, {"share": 0.5, "soak_s": 8.0}, {"share": 1.0, "soak_s": 8.0}],
    "abort_share": 0.0,
    "answer_s": 5.0,
    "offline_s": 30.0,
}


class Killed(BaseException):
    """The program is gone: nothing of it catches this."""


class Mortal:
    """A registry whose program is killed before, or after, its n-th write."""

    WRITES = ("write_rollout", "set_state", "add_set", "answer_order")

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.left: int | None = None
        self.after = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._registry, name)
        if name not in self.WRITES:
            return found

        def write(*arguments: Any, **options: Any) -> Any:
            if self.left is not None:
                self.left -= 1
                if self.left < 0 and not self.after:
                    raise Killed
            done = found(*arguments, **options)
            if self.left is not None and self.left < 0:
                raise Killed
            return done

        return write


class Simulation:
    """`n` edges of one sensor each; those in `bad` get a set that their own check finds wanting."""

    def __init__(self, registry: Registry, directory: Path, n: int, bad: tuple[int, ...] = ()) -> None:
        self.clock = SimulatedClock(InstantNs(1_700_000_000 * NS_PER_S))
        self.registry, self.mortal = registry, Mortal(registry)
        self._directory = directory
        self._signer = open_signer(SigningSettings(), directory)
        fill(registry, self._signer, n, self.clock.now(), bad)
        self.edges = {
            edge_of(k): SimulatedEdge(k, open_verifier(SigningSettings(), directory), self.clock.now) for k in range(n)
        }
        self.retained: dict[str, bytes] = {}
        self._orders = 0
        self.n_deaths = 0
        self.worker = self._born()
        self.settle([])
        for record in registry.sets(limit=10_000):
            if record.coefficients.sequence == 1:
                edge = next(e for e in self.edges.values() if record.coefficients.id.startswith(f"TT-{e.k:04}."))
                self.settle(edge.desire(record.envelope))
        for edge in self.edges.values():
            self.settle([edge.status()])

    def _born(self) -> Worker:
        rules = CalibrateSection()
        store, metrics = MemorySampleStore(), CalibrateMetrics()
        return Worker(rules, self.mortal, store, self._signer, self.clock, metrics, logger("test"))

    def settle(self, said: list[tuple[str, bytes]], jobs: list[Job] | None = None) -> None:
        """Carry messages to and fro until nobody has anything to say."""
        waiting: list[Job] = [*(jobs or [None])]
        for topic, payload in said:
            self.retained[topic] = payload
            waiting.append(Arrived(topic, payload))
        while waiting:
            messages, waiting = self._process(waiting), []
            for topic, payload in messages:
                self.retained[topic] = payload
                waiting += [Arrived(*told) for told in self._deliver(topic, payload)]

    def _process(self, jobs: list[Job]) -> list[tuple[str, bytes]]:
        try:
            return [tuple(message) for message in self.worker.process(jobs)]  # type: ignore[misc]
        except Killed:
            self.n_deaths += 1
            self.mortal.left = None
            self.worker = self._born()
            again = [Arrived(*message) for message in self.retained.items() if _to_calibrate(message[0])]
            lost = [job for job in jobs if isinstance(job, Arrived)]  # not acknowledged: they come again
            return self._process([None, self.worker.connected(), *again, *lost, Orders()])

    def _deliver(self, topic: str, payload: bytes) -> list[tuple[str, bytes]]:
        if not topic.endswith("/desired"):
            return []
        edge = self.edges[parse(topic).address.edge]
        said = edge.desire(payload) if edge.online else []
        self.retained.update(said)
        return said

    def order(self, kind: OrderKind, subject: str = "r-1", **body: object) -> Order:
        """Give an order, and have it taken up."""
        self._orders += 1
        name = f"o-{self._orders}"
        self.registry.put_order(Order(name, kind, subject, "ann", "engineer", "because", self.clock.now(), body))
        self.settle([], [Orders()])
        return self.registry.order(name)

    def wait(self, span_s: int, until: Callable[[], bool] = lambda: False) -> int:
        """Let seconds pass; return how many did."""
        for second in range(span_s):
            if until():
                return second
            self.clock.advance(DurationNs(NS_PER_S))
            for edge in self.edges.values():
                if edge.online:
                    self.settle(edge.feed(100), [])
            self.settle([], [self.worker.tick()])
        return span_s

    def go(self, k: int) -> None:
        """Let an edge go offline."""
        edge = self.edges[edge_of(k)]
        edge.online = False
        self.settle([edge.status(online=False)])

    def come(self, k: int) -> None:
        """Let an edge come back: the broker gives it what is retained."""
        edge = self.edges[edge_of(k)]
        edge.online = True
        self.settle([edge.status()])
        for topic, payload in list(self.retained.items()):
            if topic.startswith(f"dyncal/v1/plant/{edge_of(k)}/") and topic.endswith("/desired"):
                self.settle(self._deliver(topic, payload))

    @property
    def state(self) -> str:
        return str(self.registry.rollout("r-1").rollout.state)

    def over(self) -> bool:
        return self.state in ("completed", "aborted")

    def running(self) -> dict[int, str]:
        """Return by edge the set that runs, without the sensor's name."""
        return {edge.k: edge.runs.partition(".")[2] for edge in self.edges.values()}


def _to_calibrate(topic: str) -> bool:
    return topic.endswith(("/reported", "/status"))
