"""What is believed of a sensor after it changed, and when, and after an offset came that is no change of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from dyncal.identification.settings import Likelihood
from tests.evidence import Figure, coverage
from tests.statistical.harness import Experiment
from tests.unit.identification.plant import PRESSURE, THERMOCOUPLE, THERMOWELL, Plant, part

_INF: Final = float("inf")
_N, _AT, _EACH = 2600, 1200, 50
_K95: Final = 1.96
_WRONG: Final = 5.0  # u from what the sensor is, and was
_FAST: Final = OnlineSettings(likelihood=Likelihood.INNOVATIONS)


def changed(plant: Plant, k: int, factor: float, offset: float, settings: OnlineSettings, seed: int) -> FloatArray:
    """Return whether anything wrong was ever accepted, samples until the new was, errors and u at the end (p each)."""
    before = plant.record(_N, seed)
    theta = np.array(plant.theta)
    theta[k] *= factor
    after = replace(plant, theta=tuple(theta.tolist())).record(_N, seed)  # the same measurand and noise
    y = np.where(np.arange(_N) < _AT, before.indication, after.indication + offset)
    record = AlignedRecord(before.t_ns, y, before.reference)
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, settings)
    wrong, jumped, believed = False, False, np.nan
    error, u = np.full((2, theta.size), np.nan)
    for at in range(0, _N, _EACH):
        outcomes = estimator.update(part(record, at, at + _EACH))
        jumped |= at >= _AT and any(outcome.reset for outcome in outcomes)
        now = estimator.estimate
        if at < _AT or now is None or not now.accepted or now.parameters is None:
            error, u = np.full((2, theta.size), np.nan)
            continue
        error, u = now.parameters.values - theta, now.parameters.u
        off = [np.max(np.abs(now.parameters.values - other) / u) for other in (theta, np.array(plant.theta))]
        wrong |= min(off) > _WRONG
        if jumped and np.isnan(believed):
            believed = at + _EACH - _AT
    return np.concatenate([[wrong, believed], error, u])


def judge(lowest: float, results: FloatArray) -> Sequence[Figure]:
    """Count; where a sensor changed, it is to be known again at the end."""
    n, p = len(results), (results.shape[1] - 2) // 2
    u = float(np.sqrt(0.01 / n))
    figures = [Figure("accepted wrongly at any time", float(results[:, 0].mean()), -_INF, 0.01, n, u, unit="%")]
    known = np.all(np.isfinite(results[:, 2:]), axis=1)
    if lowest > 0:
        figures.append(Figure("accepted at the end", float(known.mean()), lowest, _INF, n, u, unit="%"))
        figures.append(Figure("median time until then, samples", float(np.nanmedian(results[:, 1])), -_INF, _INF, n))
        good = results[known]
        figures += [
            coverage(f"parameter {i + 1}: 95 % interval", np.abs(good[:, 2 + i]) < _K95 * good[:, 2 + p + i])
            for i in range(p)
        ]
    return figures


_WARM: Final = replace(THERMOCOUPLE, mean=8.0)
_ROUGH: Final = replace(THERMOCOUPLE, mean=6.0, order=1)
_CHANGES: Final = (
    ("τ of a thermocouple by 30 %", THERMOCOUPLE, 1, 1.3),
    ("gain of a thermocouple by 5 %, mean 8 times the scatter", _WARM, 0, 1.05),
    ("resonance of a pressure sensor by 10 %", PRESSURE, 2, 1.1),
    ("longer lag of a thermowell by 20 %", THERMOWELL, 1, 1.2),
)
_FORMS: Final = (("auto", OnlineSettings(), None), ("innovations", _FAST, 0.0003))


def _of(plant: Plant, noise: float | None) -> Plant:
    return plant if noise is None else replace(plant, u_reference_noise=noise)


EXPERIMENTS: tuple[Experiment, ...] = (
    *(
        Experiment(
            f"online changes: {what}, {name}",
            partial(changed, _of(plant, noise), k, factor, 0.0, settings),
            partial(judge, 0.95),
            200,
            1,
        )
        for name, settings, noise in _FORMS
        for what, plant, k, factor in _CHANGES
    ),
    *(
        Experiment(
            f"online changes: a zero offset of {offset:g} of the scatter comes, {what}, {name}",
            partial(changed, plant, 0, 1.0, offset, settings),
            partial(judge, 0.0),
            200,
            1,
        )
        for name, settings, _ in _FORMS
        for what, plant in (("mean 8", _WARM), ("rougher, mean 6", _ROUGH))
        for offset in (0.3, 0.5, 1.0)
    ),
)
