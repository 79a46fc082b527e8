"""Coverage and efficiency of the Kalman fit where the reference's noise counts, and what other measurands do to it.

The truth is made 32 times finer than the sampling. An Ornstein-Uhlenbeck measurand, one filtered by Butterworth's
polynomials, and one that goes in lines from sample to sample are among the processes that the fit can choose; steps at
the samples, a bit sequence and sines are not, and are for information.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from scipy.signal import butter, lfilter

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.kalman import KalmanSettings, Process, fit_kalman
from dyncal.identification.kalman.joint import Layout
from dyncal.identification.kalman.measurand import log_intensity
from dyncal.identification.kalman.segments import Segment, run
from dyncal.models import model_of
from tests.evidence import Figure, bias, coverage, efficiency
from tests.statistical.harness import Experiment

FINER: Final = 32
N: Final = 1500


@dataclass(frozen=True)
class Sensor:
    """A sensor, its sampling, and where the measurand's power ends."""

    kind: ModelKind
    theta: tuple[float, ...]
    rate_hz: float
    corner_hz: float


@dataclass(frozen=True)
class Case:
    """A sensor on a measurand of unit variance, its noise [dB below its signal], the reference's standard deviation."""

    sensor: Sensor
    measurand: str
    snr_db: float
    u_reference_noise: float

    @property
    def name(self) -> str:
        """For the table."""
        noise = f"{self.snr_db:g} dB, reference noise {100 * self.u_reference_noise:g} %"
        return f"{self.sensor.kind.replace('_', ' ')}, {self.measurand}, {noise}"


FIRST: Final = Sensor(ModelKind.FIRST_ORDER, (1.0, 0.5), 100.0, 1.0)
SECOND: Final = Sensor(ModelKind.SECOND_ORDER, (1.0, 0.3, 5.0), 200.0, 6.0)
ROUGH: Final = "Ornstein-Uhlenbeck"
BAND_2: Final = "band-limited, order 2"
BAND_4: Final = "band-limited, order 4"
LINES: Final = "lines between samples"
_PROCESSES: Final = {
    ROUGH: Process.ORNSTEIN_UHLENBECK,
    BAND_2: Process.BUTTERWORTH_2,
    BAND_4: Process.BUTTERWORTH_4,
    LINES: Process.LINES,
}
_NEIGHBOURS: Final = 0.95  # correlation of the samples that lines or steps join
NOISES: Final = ((30.0, 0.01), (40.0, 0.01), (50.0, 0.01), (40.0, 0.1), (50.0, 0.1))
CASES: Final = (
    *(Case(sensor, kind, *noise) for sensor in (FIRST, SECOND) for kind in (ROUGH, BAND_2) for noise in NOISES),
    Case(SECOND, BAND_4, 50.0, 0.01),
    *(Case(sensor, LINES, *noise) for sensor in (FIRST, SECOND) for noise in ((40.0, 0.01), (60.0, 0.001))),
)
OTHERS: Final = tuple(
    Case(sensor, measurand, 40.0, 0.01)
    for sensor in (FIRST, SECOND)
    for measurand in ("steps between samples", "bits", "five sines", "one sine")
)


