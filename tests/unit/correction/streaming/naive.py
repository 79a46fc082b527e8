"""Readable reference of the correction of uniform samples: the equations, one sample after the other."""

from __future__ import annotations

import math

import numpy as np

from dyncal.correction.safety import dc_gain
from dyncal.correction.streaming.slope import slope_taps
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.samples import FloatArray


class Biquad:
    """b0 b1 b2 over 1 a1 a2, started in the steady state of its first input."""

    def __init__(self, row: FloatArray, first: float) -> None:
        b0, b1, b2, a1, a2 = (float(x) for x in row)
        self.b, self.a = (b0, b1, b2), (a1, a2)
        level = first * (b0 + b1 + b2) / (1 + a1 + a2)
        self.x = [first, first]
        self.y = [level, level]

    def step(self, x: float) -> float:
        y = self.b[0] * x + self.b[1] * self.x[0] + self.b[2] * self.x[1]
        y -= self.a[0] * self.y[0] + self.a[1] * self.y[1]
        self.x = [x, self.x[0]]
        self.y = [y, self.y[0]]
        return y


def cascade(sos: FloatArray, level: float) -> tuple[list[Biquad], float]:
    """Return sections in the steady state of an input of `level`, and their output."""
    made = []
    for b0, b1, b2, _, a1, a2 in sos:
        made.append(Biquad(np.array([b0, b1, b2, a1, a2]), level))
        level = made[-1].y[0]
    return made, level


def correct(
    correction: CorrectionFilter, parameters: Parameters, raw: FloatArray, u_t_s: float, settle: int
) -> tuple[FloatArray, FloatArray]:
    """Return (value, u), entry k about raw sample k - delay; `settle` outputs of the sections are NaN after a start."""
    n_taps, dt_s = correction.fir.size, correction.dt_ns / 1e9
    dc = dc_gain(correction.fir, correction.sos)
    moves = slope_taps(correction.fir, correction.sos, dt_s, correction.band_hz)
    value, u = np.full(raw.size, np.nan), np.full(raw.size, np.nan)
    sections: list[Biquad] = []
    slopes: list[Biquad] = []
    biquads: list[Biquad] = []
    last, age, live = 0.0, 0, False
    for k in range(raw.size):
        window = raw[max(k - n_taps + 1, 0) : k + 1]
        if window.size < n_taps or not np.isfinite(window).all():
            live = False
            continue
        x = float(correction.fir @ window[::-1])
        if not live:
            live, age = True, 0
            sections, level = cascade(correction.sos, x)
            slopes, _ = cascade(correction.sos, float(moves @ window[::-1]) if moves.size else 0.0)
            before = dc * window[: n_taps - 1 - correction.delay]
            biquads = [Biquad(row, dc * float(window[0])) for row in correction.sensitivities]
            for biquad in biquads:
                for earlier in before:
                    biquad.step(earlier)
            about = n_taps - 1 - correction.delay
            last = level - dc * float(window[about] - window[about - 1]) if about > 0 else level
        for section in sections:
            x = section.step(x)
        c = np.array([biquad.step(x) for biquad in biquads])
        slope, last = (x - last) / dt_s, x
        if moves.size:
            slope = float(moves @ window[::-1])
            for section in slopes:
                slope = section.step(slope)
        age += 1
        if age > settle:
            square = correction.u_noise**2 + correction.u_model**2 + (u_t_s * slope) ** 2
            value[k], u[k] = x, math.sqrt(square + float(c @ parameters.cov @ c))
    return value, u
