"""Records with known truth."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.models import Hold, ResponseModel, model_of

THETA = {
    ModelKind.FIRST_ORDER: np.array([1.0, 0.5]),
    ModelKind.SECOND_ORDER: np.array([1.0, 0.3, 5.0]),
    ModelKind.LEAD_LAG: np.array([1.0, 3.0, 0.5, 1.0]),
}
DT_S = {ModelKind.FIRST_ORDER: 0.01, ModelKind.SECOND_ORDER: 0.005, ModelKind.LEAD_LAG: 0.1}
POLE = {ModelKind.FIRST_ORDER: 0.95, ModelKind.SECOND_ORDER: 0.8, ModelKind.LEAD_LAG: 0.9}


def instants(n: int, dt_s: float, jitter: float = 0.0, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    t = np.arange(n, dtype=np.int64) * round(dt_s * 1e9) + 1_700_000_000_000_000_000
    if jitter:
        t += np.round(np.random.default_rng(seed).uniform(-jitter, jitter, n) * dt_s * 1e9).astype(np.int64)
    return t


def walk(n: int, pole: float, rng: np.random.Generator) -> FloatArray:
    """An AR(1) measurand of unit variance."""
    x: FloatArray = lfilter([1.0], [1.0, -pole], rng.normal(size=n + 500))[500:]
    unit: FloatArray = x / x.std()
    return unit


def random_record(
    kind: ModelKind,
    n: int,
    snr_db: float,
    seed: int,
    *,
    hold: Hold = Hold.FIRST,
    jitter: float = 0.0,
    model: ResponseModel | None = None,
    theta: FloatArray | None = None,
) -> AlignedRecord:
    """A record whose reference is without noise and moves between samples as `hold` says."""
    rng = np.random.default_rng(seed)
    x = walk(n, POLE[kind], rng)
    t = instants(n, DT_S[kind], jitter, seed)
    sensor = model or model_of(kind)
    z = sensor.simulate(THETA[kind] if theta is None else theta, t, x, hold)
    return AlignedRecord(t, z + float(z.std()) * 10 ** (-snr_db / 20) * rng.normal(size=n), x)