def measurand(case: Case, rng: np.random.Generator) -> FloatArray:
    """Return N·FINER values of unit variance."""
    n, fine_hz = N * FINER, case.sensor.rate_hz * FINER
    corner = case.sensor.corner_hz
    if case.measurand in (ROUGH, BAND_2, BAND_4):
        run_in = int(10 * fine_hz / corner)
        white = rng.normal(size=n + run_in)
        if case.measurand == ROUGH:
            x = lfilter([1.0], [1.0, -np.exp(-2 * np.pi * corner / fine_hz)], white)
        else:
            x = lfilter(*butter(2 if case.measurand == BAND_2 else 4, 2 * corner / fine_hz), white)
        x = x[run_in:]
    elif "samples" in case.measurand:
        coarse = lfilter([1.0], [1.0, -_NEIGHBOURS], rng.normal(size=N + 1001))[1000:]
        x = np.repeat(coarse[:-1], FINER)
        if case.measurand == LINES:
            x = np.interp(np.arange(n) / FINER, np.arange(N + 1), coarse)
    elif case.measurand == "bits":
        length = round(fine_hz / corner / 4)
        x = np.repeat(rng.integers(0, 2, size=n // length + 2) * 2.0 - 1, length)[rng.integers(length) :][:n]
    else:
        f_hz = corner * (np.array([1.0]) if case.measurand == "one sine" else np.array([0.13, 0.37, 0.61, 1.0, 1.7]))
        phase = 2 * np.pi * np.outer(f_hz, np.arange(n) / fine_hz) + rng.uniform(0, 2 * np.pi, f_hz.size)[:, None]
        x = np.sin(phase).sum(axis=0)
    return np.asarray(x / x.std(), dtype=np.float64)


def record(case: Case, seed: int) -> tuple[AlignedRecord, float]:
    """Return a record, and the standard deviation of the sensor's noise in it."""
    rng = np.random.default_rng([seed, *case.name.encode()])
    sensor, x = case.sensor, measurand(case, rng)
    t = np.arange(x.size, dtype=np.int64) * round(1e9 / sensor.rate_hz) // FINER
    z = model_of(sensor.kind).simulate(np.array(sensor.theta), t, x)[::FINER]
    noise = float(z.std()) * 10 ** (-case.snr_db / 20)
    y = z + noise * rng.normal(size=N)
    r = x[::FINER] + case.u_reference_noise * rng.normal(size=N)
    return AlignedRecord(t[::FINER].copy(), y, r), noise


def bound(case: Case, data: AlignedRecord, noise: float) -> FloatArray:
    """Return standard deviations of the Cramér-Rao bound, noise of the sensor, process and initial state unknown."""
    model = model_of(case.sensor.kind)
    layout = Layout(model.n_parameters, model.n_states, _PROCESSES[case.measurand])
    scale = 1 / case.sensor.rate_hz
    rate_per_s = -np.log(_NEIGHBOURS) / scale if case.measurand == LINES else 2 * np.pi * case.sensor.corner_hz
    rate = float(np.log(rate_per_s))
    eta = model.to_internal(np.array(case.sensor.theta))
    logs = [
        2 * np.log(noise),
        2 * np.log(case.u_reference_noise),
        log_intensity(layout.process, 0.0, rate, scale),
        rate,
    ]
    # from the best initial state, which is near the filter's own after a few steps: information hardly depends on it
    there = run(model, layout, Segment.of(data), np.concatenate([eta, logs, [0.0]]), scale_s=scale)
    assert there is not None
    unknown = [*range(layout.p + 1), layout.intensity, layout.rate, *range(layout.initial, layout.n_rows)]
    cov = np.linalg.inv(there.information[np.ix_(unknown, unknown)])[: layout.p, : layout.p]
    jacobian = model.internal_jacobian(eta)
    return np.asarray(np.sqrt(np.diag(jacobian @ cov @ jacobian.T)), dtype=np.float64)


def trial(case: Case, seed: int) -> FloatArray:
    """Return errors, u and bounds of the p parameters, both χ², accepted; NaN where there are no parameters."""
    data, noise = record(case, seed)
    theta = np.array(case.sensor.theta)
    model = model_of(case.sensor.kind)
    start = model.to_internal(theta * np.r_[1.0, np.full(theta.size - 1, 1.3)])
    fit = fit_kalman([data], model, start, settings=KalmanSettings(u_reference_noise=case.u_reference_noise))
    if fit.parameters is None:
        return np.full(3 * theta.size + 3, np.nan)
    least = bound(case, data, noise) if case.measurand in _PROCESSES else np.full(theta.size, np.nan)
    ends = [*fit.reduced_chi2, float(fit.accepted)]
    return np.concatenate([fit.parameters.values - theta, fit.parameters.u, least, ends])


def judge(case: Case, results: FloatArray) -> Sequence[Figure]:
    """Return the figures of one case."""
    names = model_of(case.sensor.kind).names
    p, held = len(names), case.measurand in _PROCESSES
    given = ~np.isnan(results[:, 0])
    rows = results[given]
    error, u, least = rows[:, :p], rows[:, p : 2 * p], rows[:, 2 * p : 3 * p]
    low, high = (0.935, 0.965) if held else (-np.inf, np.inf)
    figures = [coverage("fits not accepted", results[:, -1] != 1.0, 0.0, 0.01)]
    for i, name in enumerate(names):
        inside = np.abs(error[:, i]) <= 1.96 * u[:, i]
        figures.append(coverage(f"{name}: 95 % intervals cover", inside, low, high))
        if held:
            typical = float(np.sqrt(np.mean(least[:, i] ** 2)))
            figures.append(efficiency(f"{name}: RMSE over the Cramér-Rao bound", error[:, i], least[:, i], 1.2))
            figures.append(bias(f"{name}: bias, of the bound", error[:, i], typical, 0.3))
        else:
            typical = float(np.sqrt(np.mean(u[:, i] ** 2)))
            value = float(np.sqrt(np.mean(error[:, i] ** 2))) / typical
            n = int(np.count_nonzero(given))
            figures.append(Figure(f"{name}: RMSE over stated u", value, -np.inf, np.inf, n, value / np.sqrt(2 * n)))
    return figures


EXPERIMENTS = tuple(
    Experiment(f"kalman: {case.name}", partial(trial, case), partial(judge, case), full=1000, short=2) for case in CASES
) + tuple(
    Experiment(f"kalman, not of the family: {case.name}", partial(trial, case), partial(judge, case), full=200, short=1)
    for case in OTHERS
)
