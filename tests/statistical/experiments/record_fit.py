"""Batch fit of records: bias, efficiency and coverage, by the rules that choose hold and likelihood themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from scipy.signal import chirp, lfilter, max_len_seq

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import Int64Array
from dyncal.identification import AlignedRecord
from dyncal.identification.record_fit import InterSample, Method, RecordSettings, fit_record
from dyncal.identification.record_fit.problem import RecordProblem
from dyncal.identification.record_fit.segments import take
from dyncal.identification.record_fit.track import Reading
from dyncal.models import Delayed, Hold, SensorModel, model_of
from tests.evidence import Figure, bias, coverage, efficiency
from tests.statistical.harness import Experiment

FINE: Final = 16
_METHODS: Final = tuple(Method)


@dataclass(frozen=True)
class Truth:
    """One segment without noise: instants, reference, indication."""

    t_ns: Int64Array
    r: FloatArray
    z: FloatArray


@dataclass(frozen=True)
class Case:
    """One kind of record; `make(case, rng)` gives the truth; noise `snr_db` below the indications' spread (or peak).

    `colour` times as much noise of AR(1) 0.8 comes on top of the white noise; every indication is taken at an instant
    of its own, off by `u_t_s`; the zero wanders by `drift` times the white noise in the record.
    """

    kind: ModelKind
    theta: tuple[float, ...]
    dt_s: float
    n: int
    snr_db: float
    make: Callable[[Case, np.random.Generator], list[Truth]]
    f_hz: tuple[float, ...]
    settings: RecordSettings = RecordSettings()
    u_reference_noise: float = 0.0
    bound: bool = False
    peak: bool = False
    colour: float = 0.0
    u_t_s: float = 0.0
    drift: float = 0.0
    delay: bool = False

    @property
    def model(self) -> SensorModel:
        model = model_of(self.kind)
        return Delayed(model) if self.delay else model

    @property
    def names(self) -> tuple[str, ...]:
        return self.model.names


def _instants(case: Case, n: int, jitter: float = 0.0, rng: np.random.Generator | None = None) -> Int64Array:
    t = np.arange(n, dtype=np.int64) * round(case.dt_s * 1e9)
    if rng is not None and jitter:
        t += np.round(rng.uniform(-jitter, jitter, n) * case.dt_s * 1e9).astype(np.int64)
    return t


def _on_samples(case: Case, x: FloatArray, hold: Hold, t: Int64Array | None = None) -> Truth:
    """A measurand that does between samples what `hold` says."""
    instants = _instants(case, x.size) if t is None else t
    return Truth(instants, x, model_of(case.kind).simulate(np.array(case.theta), instants, x, hold))


def _continuous(case: Case, x: FloatArray) -> Truth:
    """A measurand given `FINE` times finer than it is sampled."""
    fine = np.arange(x.size, dtype=np.int64) * round(case.dt_s * 1e9) // FINE
    z = model_of(case.kind).simulate(np.array(case.theta), fine, x)
    return Truth(fine[::FINE], x[::FINE], z[::FINE])


def _walk(n: int, pole: float, rng: np.random.Generator) -> FloatArray:
    x: FloatArray = lfilter([1.0], [1.0, -pole], rng.normal(size=n + 500))[500:]
    return np.asarray(x / x.std())


def _ar1(case: Case, rng: np.random.Generator) -> list[Truth]:
    return [_on_samples(case, _walk(case.n, 0.95, rng), Hold.FIRST)]


def _rough(case: Case, rng: np.random.Generator) -> list[Truth]:
    return [_on_samples(case, _walk(case.n, 0.8, rng), Hold.FIRST)]


def _held(case: Case, rng: np.random.Generator) -> list[Truth]:
    return [_on_samples(case, _walk(case.n, 0.8, rng), Hold.ZERO)]


def _irregular(case: Case, rng: np.random.Generator) -> list[Truth]:
    t = _instants(case, case.n, 0.45, rng)
    return [_on_samples(case, _walk(case.n, 0.8, rng), Hold.FIRST, t)]


def _two_segments(case: Case, rng: np.random.Generator) -> list[Truth]:
    truth = _rough(case, rng)[0]
    middle, hole = case.n // 2, case.n // 50
    parts = (slice(0, middle - hole), slice(middle + hole, case.n))
    return [Truth(truth.t_ns[part], truth.r[part], truth.z[part]) for part in parts]


def _step(case: Case, rng: np.random.Generator) -> list[Truth]:
    return [_on_samples(case, np.where(np.arange(case.n) >= case.n // 5, 1.0, 0.0), Hold.ZERO)]


def _prbs(case: Case, rng: np.random.Generator) -> list[Truth]:
    bits = max_len_seq(10, state=rng.integers(0, 2, 10) | (np.arange(10) == 0))[0]
    return [_on_samples(case, np.resize(np.repeat(2.0 * bits - 1.0, 8), case.n), Hold.ZERO)]


def _sweep(case: Case, rng: np.random.Generator) -> list[Truth]:
    t = np.arange(case.n * FINE) * case.dt_s / FINE
    return [_continuous(case, chirp(t, case.theta[2] / 10, t[-1], 4 * case.theta[2], "logarithmic"))]


def _shock(case: Case, rng: np.random.Generator) -> list[Truth]:
    """A Gaussian pulse of 0.2 ms at a random phase of the sampling."""
    t = np.arange(case.n * FINE) * case.dt_s / FINE
    middle = (0.2 * case.n + rng.uniform()) * case.dt_s
    return [_continuous(case, np.exp(-0.5 * ((t - middle) / 1e-4) ** 2))]


def _wandering(case: Case, rng: np.random.Generator) -> list[Truth]:
    """An Ornstein-Uhlenbeck measurand: nothing that a line between samples could follow."""
    pole = np.exp(-case.dt_s / FINE / case.theta[1])
    return [_continuous(case, _walk(case.n * FINE, float(pole), rng))]


def _late(case: Case, rng: np.random.Generator) -> list[Truth]:
    """The indications answer to the reference of a clock offset ago, drawn from its stated uncertainty."""
    x, t = _walk(case.n, 0.95, rng), _instants(case, case.n)
    read = t - round(1e9 * case.settings.u_clock_s * rng.normal())
    inside = (read >= t[0]) & (read <= t[-1])
    points = np.union1d(t, read[inside])
    z = model_of(case.kind).simulate(np.array(case.theta), points, np.interp(points, t, x))
    return [Truth(t[inside], x[inside], z[np.searchsorted(points, read[inside])])]


def _delayed(case: Case, rng: np.random.Generator) -> list[Truth]:
    """A sensor with a dead time that is no whole number of samples."""
    x, t = _walk(case.n, 0.8 if case.kind is ModelKind.SECOND_ORDER else 0.95, rng), _instants(case, case.n)
    return [Truth(t, x, case.model.simulate(np.array(case.theta), t, x))]


def _plant(case: Case, rng: np.random.Generator) -> list[Truth]:
    """Set points for a while each, approached smoothly, with small unrest: a process at work."""
    steps = np.repeat(rng.normal(size=case.n // 400 + 1), 400)[: case.n]
    smooth = lfilter([0.05], [1.0, -0.95], steps)
    x = lfilter([0.1], [1.0, -0.9], smooth) + 0.05 * _walk(case.n, 0.97, rng)
    return [_on_samples(case, np.ascontiguousarray(x), Hold.FIRST)]


def _tone(case: Case, rng: np.random.Generator) -> list[Truth]:
    """A sine long after it began, with a clock offset."""
    t, f = _instants(case, case.n), case.f_hz[2]
    response = model_of(case.kind).frequency_response(np.array(case.theta), np.array([f]))[0]
    late = case.settings.u_clock_s * rng.normal()
    phase = 2 * np.pi * f * t * 1e-9
    return [Truth(t, np.sin(phase), np.asarray((response * np.exp(1j * (phase - 2 * np.pi * f * late))).imag))]


def trial(case: Case, seed: int) -> FloatArray:
    """θ̂ - θ, u, bounds (p each), χ² of the response at 5 frequencies, which method, whether refused."""
    rng = np.random.default_rng(seed)
    p = len(case.theta)
    truths = case.make(case, rng)
    size = max(float(np.max(np.abs(truth.z)) if case.peak else np.std(truth.z)) for truth in truths)
    noise = size * 10 ** (-case.snr_db / 20)
    records = []
    for truth in truths:
        y = truth.z + noise * (rng.normal(size=truth.z.size) + _added(case, truth, noise, rng))
        records.append(AlignedRecord(truth.t_ns, y, truth.r + case.u_reference_noise * rng.normal(size=y.size)))
    fit = fit_record(records, case.model, settings=case.settings)
    if fit.parameters is None or not fit.accepted:
        return np.concatenate([np.full(3 * p + 5, np.nan), [_METHODS.index(fit.method), 1.0]])
    error, u = fit.parameters.values - np.array(case.theta), fit.parameters.u
    f = np.array(case.f_hz)
    response, cov = fit.response(f)
    away = response - case.model.frequency_response(np.array(case.theta), f)
    parts = np.stack([away.real, away.imag], axis=-1)
    chi2 = np.einsum("ki,kij,kj->k", parts, np.linalg.inv(cov), parts)
    bounds = _bound(case, records, noise) if case.bound else np.full(p, np.nan)
    return np.concatenate([error, u, bounds, chi2, [_METHODS.index(fit.method), 0.0]])


def _added(case: Case, truth: Truth, noise: float, rng: np.random.Generator) -> FloatArray:
    """Noise beside the white, in units of it."""
    added = np.zeros(truth.z.size)
    if case.colour:
        added += case.colour * _walk(added.size, 0.8, rng)
    if case.u_t_s:
        added += np.gradient(truth.z, truth.t_ns * 1e-9) * case.u_t_s * rng.normal(size=added.size) / noise
    if case.drift:
        wandered = np.cumsum(rng.normal(size=added.size))
        added += case.drift * wandered / np.sqrt(added.size)
    return added


def _bound(case: Case, records: list[AlignedRecord], noise: float) -> FloatArray:
    """The Cramér-Rao bound: noise variance known, initial state not."""
    model, taken = model_of(case.kind), take(records)
    readings = [Reading(segment, InterSample.LINEAR) for segment in taken.segments]
    problem = RecordProblem(model, readings, taken.dt_s)
    begin = problem.begin(model.to_internal(np.array(case.theta)))
    there = None if begin is None else problem.evaluate(begin)
    assert there is not None
    p = len(case.theta)
    jacobian = model.internal_jacobian(there.at.h[:p])
    cov = jacobian @ np.linalg.inv(there.a[:p, :p] / noise**2) @ jacobian.T
    return np.asarray(np.sqrt(np.diag(cov)))


def judge(case: Case, most: float, results: FloatArray) -> list[Figure]:
    """Bias, RMSE against the bound, coverage of parameters and response, refusals."""
    p, n = len(case.theta), len(results)
    good = results[results[:, -1] == 0]
    figures = [Figure("refused", float(np.mean(results[:, -1])), 0.0, 0.01, n, 0.0, "%")]
    if not len(good):
        return figures
    error, u, bound, chi2 = good[:, :p], good[:, p : 2 * p], good[:, 2 * p : 3 * p], good[:, 3 * p : 3 * p + 5]
    for i, name in enumerate(case.names):
        if case.bound:
            if name == "tau_s":
                figures.append(bias(f"bias of {name}", error[:, i], case.theta[i], 0.003))
            figures.append(efficiency(f"RMSE of {name} over its bound", error[:, i], bound[:, i], most))
        figures.append(coverage(f"95 % interval of {name}", np.abs(error[:, i]) <= 1.96 * u[:, i]))
    for k, f in enumerate(case.f_hz):
        figures.append(coverage(f"95 % region of the response at {f:g} Hz", chi2[:, k] <= 5.991))
    used = [
        f"{method} {100 * share:.0f} %" for i, method in enumerate(_METHODS) if (share := np.mean(good[:, -2] == i))
    ]
    return [*figures, Figure(f"fits by {', '.join(used)}", 1.0, 0.0, np.inf, n)]


_FIRST = partial(
    Case, ModelKind.FIRST_ORDER, (1.0, 0.5), 0.01, f_hz=(0.02, 0.1, 0.32, 1.0, 5.0)
)  # fmt: skip
_SECOND = partial(
    Case, ModelKind.SECOND_ORDER, (1.0, 0.3, 5.0), 0.005, f_hz=(0.5, 2.5, 5.0, 7.5, 15.0)
)  # fmt: skip
_TWO_LAGS = partial(
    Case, ModelKind.LEAD_LAG, (1.0, 3.0, 0.5, 1.0), 0.1, f_hz=(0.005, 0.02, 0.05, 0.2, 1.0)
)  # fmt: skip
_ACCELEROMETER = partial(
    Case, ModelKind.SECOND_ORDER, (1.0, 0.02, 5000.0), 2e-5, f_hz=(100.0, 1000.0, 2500.0, 5000.0, 7000.0)
)  # fmt: skip
_KNOWN = RecordSettings(u_reference_noise=0.1)

CASES: Final[dict[str, tuple[Case, float, int, int]]] = {
    # case, bar of RMSE over the bound, full and short trials
    **{
        f"first order, AR(1), 6 000 samples, {db} dB": (_FIRST(n=6000, snr_db=db, make=_ar1, bound=True), 1.1, 1000, 4)
        for db in (40, 30, 20)
    },
    **{
        f"second order, 6 000 samples, {db} dB": (_SECOND(n=6000, snr_db=db, make=_rough, bound=True), 1.2, 1000, 3)
        for db in (40, 30, 20)
    },
    "two lags, 4 000 samples, 40 dB": (_TWO_LAGS(n=4000, snr_db=40, make=_ar1, bound=True), 1.2, 1000, 3),
    "second order, held reference, 30 dB": (_SECOND(n=2000, snr_db=30, make=_held), 1.2, 1000, 3),
    "second order, irregular instants, 30 dB": (_SECOND(n=2000, snr_db=30, make=_irregular, bound=True), 1.2, 1000, 3),
    "second order, two segments, 30 dB": (_SECOND(n=3000, snr_db=30, make=_two_segments, bound=True), 1.2, 1000, 3),
    "second order, step, 40 dB": (_SECOND(n=1000, snr_db=40, make=_step), 1.2, 1000, 4),
    "first order, step, 40 dB": (_FIRST(n=1000, snr_db=40, make=_step), 1.2, 1000, 4),
    "second order, PRBS, 30 dB": (_SECOND(n=4000, snr_db=30, make=_prbs), 1.2, 1000, 3),
    "second order, sweep, 40 dB": (_SECOND(n=4000, snr_db=40, make=_sweep), 1.2, 1000, 3),
    "accelerometer, shock, 40 dB of the peak": (
        _ACCELEROMETER(n=1500, snr_db=40, make=_shock, peak=True), 1.2, 1000, 3,
    ),
    "first order, clock offset of 2 ms freed, 30 dB": (
        _FIRST(n=3000, snr_db=30, make=_late, settings=RecordSettings(u_clock_s=0.002)), 1.2, 1000, 3,
    ),
    "first order, single tone with a clock offset of 5 ms, 40 dB": (
        _FIRST(n=3000, snr_db=40, make=_tone, settings=RecordSettings(u_clock_s=0.005)), 1.2, 1000, 3,
    ),
    "first order, dead time of 3.7 samples, 40 dB": (
        Case(
            ModelKind.FIRST_ORDER, (1.0, 0.5, 0.037), 0.01, 3000, 40, _delayed, (0.02, 0.1, 0.32, 1.0, 5.0), delay=True
        ), 1.2, 1000, 3,
    ),
    "second order, dead time of 2.5 samples, 40 dB": (
        Case(
            ModelKind.SECOND_ORDER, (1.0, 0.3, 5.0, 0.0125), 0.005, 3000, 40, _delayed, (0.5, 2.5, 5.0, 7.5, 15.0),
            delay=True,
        ), 1.2, 1000, 3,
    ),
    "first order, time stamps off by 1 ms each, 40 dB": (
        _FIRST(n=4000, snr_db=40, make=_ar1, u_t_s=1e-3), 1.2, 1000, 3,
    ),
    "first order, plant, 40 dB": (_FIRST(n=8000, snr_db=40, make=_plant), 1.2, 1000, 3),
    "first order, plant, zero wandering by 3 times the noise, 40 dB": (
        _FIRST(n=8000, snr_db=40, make=_plant, drift=3.0), 1.2, 1000, 2,
    ),
    "first order, noise of AR(1) 0.8 five times the white, 40 dB": (
        _FIRST(n=6000, snr_db=40, make=_ar1, colour=5.0), 1.2, 1000, 2,
    ),
    "second order, noise of AR(1) 0.8 five times the white, 40 dB": (
        _SECOND(n=4000, snr_db=40, make=_rough, colour=5.0), 1.2, 1000, 2,
    ),
    "first order, step, noise of AR(1) 0.8 as large as the white, 40 dB": (
        _FIRST(n=1000, snr_db=40, make=_step, colour=1.0), 1.2, 1000, 3,
    ),
    "first order, random measurand between samples, 30 dB": (
        _FIRST(n=2000, snr_db=30, make=_wandering), 1.2, 1000, 2,
    ),
    "first order, random measurand, 10 % noise on the reference, 30 dB": (
        _FIRST(n=2000, snr_db=30, make=_wandering, u_reference_noise=0.1, settings=_KNOWN), 1.2, 1000, 2,
    ),
}  # fmt: skip

EXPERIMENTS: Final = tuple(
    Experiment(f"record fit: {name}", partial(trial, case), partial(judge, case, most), full, short)
    for name, (case, most, full, short) in CASES.items()
)
