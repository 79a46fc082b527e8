"""A simulated sensor with its reference, as the events that the engine would get of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.signal import butter, sosfilt

from dyncal.domain import quality
from dyncal.domain.samples import FloatArray, SampleBlock
from dyncal.domain.sensors import EdgeId, ModelKind, Pairing, Sensor, SensorId, SiteId
from dyncal.domain.time import DurationNs, ExplicitAxis, InstantNs, Int64Array, UniformAxis
from dyncal.models import paired_model
from services.calibrate.events import PairingsChanged, RecordArrived

T0 = 1_700_000_000_000_000_000
EDGE = EdgeId("edge1")


@dataclass(slots=True)
class Plant:
    """One sensor at `dt_s`, blocks of `block` samples; `theta` may be a list of (from second, parameters)."""

    model: ModelKind
    theta: Sequence[tuple[float, tuple[float, ...]]]
    dt_s: float
    band_hz: float
    duration_s: float
    block: int = 1
    noise: float = 0.01
    seed: int = 1
    name: str = "s1"
    dead_time: bool = False
    n_poles: int | None = None
    n_zeros: int = 0
    pairing: Pairing = field(init=False)
    t_ns: Int64Array = field(init=False)
    truth: FloatArray = field(init=False)
    raw: FloatArray = field(init=False)
    reference: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        n = round(self.duration_s / self.dt_s)
        # The measurand is made on a grid four times as fine, so that it is what happens between samples, too.
        fine = 4
        nyquist = 0.5 * fine / self.dt_s
        sos = butter(4, self.band_hz / nyquist, output="sos")
        settle = min(20_000, round(20 * nyquist / self.band_hz))
        u = sosfilt(sos, rng.standard_normal(n * fine + settle))[settle:]
        u /= u.std()
        step = round(self.dt_s * 1e9 / fine)
        t = T0 + step * np.arange(n * fine, dtype=np.int64)
        self.pairing = Pairing(
            SensorId(self.name), SensorId(self.name + "-ref"), self.model,
            dead_time=self.dead_time, n_poles=self.n_poles, n_zeros=self.n_zeros,
        )  # fmt: skip
        model = paired_model(self.pairing)
        y = np.empty_like(u)
        edges = [round(s / self.dt_s) * fine for s, _ in self.theta] + [n * fine]
        for (_, theta), a, b in zip(self.theta, edges, edges[1:], strict=False):
            y[a:b] = model.simulate(np.array(theta), t[:b], u[:b])[a:b]
        self.t_ns = t[::fine].copy()
        self.truth = u[::fine].copy()
        self.raw = y[::fine] + self.noise * rng.standard_normal(n)
        self.reference = self.truth + 0.2 * self.noise * rng.standard_normal(n)

    @property
    def dt_ns(self) -> DurationNs:
        return DurationNs(round(self.dt_s * 1e9))

    def sensors(self) -> tuple[Sensor, ...]:
        return tuple(
            Sensor(SensorId(n), SiteId("plant"), EDGE, "1", self.dt_ns) for n in (self.name, self.name + "-ref")
        )

    def paired(self, at_s: float = 0.0) -> PairingsChanged:
        return PairingsChanged(self.sensors(), (self.pairing,), self.at(at_s))

    def at(self, second: float) -> InstantNs:
        return InstantNs(T0 + round(second * 1e9))

    def block_of(self, values: FloatArray, name: str, a: int, b: int) -> RecordArrived:
        arrival = InstantNs(int(self.t_ns[b - 1]) + 20_000_000)
        axis = UniformAxis(InstantNs(int(self.t_ns[a])), self.dt_ns, b - a)
        block = SampleBlock(
            SensorId(name), EDGE, 1, a // self.block, axis, values[a:b].copy(), quality.good(b - a), arrival
        )
        return RecordArrived(block, arrival)

    def events(self, from_s: float = 0.0, to_s: float | None = None) -> Iterator[tuple[float, RecordArrived]]:
        """Yield (second, event): sensor and reference in turn."""
        n = self.t_ns.size
        first = round(from_s / self.dt_s)
        last = n if to_s is None else min(n, round(to_s / self.dt_s))
        for a in range(first, last, self.block):
            b = min(a + self.block, last)
            second = b * self.dt_s
            yield second, self.block_of(self.raw, self.name, a, b)
            yield second, self.block_of(self.reference, self.name + "-ref", a, b)


@dataclass(slots=True)
class EventDriven(Plant):
    """The same, but the sensor says something every 0.25 to 2 intervals; the reference keeps to its grid."""

    reference_ns: Int64Array = field(init=False)

    def __post_init__(self) -> None:
        dt_s, self.dt_s = self.dt_s, self.dt_s / 4  # what happens is made four times as often, and a part of it told
        Plant.__post_init__(self)
        self.dt_s = dt_s
        rng = np.random.default_rng([self.seed, 1])
        told = np.cumsum(rng.integers(1, 9, size=self.t_ns.size))
        told = told[told < self.t_ns.size]
        self.reference_ns, self.reference = self.t_ns[::4].copy(), self.reference[::4].copy()
        self.t_ns, self.raw, self.truth = self.t_ns[told], self.raw[told], self.truth[told]

    def events(self, from_s: float = 0.0, to_s: float | None = None) -> Iterator[tuple[float, RecordArrived]]:
        """Yield (second, event), a block of each every half second."""
        for k in range(round(from_s * 2), round((to_s or self.duration_s) * 2)):
            edges = T0 + np.array([k, k + 1]) * 500_000_000
            for name, t_ns, values in (
                (self.name, self.t_ns, self.raw), (self.name + "-ref", self.reference_ns, self.reference),
            ):  # fmt: skip
                a, b = np.searchsorted(t_ns, edges)
                if b > a:
                    arrival = InstantNs(int(edges[1]) + 20_000_000)
                    axis = ExplicitAxis(t_ns[a:b].copy())
                    block = SampleBlock(
                        SensorId(name), EDGE, 1, k, axis, values[a:b].copy(), quality.good(b - a), arrival
                    )
                    yield (k + 1) / 2, RecordArrived(block, arrival)
