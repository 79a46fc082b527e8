"""The drift monitor: interval between false alarms as set, delay against the optimum; also on the real estimator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.drift import DriftMonitor, DriftSettings, DriftState
from dyncal.identification import BlockOutcome, OnlineEstimator, OnlineSettings
from dyncal.identification.settings import Likelihood
from dyncal.models import model_of
from tests.evidence import Figure
from tests.statistical.harness import Experiment
from tests.unit.drift.blocks import NAMES, Source
from tests.unit.drift.cusum import decision_interval, run_length
from tests.unit.identification.plant import PRESSURE, THERMOCOUPLE, Plant, part

ARL0: Final = 100.0
SETTINGS: Final = (100.0, 370.0)
"""Intervals between false alarms that are asked for."""
FOLLOWED: Final = 100
KNOWN: Final = 1000
"""Blocks followed before a change whose delay is compared with that of a chart which knows its baseline, and blocks
that the baseline is worth by then."""
LONGEST: Final = 20
"""Run lengths are cut at this multiple of ARL0: e^-20 of them are longer."""
SAMPLES: Final = 60_000
"""Some 1200 blocks."""

_INF: Final = float("inf")
_QUIET, _NOISY = 0.0003, 0.01  # standard deviations of the reference's noise, of the measurand's
_PLANTS: Final[dict[str, tuple[Plant, OnlineSettings]]] = {
    f"{order}, {path}": (replace(plant, snr_db=30.0, u_reference_noise=noise), settings)
    for order, plant in (("first order", THERMOCOUPLE), ("second order", PRESSURE))
    for path, noise, settings in (
        ("innovations", _QUIET, OnlineSettings(likelihood=Likelihood.INNOVATIONS)),
        ("full Kalman", _NOISY, OnlineSettings(u_reference_noise=_NOISY)),
    )
}


def _monitor(arl0: float) -> DriftMonitor:
    return DriftMonitor(NAMES, DriftSettings(arl0_blocks=arl0, minimum_change=0.0))


def alone(seed: int) -> FloatArray:
    """Return blocks until a false alarm, of Gaussian blocks."""
    source, monitor = Source(seed), _monitor(ARL0)
    for n in range(1, round(LONGEST * ARL0)):
        if monitor.update(source.block()).state is DriftState.DRIFT:
            return np.array([float(n)])
    return np.array([LONGEST * ARL0])


def delay(arl0: float, shift: float, known: int, followed: int, seed: int) -> FloatArray:
    """Return blocks until an alarm, after the second parameter has moved by `shift` of a block's σ.

    Of the blocks that the baseline is worth, `known`, only the last are followed; those before are a calibration.
    """
    source, monitor = Source(seed), _monitor(arl0)
    if known > followed:
        monitor.rebaseline(source.mean_of(known - followed), source.cov / (known - followed))
    for _ in range(followed):
        if monitor.update(source.block()).state is DriftState.DRIFT:  # a delay is asked for after a quiet baseline
            monitor.reset_charts()
    monitor.reset_charts()
    for n in range(1, round(LONGEST * arl0)):
        if monitor.update(source.block((1.0, 0.8 + 0.01 * shift))).state is DriftState.DRIFT:
            return np.array([float(n)])
    return np.array([LONGEST * arl0])


def blocks(plant: Plant, settings: OnlineSettings, seed: int) -> Iterator[BlockOutcome]:
    """Yield excited blocks of the real estimator on a sensor that does not change, the first one left out."""
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, settings)
    record = plant.record(SAMPLES, seed)
    first = True
    for begin in range(0, len(record), 960):
        for outcome in estimator.update(part(record, begin, begin + 960)):
            if outcome.excited and not first:
                yield outcome
            first = False


def on_the_estimator(which: str, seed: int) -> FloatArray:
    """Return the number of blocks, and for each setting that of false alarms, the monitor beginning anew after each."""
    plant, settings = _PLANTS[which]
    names = model_of(plant.kind).names
    monitors = [DriftMonitor(names, DriftSettings(arl0_blocks=arl0, minimum_change=0.0)) for arl0 in SETTINGS]
    result = np.zeros(1 + len(SETTINGS))
    for outcome in blocks(plant, settings, seed):
        result[0] += 1
        for i, monitor in enumerate(monitors, start=1):
            if monitor.update(outcome).state is DriftState.DRIFT:
                result[i] += 1
                monitor.rebaseline()
    return result


def judge_alone(results: FloatArray) -> Sequence[Figure]:
    """Compare the mean run length with the setting, and the shares of long ones with a geometric law's."""
    n, mean = len(results), float(results.mean()) / ARL0
    figures = [Figure("blocks between false alarms / setting", mean, 0.9, 1.1, n, mean / np.sqrt(n))]
    for times, band in ((1.0, 0.15), (2.0, 0.3)):
        geometric = float(np.exp(-times))
        ratio = float(np.mean(results > times * ARL0)) / geometric
        u = float(np.sqrt((1 - geometric) / geometric / n))
        figures.append(Figure(f"share beyond {times:g} × setting / e^-{times:g}", ratio, 1 - band, 1 + band, n, u))
    return figures


def judge_on_the_estimator(results: FloatArray) -> Sequence[Figure]:
    """Compare blocks per false alarm with each setting."""
    figures = []
    for i, arl0 in enumerate(SETTINGS, start=1):
        alarms = max(float(results[:, i].sum()), 1.0)
        ratio = float(results[:, 0].sum()) / alarms / arl0
        name = f"blocks between false alarms / setting of {arl0:g}"
        figures.append(Figure(name, ratio, 0.9, 1.1, len(results), ratio / np.sqrt(alarms)))
        figures.append(Figure(f"run lengths behind it (setting of {arl0:g})", alarms, 0.0, _INF, len(results)))
    return figures


def judge_delay(arl0: float, shift: float, highest: float, results: FloatArray) -> Sequence[Figure]:
    """Compare with the one CUSUM that is best for this shift and knows the baseline, at the same interval."""
    k = shift / 2
    best = run_length(decision_interval(2 * len(NAMES) * arl0, k), k, shift)
    mean = float(results.mean())
    u = float(results.std(ddof=1) / np.sqrt(len(results))) / best if len(results) > 1 else _INF
    return [Figure(f"mean delay / CUSUM optimum of {best:.1f} blocks", mean / best, 0.0, highest, len(results), u)]


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment("drift: false alarms, Gaussian blocks", alone, judge_alone, 1000, 20),
    *(
        Experiment(
            f"drift: false alarms, {which}", partial(on_the_estimator, which), judge_on_the_estimator,
            800, 1,
        )
        for which in _PLANTS
    ),
    *(
        Experiment(
            f"drift: delay at {s:g} σ, setting {arl0:g}", partial(delay, arl0, s, KNOWN, FOLLOWED),
            partial(judge_delay, arl0, s, 1.2), 1000, 6,
        )
        for arl0 in SETTINGS
        for s in (0.5, 1.0, 2.0)
    ),
    # no bar: what a baseline of 50 blocks is worth, beside a yardstick that knows its own
    *(
        Experiment(
            f"drift: delay at {s:g} σ after 50 blocks", partial(delay, ARL0, s, 50, 50),
            partial(judge_delay, ARL0, s, _INF),
            1000, 2,
        )
        for s in (0.5, 1.0, 2.0)
    ),
)  # fmt: skip
