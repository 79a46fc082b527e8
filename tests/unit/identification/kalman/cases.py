"""Sensors, processes and data that the tests of the Kalman likelihood share."""

from __future__ import annotations

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.kalman.joint import Layout
from dyncal.identification.kalman.measurand import Process, log_intensity
from dyncal.identification.kalman.segments import Segment
from dyncal.models import SensorModel, model_of

SENSORS = [
    (ModelKind.FIRST_ORDER, (1.1, 0.5)),
    (ModelKind.SECOND_ORDER, (0.9, 0.2, 1.3)),
    (ModelKind.LEAD_LAG, (1.0, 0.9, 0.2, 0.3)),
]
H = 0.05
SPACINGS = ["uniform", "irregular", "interleaved", "holes"]


def segment(spacing: str, n: int = 40, seed: int = 5) -> Segment:
    rng = np.random.default_rng(seed)
    steps = rng.integers(20_000_000, 60_000_000, size=n) if spacing == "irregular" else np.full(n, 50_000_000)
    t = np.cumsum(steps).astype(np.int64)
    y, r = 3.0 + rng.normal(size=n), 2.5 + rng.normal(size=n)
    if spacing == "interleaved":
        y[::2], r[1::2] = np.nan, np.nan
    if spacing == "holes":
        y[7:9], r[14] = np.nan, np.nan
    return Segment.of(AlignedRecord(t, y, r))


def coordinates(model: SensorModel, layout: Layout, theta: tuple[float, ...], *, late_s: float = 0.0) -> FloatArray:
    """Sensible coordinates h: noise of 0.1 and 0.3, a process of unit variance and 2 rad/s."""
    noise = [np.log(0.01), np.log(0.09), np.log(0.05), late_s]
    if layout.process.stationary:
        noise[2:3] = [log_intensity(layout.process, 0.0, np.log(2.0), H), np.log(2.0)]
    return np.concatenate([model.to_internal(np.array(theta)), noise])


def setup(kind: ModelKind, theta: tuple[float, ...], process: Process) -> tuple[SensorModel, Layout, FloatArray]:
    model = model_of(kind)
    layout = Layout(model.n_parameters, model.n_states, process)
    return model, layout, coordinates(model, layout, theta)
