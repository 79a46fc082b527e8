"""The check that an edge makes on its own correction: what it says must agree with what it read.

The corrected values û, sent through the sensor's own model H(θ), dead time included, must give back the indications y.
The innovation e = y - H û then holds the sensor's noise, what lies above the band, and near a resonance what the
discrete model is off by. All of that vanishes from its mean over a window: with Hann's weights, since the side lobes of
equal ones would let through a twentieth of a vibration that fills the band. What remains is a filter that does not
belong to its parameters, or one that has gone astray. The statistic is the rms of the last means, compared with the
set's `residual_limit`. (A sensor that drifts is *not* seen here: H and its inverse cancel. That is what a reference is
for.)
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.coefficients import CoefficientSet, Parameters
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import NS_PER_S
from dyncal.kernels import kernel
from edge_agent.tally import Tally

MIN_WINDOW: Final = 64
N_WINDOWS: Final = 8
_WARPED: Final = 0.8 * math.pi  # angular frequency times dt up to which a resonance is put in its place
_DEAD_TIME: Final = "delay_s"
_SETTLE: Final = 6  # time constants until the start no longer shows


@kernel("void(f8[::1], f8[::1], f8[::1], f8[::1])")
def _filter(coefficients: FloatArray, state: FloatArray, x: FloatArray, out: FloatArray) -> None:
    """Filter with b0 b1 b2 a1 a2 in transposed direct form II; `state` of shape (2,) goes on."""
    b0, b1, b2, a1, a2 = coefficients
    s1, s2 = state
    for k in range(x.size):
        y = b0 * x[k] + s1
        s1 = b1 * x[k] - a1 * y + s2
        s2 = b2 * x[k] - a2 * y
        out[k] = y
    state[0] = s1
    state[1] = s2


def forward_biquad(parameters: Parameters, dt_s: float) -> FloatArray | None:
    """Return b0 b1 b2 a1 a2 of the sensor's model by the bilinear transform, or None for kinds that it does not know.

    Exact at DC and to (ω dt)² near it, which is what a mean over many samples needs; and at a resonance that the
    sampling can show (prewarped there), because a resonance a little beside its place leaves much.
    """
    theta = parameters.as_dict()
    c = 2 / dt_s
    try:
        match parameters.model:
            case ModelKind.FIRST_ORDER:
                a0 = 1 + theta["tau_s"] * c
                b = theta["gain"] / a0
                return np.array([b, b, 0.0, (1 - theta["tau_s"] * c) / a0, 0.0])
            case ModelKind.SECOND_ORDER:
                omega = 2 * math.pi * theta["f0_hz"]
                if omega * dt_s < _WARPED:
                    c = omega / math.tan(omega * dt_s / 2)
                zero, d1, d2 = 0.0, 2 * theta["damping"] / omega, omega**-2
            case ModelKind.LEAD_LAG:
                zero = theta["tauz_s"]
                d1, d2 = theta["tau1_s"] + theta["tau2_s"], theta["tau1_s"] * theta["tau2_s"]
            case _:
                return None
    except (KeyError, ZeroDivisionError):
        return None
    a0 = 1 + d1 * c + d2 * c * c
    numerator = np.array([1 + zero * c, 2.0, 1 - zero * c]) * theta["gain"] / a0
    return np.array([*numerator, (2 - 2 * d2 * c * c) / a0, (1 - d1 * c + d2 * c * c) / a0])


def slowest_s(parameters: Parameters) -> float:
    """Return the slowest time constant of the model [s]; 0 for kinds without one."""
    theta = parameters.as_dict()
    if parameters.model is ModelKind.SECOND_ORDER and theta.get("f0_hz") and theta.get("damping"):
        decay = 1 / (2 * math.pi * theta["f0_hz"])
        return abs(max(decay / theta["damping"], 2 * theta["damping"] * decay))
    return max((abs(value) for name, value in theta.items() if name.startswith("tau")), default=0.0)


class ResidualMonitor:
    """Judges the corrected values of one set; bounded state.

    Independent of how the stream is cut, but for the order of additions. `tally` has the squares of the windows' means.
    """

    def __init__(self, coefficients: CoefficientSet) -> None:
        self._limit = coefficients.residual_limit
        dt_s = coefficients.filter.dt_ns / NS_PER_S
        self._biquad = forward_biquad(coefficients.parameters, dt_s) if self._limit > 0 else None
        slowest = slowest_s(coefficients.parameters) / dt_s
        self._window = max(MIN_WINDOW, min(math.ceil(2 * slowest), 1 << 20))
        phase = 2 * np.pi * (np.arange(self._window) + 0.5) / self._window
        self._weights = (1 - np.cos(phase)) / self._window
        late = min(max(coefficients.parameters.as_dict().get(_DEAD_TIME, 0.0) / dt_s, 0.0), 1 << 22)
        self._late, self._between = math.floor(late), late % 1.0  # whole samples of dead time, and the rest of one
        self._settle = min(math.ceil(_SETTLE * slowest), 1 << 22) + coefficients.filter.delay + math.ceil(late)
        self._means: deque[float] = deque(maxlen=N_WINDOWS)
        self._state = np.zeros(2)
        self._seen = np.zeros(self._late + 1)
        self.tally = Tally()
        self.restart()

    def restart(self) -> None:
        """Forget the run: after a gap the model starts anew. The means of earlier windows stay."""
        self._skip = -1
        self._sum = 0.0
        self._n = 0

    def update(self, value: FloatArray, raw: FloatArray) -> str:
        """Take corrected values and the indications of the same instants, shape (n,); return what is wrong, or ''.

        NaN in either is a hole: the corrector could not say, or the source gave nothing.
        """
        usable = np.isfinite(value)
        n_finite = np.count_nonzero(usable)
        if n_finite < usable.size and np.count_nonzero(np.isinf(value)):
            return "a corrected value is infinite"
        if self._biquad is None:
            return ""
        usable &= np.isfinite(raw)
        if value.size and np.count_nonzero(usable) == usable.size:  # as a rule
            self._innovate(value, raw, self._biquad)
            return self._verdict()
        for start, stop in _runs(usable):
            if start > 0 or not usable[0]:
                self.restart()
            self._innovate(value[start:stop], raw[start:stop], self._biquad)
        if usable.size and not usable[-1]:
            self.restart()
        return self._verdict()

    def _innovate(self, value: FloatArray, raw: FloatArray, biquad: FloatArray) -> None:
        if self._skip < 0:
            self._steady(float(value[0]), biquad)
            self._seen[:] = value[0]
            self._skip = self._settle
        predicted = np.empty_like(value)
        _filter(biquad, self._state, np.ascontiguousarray(self._delayed(value)), predicted)
        innovation = (raw - predicted)[self._skip :]
        self._skip = max(0, self._skip - value.size)
        while innovation.size:
            part = innovation[: self._window - self._n]
            self._sum += float(part @ self._weights[self._n : self._n + part.size])
            self._n += part.size
            innovation = innovation[part.size :]
            if self._n == self._window:
                self._means.append(self._sum)
                self.tally.add(self._sum * self._sum)
                self._sum, self._n = 0.0, 0

    def _delayed(self, value: FloatArray) -> FloatArray:
        """Return the values the dead time late, in straight lines between samples."""
        if not self._late and not self._between:
            return value
        n = value.size
        seen = np.concatenate((self._seen, value))
        self._seen = seen[n:].copy()
        late: FloatArray = (1 - self._between) * seen[1 : n + 1] + self._between * seen[:n]
        return late

    def _steady(self, x: float, biquad: FloatArray) -> None:
        b0, b1, b2, a1, a2 = biquad
        y = x * (b0 + b1 + b2) / (1 + a1 + a2)
        self._state[1] = b2 * x - a2 * y
        self._state[0] = b1 * x - a1 * y + self._state[1]

    def _verdict(self) -> str:
        if len(self._means) < N_WINDOWS:
            return ""
        rms = math.sqrt(sum(mean * mean for mean in self._means) / N_WINDOWS)
        if rms <= self._limit:
            return ""
        return f"innovation of {rms:.4g} rms over {N_WINDOWS} windows exceeds the set's limit {self._limit:.4g}"


def _runs(usable: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (start, stop) of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], usable, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
