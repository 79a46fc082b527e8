"""A fleet for rollouts: edges that run the real core, and a registry in which a set waits for each of their sensors.

The sensors are of first order, 5 ms at 100 Hz, so that eight windows of the edge's check last five seconds of data.
A good set is the exact inverse; a bad one inverts another time constant than it states, which the check finds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dyncal.contracts import residuals
from dyncal.contracts.codec import to_json
from dyncal.contracts.coefficients import encode_report, seal
from dyncal.contracts.edges import VERSION, StatusMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.coefficients import CoefficientSet, SetState
from dyncal.domain.lifecycle import ReleaseMode, ReleasePolicy
from dyncal.domain.sensors import EdgeId, ModelKind, Pairing, Sensor, SensorId, SiteId
from dyncal.domain.time import DurationNs, InstantNs
from dyncal.ports.records import Act
from dyncal.ports.registry import Registry
from dyncal.ports.signing import Signer, Verifier
from edge_agent.acceptance import Policy
from edge_agent.agent import AgentEngine
from edge_agent.events import AgentLimits, DesiredSet, Effect, SamplesRead, StreamConfig, Tell, TellResiduals, Tick
from tests.unit.edge_agent.helpers import coefficient_set, lagged

SITE: Final = SiteId("plant")
DT: Final = DurationNs(10_000_000)
TAU_S: Final = 0.05
WRONG_TAU_S: Final = 0.35
LIMIT: Final = 0.05
REFERENCE: Final = SensorId("REF")

Message = tuple[str, bytes]


def sensor_of(k: int) -> SensorId:
    return SensorId(f"TT-{k:04}")


def edge_of(k: int) -> EdgeId:
    return EdgeId(f"edge-{k:04}")


def address_of(k: int) -> EdgeAddress:
    return EdgeAddress(SITE, edge_of(k))


def make_set(k: int, sequence: int, now_ns: InstantNs, *, bad: bool = False) -> CoefficientSet:
    made = coefficient_set(
        sequence,
        set_id=f"{sensor_of(k)}.{sequence}-{'bad' if bad else 'good'}",
        sensor=sensor_of(k),
        tau_s=TAU_S,
        filter_tau_s=WRONG_TAU_S if bad else None,
        dt=DT,
        residual_limit=LIMIT,
        valid_from=now_ns,
    )
    return dataclasses.replace(made, parent=None if sequence == 1 else f"{sensor_of(k)}.1-good")


def fill(registry: Registry, signer: Signer, n: int, now_ns: InstantNs, bad: Collection[int] = ()) -> None:
    """Register `n` sensors, each on an edge of its own, with a set in force and a verified one that waits."""
    sensors = [Sensor(sensor_of(k), SITE, edge_of(k), "Cel", DT) for k in range(n)]
    sensors.append(Sensor(REFERENCE, SITE, edge_of(0), "Cel", DT))
    pairings = [Pairing(sensor_of(k), REFERENCE, ModelKind.FIRST_ORDER, 0.05) for k in range(n)]
    act = Act("test", now_ns, "set up")
    registry.put_sensors(sensors, pairings, act)
    for k in range(n):
        first, second = make_set(k, 1, now_ns), make_set(k, 2, now_ns, bad=k in bad)
        registry.add_set(first, seal(first, signer), SetState.PUBLISHED, act)
        registry.set_state(first.id, SetState.ACTIVE, act)
        registry.add_set(second, b"", SetState.VERIFIED, act)
        registry.put_policy(sensor_of(k), ReleasePolicy(ReleaseMode.APPROVAL), act)


@dataclass
class SimulatedEdge:
    """One edge with one sensor: the real engine, of whose effects reports alone leave it."""

    k: int
    verifier: Verifier
    clock: Callable[[], InstantNs]
    at: int | None = None
    """Which edge it is, where that is not the k-th."""
    online: bool = True
    history: list[tuple[InstantNs, str, str]] = field(default_factory=list)
    """Instant, outcome and set of each report, and of each residual above the limit."""

    def __post_init__(self) -> None:
        config = StreamConfig(
            Sensor(sensor_of(self.k), SITE, edge_of(self.place), "Cel", DT),
            gap_after_ns=DurationNs(1 << 62),
            silent_after_ns=DurationNs(1 << 62),
        )
        self.engine = AgentEngine(
            edge_of(self.place), 1, (config,), {}, limits=AgentLimits(), policy=Policy(self.verifier)
        )
        self._rng = np.random.default_rng(self.k)
        self._t_ns = self.clock()
        self._y = np.zeros(0)

    @property
    def place(self) -> int:
        return self.k if self.at is None else self.at

    @property
    def runs(self) -> str:
        return self.engine.streams[sensor_of(self.k)].adjustment.set_id or ""

    def status(self, *, online: bool = True) -> Message:
        message = StatusMessage(VERSION, "online" if online else "offline", version="test", epoch=1)
        return address_of(self.place).status, to_json(message)

    def desire(self, envelope: bytes) -> list[Message]:
        """Take a set that was published for it; return what it says."""
        return self._said(self.engine.handle(DesiredSet(sensor_of(self.k), envelope, self.clock())))

    def feed(self, n: int = 128) -> list[Message]:
        """Read `n` samples of a moving process; return what it says."""
        t_ns = self._t_ns + DT * np.arange(1, n + 1, dtype=np.int64)
        self._t_ns = InstantNs(int(t_ns[-1]))
        phase = (t_ns % 100_000_000_000) / 1e9 * 2 * np.pi * 0.7
        u = 20 + 3 * np.sin(phase + self.k)
        raw = lagged(np.concatenate((u[:1], u)), TAU_S, DT)[1:] if not self._y.size else self._continued(u)
        self._y = raw[-1:]
        raw = raw + self._rng.normal(0, 0.002, n)
        now = self.clock()
        event = SamplesRead(sensor_of(self.k), t_ns, raw, np.zeros(n, np.uint32), now)
        return self._said([*self.engine.handle(event), *self.engine.handle(Tick(now))])

    def _continued(self, u: np.ndarray) -> np.ndarray:
        a = float(np.exp(-DT / 1e9 / TAU_S))
        y, last = np.empty_like(u), float(self._y[0])
        for k, x in enumerate(u):
            last = a * last + (1 - a) * x
            y[k] = last
        return y

    def _said(self, effects: Iterable[Effect]) -> list[Message]:
        told = list(effects)
        reports = [effect.report for effect in told if isinstance(effect, Tell)]
        self.history += [(self.clock(), str(r.outcome), r.set_id) for r in reports]
        said = [(address_of(self.place).reported(sensor_of(self.k)), encode_report(r)) for r in reports]
        for effect in told:
            if isinstance(effect, TellResiduals):
                above = [r for r in effect.found if not r.shadow and 0 < r.limit < r.rms]
                self.history += [(self.clock(), "above_limit", r.set_id) for r in above]
                said += [
                    (address_of(self.place).residuals, each) for each in residuals.encode(effect.found, effect.at_ns)
                ]
        return said
