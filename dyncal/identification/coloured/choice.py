"""Which noise residuals show: orders and kinds by Schwarz's criterion on their exact likelihood."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from dyncal.identification.coloured.models import Autoregression, Noise, Relaxation, Through
from dyncal.identification.coloured.whitening import Whitener
from dyncal.models import SensorModel

_MOST: Final = 10
"""Highest order of an autoregression."""
_SHARE: Final = 40
"""Residuals that there must be for each order."""
_RATES: Final = (0.003, 0.02, 0.1, 0.4, 1.5)  # over the sampling rate
_SHARES: Final = (0.05, 1.0, 10.0)
_INTENSITIES: Final = (-9.0, -7.0, -5.0, -3.0, -1.0, 2.0)  # logarithms, over the sampling interval
_FARTHEST: Final = 12.0  # logarithms
_CLEARLY: Final = 6.0  # twice a log-likelihood ratio
_DONE: Final = 1e-2


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """One run: instants [ns] and residuals, both (n,)."""

    t_ns: Int64Array
    e: FloatArray


def noise_of(
    runs: Sequence[Residuals], dt_s: float, *, even: bool, sensor: tuple[SensorModel, FloatArray] | None = None
) -> Noise | None:
    """Return the model of the sensor's noise that residuals ask for; None for white noise.

    Of white noise, autoregressions (`even` sampling, order up to 10) and noise that relaxes beside white noise, the one
    with the least -2 ln L + k ln n (Schwarz, Ann. Stat. 6 (1978) 461). Noise at the sensor's input has a colour of its
    own, that of the sensor: where that explains the residuals about as well (6), it is no noise of the sensor.

    Parameters
    ----------
    runs : sequence of Residuals
    dt_s : float
        Sampling interval, or the median one.
    sensor : (SensorModel, float64 (p,)), optional
        Model with its internal coordinates, to compare with noise at its input.
    """
    used = [run for run in runs if run.t_ns.size > 1]
    n = sum(run.t_ns.size for run in used)
    if n < _SHARE:
        return None
    penalty = float(np.log(n))
    white = _cost(None, used)
    candidates = _candidates(used, dt_s, n, even=even)
    found = [(_cost(noise, used) + noise.n_parameters * penalty, noise) for noise in candidates]
    least, best = min(found, key=lambda pair: pair[0])
    if least >= white:
        return None
    if sensor is not None and sensor[0].n_states:
        through = _through(sensor, used, dt_s)
        if _cost(through, used) + penalty <= least + _CLEARLY:
            return None
    return best


def burg(runs: Sequence[FloatArray], most: int) -> list[tuple[FloatArray, float]]:
    """Return autoregressions of order 1 … `most` by Burg's method over runs: coefficients and variance left.

    Coefficients a with v_k ≈ Σ a_i v_{k-i}; stable whatever the data (Burg, thesis, Stanford 1975).
    """
    pairs = [(run[1:].copy(), run[:-1].copy()) for run in runs if run.size > 1]
    n = sum(run.size for run in runs)
    variance = sum(float(run @ run) for run in runs) / max(n, 1)
    a, found = np.empty(0), []
    for _ in range(most):
        power = sum(float(f @ f + b @ b) for f, b in pairs)
        k = 2 * sum(float(f @ b) for f, b in pairs) / power if power > 0 else 0.0
        a = np.append(a - k * a[::-1], k)
        variance *= 1 - k**2
        found.append((a, variance))
        pairs = [((f - k * b)[1:], (b - k * f)[:-1]) for f, b in pairs if f.size > 1]
    return found


def _candidates(runs: Sequence[Residuals], dt_s: float, n: int, *, even: bool) -> Iterator[Noise]:
    yield _relaxation(runs, dt_s)
    if even:
        most = min(_MOST, n // _SHARE)
        tried = burg(_unbroken(runs, dt_s), most)
        scores = [n * np.log(max(variance, 1e-300)) + (i + 1) * np.log(n) for i, (_, variance) in enumerate(tried)]
        if scores:
            yield Autoregression(tried[int(np.argmin(scores))][0], dt_s)


def _unbroken(runs: Sequence[Residuals], dt_s: float) -> list[FloatArray]:
    parts: list[FloatArray] = []
    for run in runs:
        holes = np.flatnonzero(np.diff(run.t_ns) > 1.5 * dt_s * NS_PER_S) + 1
        parts += np.split(run.e, holes)
    return parts


def _relaxation(runs: Sequence[Residuals], dt_s: float) -> Noise:
    """Return the likeliest relaxation."""

    def noise(x: FloatArray) -> Relaxation:
        rate, share = np.exp(np.clip(x, -_FARTHEST, _FARTHEST))
        return Relaxation(float(rate) / dt_s, float(share))

    starts = [np.log(pair) for pair in product(_RATES, _SHARES)]
    return noise(_least(lambda x: _cost(noise(x), runs), starts))


def _through(sensor: tuple[SensorModel, FloatArray], runs: Sequence[Residuals], dt_s: float) -> Noise:
    """Return the likeliest noise at the sensor's input."""

    def noise(x: FloatArray) -> Through:
        return Through(*sensor, float(np.exp(np.clip(x[0], -_FARTHEST, _FARTHEST))) * dt_s)

    return noise(_least(lambda x: _cost(noise(x), runs), [np.array([each]) for each in _INTENSITIES]))


def _least(cost: Callable[[FloatArray], float], starts: Sequence[FloatArray]) -> FloatArray:
    """Return where a cost is least: the best of some starts, refined by a simplex."""
    from scipy.optimize import minimize  # noqa: PLC0415 - only where residuals are not white

    best = min(starts, key=cost)
    simplex = np.vstack([best, best + np.eye(best.size)])
    found = minimize(
        cost, best, method="Nelder-Mead", options={"xatol": _DONE, "fatol": _DONE, "initial_simplex": simplex}
    )  # fmt: skip
    return np.asarray(found.x, dtype=np.float64)


def _cost(noise: Noise | None, runs: Sequence[Residuals]) -> float:
    """Return -2 ln L, the variance at its best, but for a constant."""
    if noise is None:
        left = [run.e for run in runs]
    else:
        whitener = Whitener(noise, [run.t_ns for run in runs])
        left = [whitener.white(k, run.e[:, None])[:, 0] for k, run in enumerate(runs)]
    n = sum(e.size for e in left)
    return n * float(np.log(max(sum(float(e @ e) for e in left) / n, 1e-300)))
