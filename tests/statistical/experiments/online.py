"""The online estimator: efficiency, coverage, a step, an idle hour, false resets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
from scipy.signal import lfilter

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from dyncal.identification.online.block import BlockData, BlockProblem
from dyncal.identification.settings import Likelihood
from dyncal.models import model_of
from tests.evidence import Figure, bias, coverage, efficiency
from tests.statistical.harness import Experiment
from tests.unit.identification.plant import PRESSURE, THERMOCOUPLE, THERMOWELL, Plant, part

_INF: Final = float("inf")
_Z: Final = 1.959964
_FOREVER: Final = OnlineSettings(memory_blocks=1e6)
_EXACT: Final = OnlineSettings(memory_blocks=1e6, likelihood=Likelihood.INNOVATIONS)
"""With forgetting, nothing can reach the bound of all the data."""

LINES: Final = {
    ModelKind.FIRST_ORDER: ((1.0, 0.5), 0.01, 0.95, 6000),
    ModelKind.SECOND_ORDER: ((1.0, 0.3, 5.0), 0.005, 0.8, 6000),
    ModelKind.LEAD_LAG: ((1.0, 1.0, 0.2, 0.4), 0.01, 0.95, 12_000),
}
"""θ, Ts [s], pole of the AR(1) input, samples."""


def line_record(kind: ModelKind, snr_db: float, seed: int) -> tuple[AlignedRecord, float]:
    """Return a record for which the bound of output error holds, and its noise."""
    theta, dt_s, pole, n = LINES[kind]
    rng = np.random.default_rng(seed)
    x = lfilter([1.0], [1.0, -pole], rng.normal(size=n + 500))[500:]
    x /= x.std()
    t = np.arange(n, dtype=np.int64) * round(dt_s * 1e9)
    z = model_of(kind).simulate(np.array(theta), t, x)
    noise = float(z.std()) * 10 ** (-snr_db / 20)
    return AlignedRecord(t, z + noise * rng.normal(size=n), x), noise


def bound(kind: ModelKind, record: AlignedRecord, noise: float) -> FloatArray:
    """Return the standard deviations of the Cramér-Rao bound, the noise known and the initial state not."""
    model, theta = model_of(kind), np.array(LINES[kind][0])
    p = theta.size
    h = np.append(model.to_internal(theta), -40.0)
    data = BlockData.of(record.t_ns, record.indication, record.reference, fresh=True)
    there = BlockProblem(model, data, h, None).evaluate(h)
    assert there is not None
    jacobian = model.internal_jacobian(h[:p])
    cov = jacobian @ np.linalg.inv(there.a[:p, :p] / noise**2) @ jacobian.T
    return np.asarray(np.sqrt(np.diag(cov)))


def on_lines(kind: ModelKind, snr_db: float, seed: int) -> FloatArray:
    """Return errors, uncertainties, bounds (p each), resets; NaN where the estimate was not accepted."""
    record, noise = line_record(kind, snr_db, seed)
    error, u, resets = _followed(kind, record, np.array(LINES[kind][0]), _EXACT)
    return np.concatenate([error, u, bound(kind, record, noise), [resets]])


def _followed(
    kind: ModelKind, record: AlignedRecord, theta: FloatArray, settings: OnlineSettings
) -> tuple[FloatArray, FloatArray, int]:
    estimator = OnlineEstimator(kind, int(record.t_ns[1] - record.t_ns[0]), settings)
    outcomes = estimator.update(record)
    found = estimator.estimate
    if found is None or not found.accepted or found.parameters is None:
        return np.full(theta.size, np.nan), np.full(theta.size, np.nan), 0
    return found.parameters.values - theta, found.parameters.u, sum(outcome.reset for outcome in outcomes)


def judge_lines(kind: ModelKind, limit: float, results: FloatArray) -> Sequence[Figure]:
    """Compare with the bound; coverage is looked at with the plants, where there are trials enough."""
    names, p = model_of(kind).names, len(LINES[kind][0])
    figures = [_refused(results[:, 0])]
    good = results[np.isfinite(results[:, 0])]
    for i, name in enumerate(names):
        theta = LINES[kind][0][i]
        figures.append(efficiency(f"{name}: rmse / bound", good[:, i], good[:, 2 * p + i], limit))
        figures.append(bias(f"{name}: bias / value", good[:, i], theta, 0.003))
    resets = float(good[:, -1].sum())
    figures.append(Figure("false resets", resets, 0.0, 0.0, len(good)))
    return figures


def on_plant(plant: Plant, n: int, seed: int, settings: OnlineSettings = _FOREVER) -> FloatArray:
    """Return errors over uncertainties (p), resets; the measurand is continuous, the reference noisy."""
    error, u, resets = _followed(plant.kind, plant.record(n, seed), np.array(plant.theta), settings)
    return np.append(error / u, resets)


def judge_plant(plant: Plant, results: FloatArray) -> Sequence[Figure]:
    """Say how often 95 % intervals cover."""
    good = results[np.isfinite(results[:, 0])]
    figures = [_refused(results[:, 0])]
    for i, name in enumerate(model_of(plant.kind).names):
        figures.append(coverage(f"{name}: 95 % interval covers", np.abs(good[:, i]) <= _Z))
    return figures


def _refused(first: FloatArray) -> Figure:
    return Figure("share of records refused", float(np.mean(~np.isfinite(first))), -_INF, 0.02, first.size, unit="%")


def step(seed: int) -> FloatArray:
    """Return after how many τ a step of τ by 20 % at 30 dB is followed to within 5 % for good; false resets before."""
    plant = Plant(ModelKind.FIRST_ORDER, (1.0, 1.0), 20.0, 0.5, snr_db=30.0)
    before, after = 2000, 1.2
    record = plant.record(before + 20 * 30, seed=seed, theta_after=(before, (1.0, after)))
    estimator = OnlineEstimator(plant.kind, plant.dt_ns)
    resets = sum(outcome.reset for outcome in estimator.update(part(record, 0, before)))
    last_off = 0
    for at in range(before, len(record), 6):
        estimator.update(part(record, at, at + 6))
        found = estimator.estimate
        if found is None or found.parameters is None or abs(found.parameters.values[1] / after - 1) > 0.05:
            last_off = at + 6 - before
    return np.array([last_off / 20.0 / after, float(resets)])


def judge_step(results: FloatArray) -> Sequence[Figure]:
    """Say how long it takes."""
    tau = results[:, 0]
    u = float(tau.std(ddof=1) / np.sqrt(tau.size)) if tau.size > 1 else _INF
    return [
        Figure("mean time until within 5 %, in τ", float(tau.mean()), 0.0, 10.0, tau.size, u),
        Figure("share within 10 τ", float(np.mean(tau <= 10)), -_INF, _INF, tau.size, unit="%"),
        Figure("false resets in 100 τ before it, a trial", float(results[:, 1].mean()), 0.0, 0.01, tau.size, 0.05),
    ]


def idle_hour(plant: Plant, seed: int) -> FloatArray:
    """Return by how many u each parameter moved in an hour at rest, and by how much u grew."""
    record = plant.record(2000, seed)
    estimator = OnlineEstimator(plant.kind, plant.dt_ns)
    estimator.update(record)
    before = estimator.estimate
    rng = np.random.default_rng(seed)
    n = round(3600 * plant.rate_hz)
    t = record.t_ns[-1] + plant.dt_ns * np.arange(1, n + 1)
    noise = rng.normal(size=(2, n)) * [[0.01], [plant.u_reference_noise]]
    level = record.reference[-1] + noise
    for begin in range(0, n, 10_000):
        stretch = slice(begin, begin + 10_000)
        estimator.update(AlignedRecord(t[stretch], level[0, stretch], level[1, stretch]))
    after = estimator.estimate
    if before is None or after is None or before.parameters is None or after.parameters is None:
        return np.full(2, np.nan)
    moved = np.abs(after.parameters.values - before.parameters.values) / before.parameters.u
    return np.array([moved.max(), (after.parameters.u / before.parameters.u).max()])


def judge_idle(results: FloatArray) -> Sequence[Figure]:
    """Say how far it went at worst."""
    n = len(results)
    return [
        Figure("largest move of a parameter, in u", float(results[:, 0].max()), 0.0, 1.0, n),
        Figure("largest growth of u, ratio", float(results[:, 1].max()), 0.0, 1.05, n),
    ]


def steady(seed: int) -> FloatArray:
    """Return resets and blocks of a sensor that does not change."""
    record = THERMOCOUPLE.record(48 * 40, seed)
    estimator = OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns)
    outcomes = estimator.update(record)
    return np.array([sum(outcome.reset for outcome in outcomes), len(outcomes)], dtype=np.float64)


def judge_steady(results: FloatArray) -> Sequence[Figure]:
    """Count."""
    resets, blocks = results.sum(axis=0)
    return [Figure("false resets", float(resets), 0.0, 0.0, int(blocks))]


def _named(plant: Plant, snr_db: float, noise: float) -> tuple[str, Plant]:
    name = f"{plant.kind}, {snr_db:g} dB, {100 * noise:g} % noise of the reference"
    return name, replace(plant, snr_db=snr_db, u_reference_noise=noise)


_PLANTS: Final = [
    (*_named(plant, snr_db, noise), n)
    for plant, n, cases in (
        (THERMOCOUPLE, 1500, ((20, 0.0), (30, 0.01), (40, 0.01), (40, 0.1), (50, 0.01))),
        (PRESSURE, 1500, ((20, 0.0), (30, 0.01), (40, 0.01), (40, 0.1), (50, 0.01))),
        (THERMOWELL, 2000, ((30, 0.01), (40, 0.01))),
    )
    for snr_db, noise in cases
]
_GOOD: Final = [(*_named(plant, snr_db, 0.0003), 1500) for plant in (THERMOCOUPLE, PRESSURE) for snr_db in (30, 40)]
_FAST: Final = OnlineSettings(memory_blocks=1e6, likelihood=Likelihood.INNOVATIONS)
_STATED: Final = OnlineSettings(memory_blocks=1e6, u_reference_noise=0.0003)

EXPERIMENTS: tuple[Experiment, ...] = (
    *(
        Experiment(
            f"online: efficiency, {kind}, {snr} dB",
            partial(on_lines, kind, snr),
            partial(judge_lines, kind, 1.1),
            200,
            3,
        )
        for kind in (ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER)
        for snr in (20.0, 30.0, 40.0)
    ),
    *(
        Experiment(f"online: coverage, {name}", partial(on_plant, plant, n), partial(judge_plant, plant), 1000, 1)
        for name, plant, n in _PLANTS
    ),
    *(
        Experiment(
            f"online: coverage of the innovations form, {name}",
            partial(on_plant, plant, n, settings=_FAST),
            partial(judge_plant, plant),
            1000,
            2,
        )
        for name, plant, n in _GOOD
    ),
    *(
        Experiment(
            f"online: coverage where it is stated, {name}",
            partial(on_plant, plant, n, settings=_STATED),
            partial(judge_plant, plant),
            1000,
            1,
        )
        for name, plant, n in _GOOD
    ),
    Experiment("online: step of τ by 20 %, 30 dB", step, judge_step, 200, 3),
    Experiment("online: an idle hour, first_order", partial(idle_hour, THERMOCOUPLE), judge_idle, 50, 1),
    Experiment("online: an unchanged sensor", steady, judge_steady, 75, 2),
)
