"""Sensors, sets and an engine for the tests of the edge agent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dyncal.contracts.coefficients import seal
from dyncal.domain import quality
from dyncal.domain.coefficients import CoefficientSet, CorrectionFilter, Parameters, Provenance, Report
from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import FloatArray, GapRecord, Record, SampleBlock
from dyncal.domain.sensors import EdgeId, ModelKind, Sensor, SensorId, SiteId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, Int64Array
from edge_agent.acceptance import Policy
from edge_agent.agent import AgentEngine
from edge_agent.events import (
    AgentLimits,
    Append,
    Effect,
    Keep,
    Notice,
    Release,
    SamplesRead,
    StreamConfig,
    StreamStart,
    Tell,
)

SENSOR = SensorId("TT-101")
EDGE = EdgeId("edge1")
DT = DurationNs(10_000_000)
T0 = InstantNs(1_700_000_000 * NS_PER_S)
TAU_S = 0.5


class Key:
    """A signer and its verifier."""

    def __init__(self, key_id: str = "test") -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(key_id.encode().ljust(32, b"\0"))
        self.key_id = key_id

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        return key_id == self.key_id and signature == self._private.sign(message)


KEY = Key()


def config(sensor: SensorId = SENSOR, dt: DurationNs = DT) -> StreamConfig:
    return StreamConfig(
        Sensor(sensor, SiteId("plant"), EDGE, "Cel", dt),
        gap_after_ns=DurationNs(5 * dt // 2),
        silent_after_ns=DurationNs(100 * dt),
    )


def coefficient_set(
    sequence: int = 1,
    *,
    set_id: str | None = None,
    sensor: SensorId = SENSOR,
    tau_s: float = TAU_S,
    filter_tau_s: float | None = None,
    dt: DurationNs = DT,
    residual_limit: float = 0.0,
    valid_from: InstantNs = T0,
    gain: float = 1.0,
    delay: int = 0,
) -> CoefficientSet:
    """The exact inverse of a first-order sensor under zero-order hold, `delay` samples late:

    û[k] = (y[k] - a y[k-1]) / (g (1 - a)).
    """
    a = math.exp(-dt / NS_PER_S / (filter_tau_s or tau_s))
    return CoefficientSet(
        id=set_id or f"set-{sequence}",
        sensor=sensor,
        sequence=sequence,
        parent=None,
        parameters=Parameters(
            ModelKind.FIRST_ORDER, ("gain", "tau_s"), np.array([gain, tau_s]), np.diag([1e-6, (0.01 * tau_s) ** 2])
        ),
        correction=CorrectionFilter(
            dt_ns=dt,
            fir=np.concatenate((np.zeros(delay), np.array([1.0, -a]) / (gain * (1 - a)))),
            sos=np.empty((0, 6)),
            delay=delay,
            sensitivities=np.array([[-1.0 / gain, 0, 0, 0, 0], [1.0, -1.0, 0, -a, 0]]),
            u_noise=0.01,
            u_model=0.001,
            band_hz=10.0,
        ),
        gain_limits=(0.5 / gain, 2.0 / gain),
        valid_from_ns=valid_from,
        provenance=Provenance("cal-1", SensorId("TT-101R"), T0, T0, T0, 1000),
        residual_limit=residual_limit,
    )


def envelope(coefficients: CoefficientSet, key: Key = KEY) -> bytes:
    return seal(coefficients, key)


def times(n: int, start: int = 0, dt: int = DT) -> Int64Array:
    return T0 + dt * np.arange(start, start + n, dtype=np.int64)


def read(
    t_ns: Int64Array,
    raw: FloatArray | None = None,
    codes: UInt32Array | None = None,
    *,
    arrival: int | None = None,
    receipt: object | None = None,
    sensor: SensorId = SENSOR,
) -> SamplesRead:
    """Samples that arrive with their newest, unless said otherwise; the raw value of an instant is a function of it."""
    newest = int(t_ns.max()) if t_ns.size else T0
    return SamplesRead(
        sensor,
        t_ns,
        value_at(t_ns) if raw is None else raw,
        np.zeros(t_ns.size, np.uint32) if codes is None else codes,
        InstantNs(newest if arrival is None else arrival),
        receipt=receipt,
    )


def value_at(t_ns: Int64Array) -> FloatArray:
    return np.asarray(20 + np.sin((t_ns - T0) / NS_PER_S * 2), np.float64)


def lagged(u: FloatArray, tau_s: float = TAU_S, dt: int = DT) -> FloatArray:
    """What a first-order sensor indicates of a stepwise measurand, from its steady state on."""
    a = math.exp(-dt / NS_PER_S / tau_s)
    y = np.empty_like(u)
    last = u[0]
    for k, x in enumerate(u):
        last = a * last + (1 - a) * x
        y[k] = last
    return y


@dataclass
class Content:
    """What records say, whatever blocks they were cut into."""

    raw: dict[int, tuple[float, int]] = field(default_factory=dict)
    corrected: dict[int, tuple[float, float, str]] = field(default_factory=dict)
    gaps: list[tuple[int, int, str, int | None]] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    n_raw: int = 0

    @classmethod
    def of(cls, records: Iterable[Record]) -> Content:
        content = cls()
        for record in records:
            content.sequences.append(record.sequence)
            if isinstance(record, GapRecord):
                gap = record.gap
                content.gaps.append((gap.after_ns, gap.before_ns, gap.cause.value, gap.n_lost))
            else:
                content._add(record)
        return content

    def _add(self, block: SampleBlock) -> None:
        codes = quality.expand(block.quality).tolist()
        for t, y, code in zip(block.axis.t_ns.tolist(), block.raw.tolist(), codes, strict=True):
            self.raw[t] = (y, code)
            self.n_raw += 1
        span = block.corrected
        if span is not None:
            rows = zip(span.axis.t_ns.tolist(), span.value.tolist(), span.u.tolist(), strict=True)
            for t, value, u in rows:
                self.corrected[t] = (value, u, span.set_id)


def engine(
    *configs: StreamConfig,
    starts: dict[SensorId, StreamStart] | None = None,
    limits: AgentLimits | None = None,
    policy: Policy | None = None,
    newest: dict[SensorId, Int64Array] | None = None,
    refused: dict[SensorId, dict[int, InstantNs]] | None = None,
) -> AgentEngine:
    return AgentEngine(
        EDGE,
        7,
        configs or (config(),),
        starts or {},
        limits=limits or AgentLimits(),
        policy=policy or Policy(KEY),
        newest=newest,
        refused=refused,
    )


def records(effects: Iterable[Effect]) -> list[Record]:
    return [effect.record for effect in effects if isinstance(effect, Append)]


def reports(effects: Iterable[Effect]) -> list[Report]:
    return [effect.report for effect in effects if isinstance(effect, Tell)]


def kinds(effects: Iterable[Effect]) -> list[str]:
    return [effect.kind.value for effect in effects if isinstance(effect, Notice)]


def receipts(effects: Iterable[Effect]) -> list[object]:
    return [receipt for effect in effects if isinstance(effect, Release) for receipt in effect.receipts]


def kept(effects: Iterable[Effect]) -> bytes:
    return [effect.content for effect in effects if isinstance(effect, Keep)][-1]
