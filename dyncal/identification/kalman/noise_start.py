"""First values of noise and measurand, from differences of the reference's neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.identification.kalman.joint import REFERENCE, SENSOR
from dyncal.identification.kalman.measurand import Process, log_intensity, relative_speed
from dyncal.identification.kalman.segments import Segment

_LEAST: Final = 1e-24  # of the variance: noise below the last digit


@dataclass(frozen=True, slots=True)
class NoiseStart:
    """First values: logarithms of R_y, R_r, q and λ (0 where the process has none)."""

    sensor_noise: float
    reference_noise: float
    intensity: float
    rate: float

    def coordinates(self, process: Process) -> FloatArray:
        """Return them as the coordinates of `Layout` after η, clock offset 0."""
        rate = [self.rate] if process.stationary else []
        return np.array([self.sensor_noise, self.reference_noise, self.intensity, *rate, 0.0])


def noise_start(
    segments: list[Segment], process: Process, u_reference_noise: float | None, scale_s: float
) -> NoiseStart:
    """Return first values for `process`, with the reference's noise as far as it is known, and time scale T [s].

    For white noise of variance R on a process that moves by Δ between samples, neighbouring differences d have
    E d² = E Δ² + 2R and, where the process is rough, E d d₊ = -R; third differences have at least 20 R.
    """
    spread = max(_mean([_centred(s, REFERENCE) for s in segments]), 1e-300)
    first = max(_mean([_differences(s, 1) ** 2 for s in segments]), 1e-12 * spread)
    lagged = _mean([_differences(s, 1)[1:] * _differences(s, 1)[:-1] for s in segments])
    most = _mean([_differences(s, 3) ** 2 for s in segments]) / 20
    noise = min(max(-lagged, 1e-3 * most), most) if u_reference_noise is None else u_reference_noise**2
    noise = max(noise, _LEAST * spread)
    moved = max(first - 2 * noise, 0.05 * first)
    variance = max(spread - noise, 0.05 * spread)
    h = float(np.median([s.interval_s for s in segments]))
    log_rate = np.log(_rate(process, moved, variance, h))
    if process.stationary:
        log_q = log_intensity(process, float(np.log(variance)), float(log_rate), scale_s)
    else:  # a cubic spline: E (second difference)² = 2/3 q h³
        second = _mean([_differences(s, 2) ** 2 for s in segments])
        log_q = float(np.log(1.5 * max(second - 6 * noise, 0.05 * second, 1e-300) * (scale_s / h) ** 3))
    own = max(_mean([_centred(s, SENSOR) for s in segments]), 1e-300)
    return NoiseStart(float(np.log(1e-3 * own)), float(np.log(noise)), log_q, float(log_rate))


def _rate(process: Process, moved: float, variance: float, h: float) -> float:
    """Return λ from the mean square of the steps that the process itself makes."""
    ratio = min(moved / (2 * variance), 0.99)  # 1 - correlation of neighbours
    if process.order == 1:
        return -float(np.log1p(-ratio)) / h
    # smooth: E Δ² = E ẇ² h²
    return float(np.sqrt(2 * ratio / relative_speed(process))) / h


def _mean(parts: list[FloatArray]) -> float:
    whole = np.concatenate(parts)
    return float(np.mean(whole)) if whole.size else 0.0


def _centred(segment: Segment, channel: int) -> FloatArray:
    values = segment.z[:, channel]
    there = values[~np.isnan(values)]
    return np.asarray((there - there.mean()) ** 2, dtype=np.float64)


def _differences(segment: Segment, order: int) -> FloatArray:
    values = segment.z[:, REFERENCE]
    return np.diff(values[~np.isnan(values)], order)
