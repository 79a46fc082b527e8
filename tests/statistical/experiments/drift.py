"""The drift monitor: interval between false alarms as set, delay against the optimum; also on the real estimator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.drift import DriftMonitor, DriftSettings, DriftState
from dyncal.drift.arl import decision_interval, run_length
from dyncal.identification import BlockOutcome, OnlineEstimator, OnlineSettings
from dyncal.identification.settings import Likelihood
from dyncal.models import model_of
from tests.evidence import Figure
from tests.statistical.harness import Experiment
from tests.unit.drift.test_drift import NAMES, Source
from tests.unit.identification.plant import THERMOCOUPLE, part

ARL0: Final = 100.0
TRAINING: Final = 50
LONGEST: Final = 20
"""Run lengths are cut at this multiple of ARL0: e^-20 of them are longer."""

_INF: Final = float("inf")
_GOOD: Final = replace(THERMOCOUPLE, snr_db=30.0, u_reference_noise=0.0003)


def _settings(training: int = 100_000) -> DriftSettings:
    return DriftSettings(arl0_blocks=ARL0, minimum_change=0.0, training_blocks=training)


def on_numbers(shift: float, seed: int) -> FloatArray:
    """Return blocks until an alarm, of Gaussian blocks whose second parameter has moved by `shift` of their σ."""
    source, monitor = Source(seed), DriftMonitor(NAMES, _settings(TRAINING if shift else 100_000))
    if shift:
        for _ in range(TRAINING):
            monitor.update(source.block())
        monitor.reset_charts()
    for n in range(1, round(LONGEST * ARL0)):
        if monitor.update(source.block((1.0, 0.8 + 0.01 * shift))).state is DriftState.DRIFT:
            return np.array([float(n)])
    return np.array([LONGEST * ARL0])


def blocks(seed: int) -> Iterator[BlockOutcome]:
    """Yield excited blocks of the real estimator on a sensor that does not change, the first one left out."""
    settings = OnlineSettings(likelihood=Likelihood.INNOVATIONS)
    estimator = OnlineEstimator(_GOOD.kind, _GOOD.dt_ns, settings)
    record = _GOOD.record(60_000, seed)
    first = True
    for begin in range(0, len(record), 960):
        for outcome in estimator.update(part(record, begin, begin + 960)):
            if outcome.excited and not first:
                yield outcome
            first = False


def on_the_estimator(seed: int) -> FloatArray:
    """Return blocks until a false alarm of the monitor behind the real estimator, and 1 if the record ended before."""
    monitor = DriftMonitor(model_of(_GOOD.kind).names, _settings())
    n = 0
    for outcome in blocks(seed):
        n += 1
        if monitor.update(outcome).state is DriftState.DRIFT:
            return np.array([float(n), 0.0])
    return np.array([float(n), 1.0])


def judge_arl(results: FloatArray) -> Sequence[Figure]:
    """Compare the mean run length with the setting; where records ended, by the exponential law's likelihood."""
    ended = float(results[:, 1].sum()) if results.shape[1] > 1 else 0.0
    n = len(results)
    alarms = max(n - ended, 1.0)
    mean = float(results[:, 0].sum()) / alarms
    return [Figure("blocks between false alarms / setting", mean / ARL0, 0.9, 1.1, n, mean / ARL0 / np.sqrt(alarms))]


def judge_delay(shift: float, results: FloatArray) -> Sequence[Figure]:
    """Compare with the one CUSUM that is best for this shift, at the same interval between false alarms."""
    each = 2 * len(NAMES) * ARL0
    k = shift / 2
    best = run_length(decision_interval(each, k), k, shift)
    mean = float(results.mean())
    u = float(results.std(ddof=1) / np.sqrt(len(results))) / best if len(results) > 1 else _INF
    return [Figure(f"mean delay / CUSUM optimum of {best:.1f} blocks", mean / best, 0.0, 1.2, len(results), u)]


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment("drift: false alarms, Gaussian blocks", partial(on_numbers, 0.0), judge_arl, 1000, 20),
    Experiment("drift: false alarms, real estimator", on_the_estimator, judge_arl, 1000, 2),
    *(
        Experiment(f"drift: delay at {s:g} σ", partial(on_numbers, s), partial(judge_delay, s), 1000, 15)
        for s in (0.5, 1.0, 2.0)
    ),
)
