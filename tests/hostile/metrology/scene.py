"""Sound data of two sensors, made without dyncal: a measurand on a fine grid, met by straight lines."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.signal import butter, cont2discrete, lfilter

from dyncal.domain.coefficients import Parameters
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import Int64Array

FIRST, SECOND = ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER
TRUTH = {FIRST: np.array([1.0, 0.5]), SECOND: np.array([1.0, 0.1, 50.0])}
NAMES = {FIRST: ("gain", "tau_s"), SECOND: ("gain", "damping", "f0_hz")}
_DT_NS = {FIRST: 10_000_000, SECOND: 1_000_000}
_OVER = 16
_T0_NS = 1_800_000_000_000_000_000
_NOISE = 0.01

Record = tuple[Int64Array, FloatArray, FloatArray]


@cache
def record(kind: ModelKind, n: int = 2000) -> Record:
    """Return instants, indication (white noise of 0.01) and reference of a measurand of unit variance or so."""
    rng = np.random.default_rng(n)
    h = _DT_NS[kind] * 1e-9 / _OVER
    if kind is FIRST:
        pole = np.exp(-h / 0.2)
        x = lfilter([np.sqrt(1 - pole**2)], [1, -pole], rng.normal(size=n * _OVER))
    else:
        x = lfilter(*butter(2, 150, fs=1 / h), rng.normal(size=n * _OVER))
        x /= x.std()
    y = respond(kind, TRUTH[kind], x, h)[::_OVER] + _NOISE * rng.normal(size=n)
    t_ns = _T0_NS + np.arange(n, dtype=np.int64) * _DT_NS[kind]
    return t_ns, np.ascontiguousarray(y), np.ascontiguousarray(x[::_OVER])


def respond(kind: ModelKind, theta: FloatArray, x: FloatArray, h: float) -> FloatArray:
    """Return a sensor's indication of straight lines between samples every `h` seconds; at rest before."""
    if kind is FIRST:
        system = [theta[0]], [theta[1], 1.0]
    else:
        w = 2 * np.pi * theta[2]
        system = [theta[0] * w**2], [1.0, 2 * theta[1] * w, w**2]
    b, a, _ = cont2discrete(system, h, "foh")
    moved: FloatArray = np.asarray(lfilter(b.ravel(), a, x - x[0]) + theta[0] * x[0])
    return moved


def parameters(kind: ModelKind, theta: FloatArray | None = None, cov: FloatArray | None = None) -> Parameters:
    """Return parameters known to 0.5 %, unless told otherwise."""
    values = TRUTH[kind] if theta is None else theta
    return Parameters(kind, NAMES[kind], values, np.diag((0.005 * values) ** 2) if cov is None else cov)


def put(values: FloatArray, at: int | slice, value: float) -> FloatArray:
    """Return a copy with one value, or several, replaced."""
    changed = values.copy()
    changed[at] = value
    return changed
