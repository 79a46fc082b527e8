"""What the online estimator refuses: healthy sensors wrongly, and offsets, delays and held channels rightly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.samples import FloatArray
from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from dyncal.identification.settings import Likelihood
from tests.evidence import Figure
from tests.statistical.harness import Experiment
from tests.unit.identification.plant import PRESSURE, THERMOCOUPLE, THERMOWELL, Plant, part

_INF: Final = float("inf")
_NAMED: Final = (Verdict.INCONSISTENT, Verdict.BAD_DATA)
_WORDS: Final = ("zero offset", "clocks that are apart", "repeats each value", "stands still")
_FAST: Final = OnlineSettings(likelihood=Likelihood.INNOVATIONS)
_N: Final = 2000


def _followed(plant: Plant, record: AlignedRecord, settings: OnlineSettings) -> tuple[Verdict | None, bool]:
    """Return the last verdict, and whether an offset or values not measured were ever named."""
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, settings)
    named = False
    for at in range(0, len(record), 200):
        estimator.update(part(record, at, at + 200))
        now = estimator.estimate
        named |= now is not None and now.verdict in _NAMED and any(words in now.detail for words in _WORDS)
    return None if estimator.estimate is None else estimator.estimate.verdict, named


def healthy(plant: Plant, settings: OnlineSettings, seed: int) -> FloatArray:
    """Return whether any of that was ever said of a healthy sensor, and whether it is refused at the end."""
    verdict, named = _followed(plant, plant.record(_N, seed), settings)
    return np.array([named, verdict in _NAMED], dtype=np.float64)


def judge_healthy(results: FloatArray) -> Sequence[Figure]:
    """Count."""
    n = len(results)
    ever, last = results.mean(axis=0)
    u = float(np.sqrt(0.01 / n))
    return [
        Figure("offset or values not measured ever named", float(ever), -_INF, 0.01, n, u, unit="%"),
        Figure("inconsistent or bad data at the end", float(last), -_INF, 0.01, n, u, unit="%"),
    ]


def spoilt(fault: str, size: float, begin: int, plant: Plant, settings: OnlineSettings, seed: int) -> FloatArray:
    """Return 1 where a fault that begins at a sample is refused at the end of the record, else 0."""
    record = plant.record(_N, seed)
    y, r, t = record.indication.copy(), record.reference.copy(), record.t_ns
    k = int(size)
    if fault == "offset":
        y[begin:] += size
    elif fault == "late":
        y[begin + k :] = record.indication[begin:-k]
        t, y, r = t[k:], y[k:], r[k:]
    else:
        r[begin:] = np.repeat(r[begin::k], k)[: _N - begin]
    verdict, _ = _followed(plant, AlignedRecord(t, y, r), settings)
    return np.array([verdict is not Verdict.ACCEPTED], dtype=np.float64)


def judge_spoilt(lowest: float, results: FloatArray) -> Sequence[Figure]:
    """Count; the u of a share that may be 1 is that of one more trial which failed."""
    n = len(results)
    share = float(results.mean())
    u = float(np.sqrt((share * n + 1) * ((1 - share) * n + 1) / (n + 2) ** 2 / (n + 3)))
    return [Figure("refused", share, lowest, _INF, n, u, unit="%")]


_HEALTHY: Final = [
    (replace(plant, snr_db=snr_db, u_reference_noise=noise, mean=mean), settings)
    for plant in (THERMOCOUPLE, PRESSURE, THERMOWELL)
    for snr_db, noise, mean, settings in (
        (20.0, 0.0, 0.0, OnlineSettings()),
        (30.0, 0.01, 10.0, OnlineSettings()),
        (40.0, 0.1, 0.0, OnlineSettings()),
        (50.0, 0.01, 3.0, OnlineSettings()),
        (40.0, 0.0003, 3.0, replace(_FAST, u_reference_noise=0.0003)),
    )
]
_WARM: Final = replace(THERMOCOUPLE, mean=8.0)
"""As a thermocouple at 40 K ± 5 K: an offset of 0.04 is one of 0.2 K."""

_SPOILT: Final = (
    *(("offset", size, lowest) for size, lowest in ((0.02, 0.0), (0.04, 0.0), (0.1, 0.95), (0.2, 0.95), (0.5, 0.95))),
    *(("late", float(k), 0.95) for k in range(1, 8)),
    *(("held", float(k), 0.95) for k in (2, 5, 10)),
)

EXPERIMENTS: tuple[Experiment, ...] = (
    *(
        Experiment(
            f"online refusals: healthy {plant.kind}, {plant.snr_db:g} dB, {100 * plant.u_reference_noise:g} % noise of "
            f"the reference, mean {plant.mean:g}, {settings.likelihood}",
            partial(healthy, plant, settings),
            judge_healthy,
            200,
            1,
        )
        for plant, settings in _HEALTHY
    ),
    *(
        Experiment(
            f"online refusals: {fault} {size:g} {'from the start' if begin == 0 else 'while followed'}, {name}",
            partial(spoilt, fault, size, begin, _WARM, settings),
            partial(judge_spoilt, lowest),
            50,
            1,
        )
        for name, settings in (("auto", OnlineSettings()), ("innovations", _FAST))
        for begin in (0, _N // 2)
        for fault, size, lowest in _SPOILT
    ),
)
