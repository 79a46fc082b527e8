"""What has changed: slow drifts of sensor or reference among disturbances of the process, found and told apart.

Three thermocouples (τ = 1, 0.6 and 1.5 s, 20 Hz, noise at 30 dB of the indication) beside one reference. The process is
disturbed every minute or so: its level, size or pace changes within a second or two. From 240 s on something drifts, or
nothing does; ten minutes later it has changed by the tolerance, 5 %.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from scipy.signal import butter, lfilter, sosfilt
from scipy.stats import binom

from dyncal.domain.health import Cause
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.drift import DriftMonitor, DriftSettings, DriftState
from dyncal.drift.attribution import Pair, attribute, common_of, settled
from dyncal.drift.ledger import BlockLedger
from dyncal.drift.process import features
from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from tests.evidence import Figure
from tests.statistical.harness import Experiment

RATE_HZ: Final = 20
FINE: Final = 8
ONSET_S, END_S = 240.0, 840.0
TOLERANCE: Final = 0.05
LEAST: Final = 0.5
"""Share of the tolerance from which a change counts: as the service has it."""
TAUS: Final = (1.0, 0.6, 1.5)
NAMES: Final = ("gain", "tau_s")
EVERY_S: Final = 60.0
_NOISE_R: Final = 0.01


class World(enum.StrEnum):
    """What truly happens."""

    SENSOR = "sensor"
    REFERENCE_LAG = "reference lag"
    REFERENCE_GAIN = "reference gain"
    OPERATING_POINT = "operating point"
    PROCESS = "process"


_RIGHT: Final = {
    World.SENSOR: Cause.SENSOR,
    World.REFERENCE_LAG: Cause.REFERENCE,
    World.REFERENCE_GAIN: Cause.REFERENCE,
    World.OPERATING_POINT: Cause.PROCESS,
}
CAUSES: Final = tuple(Cause)
DRIFTS: Final = (World.SENSOR, World.REFERENCE_LAG, World.REFERENCE_GAIN)
ASK_EVERY_S, ASK_FOR_S = 25, 150.0


@dataclass(frozen=True)
class Process:
    """A disturbed measurand on the fine grid, and its size at each second."""

    x: FloatArray
    size: FloatArray


def process(rng: np.random.Generator) -> Process:
    """Return a process of band-limited noise whose level, size and pace are disturbed."""
    n = round(END_S * RATE_HZ * FINE)
    settle = 40 * RATE_HZ * FINE
    parts = []
    for band_hz in (0.25, 0.5, 1.0):
        sos = butter(2, 2 * band_hz / (RATE_HZ * FINE), output="sos")
        noise = np.asarray(sosfilt(sos, rng.standard_normal(n + settle)))[settle:]
        parts.append(noise / noise.std())
    t = np.arange(n) / (RATE_HZ * FINE)
    level, size, place = 0.0, 1.0, 1.0
    course = np.empty((3, n))
    sizes = np.ones(round(END_S))
    begin = 0.0
    while begin < END_S:
        end = begin + rng.uniform(0.5, 1.5) * EVERY_S
        here = slice(round(begin * RATE_HZ * FINE), round(end * RATE_HZ * FINE))
        course[:, here] = np.array([[level], [size], [place]])
        sizes[round(begin) : round(end)] = size
        begin = end
        kind = rng.integers(3)
        if kind == 0:
            level = rng.uniform(-4, 4)
        elif kind == 1:
            size = (0.6, 1.0, 1.8)[rng.integers(3)]
        else:
            place = float(rng.integers(3))
    width = round(1.5 * RATE_HZ * FINE)
    b = np.full(width, 1 / width)
    smooth = np.stack([lfilter(b, [1.0], row, zi=np.full(width - 1, 0.0) + _held(b, row[0]))[0] for row in course])
    weights = np.stack([np.clip(1 - np.abs(smooth[2] - k), 0, 1) for k in range(3)])
    x = smooth[0] + smooth[1] * np.einsum("kn,kn->n", np.sqrt(weights), np.stack(parts))
    assert t.size == x.size
    return Process(x, sizes)


def _held(b: FloatArray, value: float) -> FloatArray:
    """Return the state of a moving mean that has seen `value` for long."""
    return np.asarray(value * np.cumsum(b[::-1])[::-1][1:])


def lagged(x: FloatArray, tau_s: FloatArray) -> FloatArray:
    """Return a first-order lag of x, its τ given second by second, sampled."""
    h, z, out = 1 / (RATE_HZ * FINE), x[0], []
    chunk = RATE_HZ * FINE
    before = x[0]
    for k, tau in enumerate(tau_s.tolist()):
        a = np.exp(-h / tau)
        share = (1 - a) * tau / h
        b1, b0 = 1 - share, share - a
        part = x[k * chunk : (k + 1) * chunk]
        y, _ = lfilter([b1, b0], [1.0, -a], part, zi=[b0 * before + a * z])
        out.append(y[::FINE])
        z, before = y[-1], part[-1]
    return np.concatenate(out)


def pairs(world: World, seed: int, n_sensors: int) -> list[AlignedRecord]:
    """Return what sensors and reference say."""
    rng = np.random.default_rng([seed, list(World).index(world)])
    made = process(rng)
    seconds = np.arange(round(END_S))
    ramp = TOLERANCE * np.clip((seconds - ONSET_S) / (END_S - ONSET_S), 0, 1)
    reference = lagged(made.x, 1e-4 + (ramp if world is World.REFERENCE_LAG else 0 * ramp))
    if world is World.REFERENCE_GAIN:
        reference = reference * np.repeat(1 + ramp, RATE_HZ)
    reference = reference + _NOISE_R * rng.standard_normal(reference.size)
    t_ns = np.arange(reference.size, dtype=np.int64) * (10**9 // RATE_HZ) + 1_700_000_000_000_000_000
    records = []
    for i, tau in enumerate(TAUS[:n_sensors]):
        course = np.full(seconds.size, tau)
        if world is World.SENSOR and i == 0:
            course = course * (1 + ramp)
        if world is World.OPERATING_POINT:
            course = course * made.size**0.15
        y = lagged(made.x, course)
        noise = 10 ** (-30 / 20)  # of the undisturbed process, whose rms is 1
        records.append(AlignedRecord(t_ns, y + noise * rng.standard_normal(y.size), reference))
    return records


@dataclass
class Follower:
    """One pair as the service follows it."""

    record: AlignedRecord
    tau_s: float

    def __post_init__(self) -> None:
        self.estimator = OnlineEstimator(
            ModelKind.FIRST_ORDER, 10**9 // RATE_HZ, OnlineSettings(u_reference_noise=_NOISE_R)
        )
        self.monitor = DriftMonitor(NAMES, DriftSettings(minimum_change=LEAST * TOLERANCE))
        self.ledger = BlockLedger(len(NAMES))
        self.found_s = np.nan
        self.parameter = ""

    def advance(self, begin: int, end: int) -> bool:
        """Follow samples up to `end`; tell whether a drift stands."""
        r = self.record
        part = AlignedRecord(r.t_ns[begin:end], r.indication[begin:end], r.reference[begin:end])
        stands = False
        for block in self.estimator.update(part):
            if not block.excited or block.rejected:
                continue
            a, b = np.searchsorted(r.t_ns, [block.from_ns, block.to_ns + 1])
            self.ledger.add(block, np.stack([features(r.reference[a:b]), features(r.indication[a:b])]))
            status = self.monitor.update(block)
            stands = status.state is DriftState.DRIFT
            if stands and np.isnan(self.found_s):
                self.found_s = end / RATE_HZ
        return stands

    def pair(self) -> Pair:
        """Return it as attribution wants it."""
        values = np.array([1.0, self.tau_s])
        return Pair(self.ledger, values, common_of(NAMES, values))


def told(world: World, n_sensors: int, seed: int) -> FloatArray:
    """Return when the first pair's drift was found [s], the answer then, the answer that it got, and when [s].

    As in the service, it is asked again for some time where no answer is certain enough. NaN where nothing was found.
    """
    followers = [Follower(record, tau) for record, tau in zip(pairs(world, seed, n_sensors), TAUS, strict=False)]
    first, *others = followers
    at_alarm, answer, answered_s = Cause.CANNOT_TELL, Cause.CANNOT_TELL, np.nan
    for end_s in range(1, round(END_S) + 1):
        for follower in followers:
            follower.advance((end_s - 1) * RATE_HZ, end_s * RATE_HZ)
        if np.isnan(first.found_s) or (end_s % ASK_EVERY_S and end_s != first.found_s):
            continue
        found = attribute(first.pair(), [other.pair() for other in others])
        answer = Cause.CANNOT_TELL if found is None else found.cause
        at_alarm = answer if end_s == first.found_s else at_alarm
        if settled(found, alone=n_sensors == 1) or end_s > first.found_s + ASK_FOR_S:
            answered_s = end_s
            break
    return np.array([first.found_s, CAUSES.index(at_alarm), CAUSES.index(answer), answered_s])


def judge(world: World, n_sensors: int, found_bar: float, right_bar: float, results: FloatArray) -> Sequence[Figure]:
    """Return shares found in time, and what was answered to those that were found."""
    n = len(results)
    found = np.isfinite(results[:, 0]) & (results[:, 0] > ONSET_S if world in DRIFTS else True)
    drifts = world in DRIFTS
    figures = [share("found before it leaves its tolerance" if drifts else "found", int(found.sum()), n, found_bar)]
    if drifts:
        early = np.isfinite(results[:, 0]) & (results[:, 0] <= ONSET_S)
        figures.append(share("found before it began (a false alarm)", int(early.sum()), n, 0.0))
    if drifts and found.any():
        after = np.median(results[found, 0] - ONSET_S) / (END_S - ONSET_S)
        figures.append(Figure("median share of the tolerance at the alarm", float(after), 0.0, 1.0, n, unit="%"))
    m, answers = int(found.sum()), results[found]
    if world is World.PROCESS:
        good = n - m + int(np.count_nonzero(answers[:, 2] == CAUSES.index(Cause.PROCESS)))
        return [*figures, share("nothing said of sensor and reference, or the process named", good, n, right_bar)]
    if m:
        right = _RIGHT[world] if n_sensors > 1 else Cause.SENSOR_OR_REFERENCE
        hits = int(np.count_nonzero(answers[:, 2] == CAUSES.index(right)))
        figures.append(share(f"answered right ({right})", hits, m, right_bar))
        for when, column in (("at the alarm", 1), ("in the end", 2)):
            for k, cause in enumerate(CAUSES):
                figures.append(share(f"{when}: {cause}", int(np.count_nonzero(answers[:, column] == k)), m, 0.0))
    return figures


def share(what: str, hits: int, n: int, bar: float) -> Figure:
    """Return a share with its binomial uncertainty, and the probability of as few where the bar is just met."""
    value = hits / n
    u = float(np.sqrt(max(value * (1 - value), 1 / n) / n))
    return Figure(what, value, bar, 1.0, n, u, "%", float(binom.cdf(hits, n, bar)) if bar else None)


def _experiment(world: World, n_sensors: int, found: float, right: float, full: int, short: int) -> Experiment:
    beside = f"{n_sensors} sensors" if n_sensors > 1 else "1 sensor"
    return Experiment(
        f"drift: what has changed, {world}, {beside}",
        partial(told, world, n_sensors),
        partial(judge, world, n_sensors, found, right),
        full,
        short,
    )


EXPERIMENTS: tuple[Experiment, ...] = (
    _experiment(World.SENSOR, 3, 0.99, 0.95, 300, 2),
    _experiment(World.REFERENCE_GAIN, 3, 0.99, 0.95, 200, 2),
    _experiment(World.PROCESS, 3, 0.0, 0.95, 200, 2),
    # no bar: what three sensors and a reference cannot tell for sure, and how often something wrong is said of it
    _experiment(World.REFERENCE_LAG, 3, 0.0, 0.0, 100, 1),
    _experiment(World.OPERATING_POINT, 3, 0.0, 0.0, 100, 1),
    _experiment(World.SENSOR, 1, 0.99, 0.0, 100, 1),
)
