"""A thermocouple that fouls soon after it was first followed: the demo's TC-102, from samples to the alarm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs, duration
from dyncal.drift import DriftMonitor, DriftSettings, DriftState
from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from simulators.physics.converter import Converter
from simulators.physics.laws import Parameterisation, Ramp
from simulators.physics.measurand import band_limited_noise
from simulators.physics.sensor import Dynamics, Response, SampledSensor
from tests.evidence import Figure
from tests.statistical.harness import Experiment
from tests.unit.identification.plant import part

RATE_HZ: Final = 50
RAMP_S: Final = 20.0
FACTOR: Final = 1.45
WITHIN_S: Final = 15.0
"""Stream time after its onset within which the drift must be found."""

_DT: Final = DurationNs(NS_PER_S // RATE_HZ)
_T0: Final = InstantNs(1_760_000_000 * NS_PER_S)


def fouling(rng: np.random.Generator, onset_s: float) -> AlignedRecord:
    """Return samples of sensor and reference up to the end of the ramp of τ."""
    source = band_limited_noise(rng, mean=320.0, rms=8.0, band_hz=1.0)
    ramp = Ramp(1, duration(onset_s), duration(onset_s + RAMP_S), FACTOR)
    sensor = Dynamics(ModelKind.FIRST_ORDER, Parameterisation(np.array([1.0, 0.8]), (ramp,)))
    n = int((onset_s + RAMP_S) * RATE_HZ)
    indication, reference = (
        SampledSensor(Response(source, dynamics, _T0, _DT), Converter(noise, resolution), rng).take(n)
        for dynamics, noise, resolution in ((sensor, 0.04, 0.001), (None, 0.12, 0.0))
    )
    return AlignedRecord(_T0 + _DT * np.arange(n, dtype=np.int64), indication, reference)


def found(seed: int) -> FloatArray:
    """Return blocks before the onset, and stream time from there to the alarm [s]; NaN where none came.

    The onset lies 12 to 30 s after the first sample, and samples come 0.2 to 1.2 s at a time: so it lies anywhere in a
    block, after 8 to 27 of them.
    """
    rng = np.random.default_rng(seed)
    onset_s = rng.uniform(12.0, 30.0)
    record = fouling(rng, onset_s)
    estimator = OnlineEstimator(ModelKind.FIRST_ORDER, _DT, OnlineSettings(u_reference=0.05))
    monitor = DriftMonitor(("gain", "tau_s"), DriftSettings(minimum_change=0.05))
    begin, blocks = 0, 0
    while begin < len(record):
        end = min(begin + int(rng.integers(10, 60)), len(record))
        now_s = end / RATE_HZ - onset_s
        for outcome in estimator.update(part(record, begin, end)):
            blocks += outcome.excited and now_s < 0
            if monitor.update(outcome).state is DriftState.DRIFT:
                return np.array([blocks, now_s])
        begin = end
    return np.array([blocks, np.nan])


def judge(results: FloatArray) -> Sequence[Figure]:
    """Compare with the time that an operator was promised."""
    n, times = len(results), np.nan_to_num(results[:, 1], nan=np.inf)
    low, middle, high = np.quantile(times, [0.0, 0.5, 1.0], method="nearest").tolist()
    free = float("inf")
    return [
        Figure("share found within 15 s of the onset", float(np.mean((times >= 0) & (times <= WITHIN_S))), 1.0, 1.0, n),
        Figure("stream time to the alarm, median [s]", middle, -free, free, n),
        Figure("stream time to the alarm, shortest [s]", low, 0.0, free, n),
        Figure("stream time to the alarm, longest [s]", high, -free, WITHIN_S, n),
        Figure("fewest blocks before the onset", float(results[:, 0].min()), -free, free, n),
    ]


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment("drift: a thermocouple that fouls within half a minute", found, judge, 100, 3),
)
