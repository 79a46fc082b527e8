"""What a fixed-lag smoother runs: measurand and sensor as one linear system in continuous time."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from dyncal.domain.covariances import correlations
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import DurationNs

MOST_STATES: Final = 24
_FIRST: Final = 100.0  # times the first indication's variance: it is counted again where it is measured


@dataclass(frozen=True, slots=True, eq=False)
class SmootherModel:
    """``dx = F x dt + dw``, cov(dw) = Q dt; the measurand is m·x, and an indication y = h·x + noise, a dead time later.

    The first indication y0 sets the state to `rest` y0 with the covariance `beginning`: `start` and its own noise.

    Attributes
    ----------
    dt_ns : int
        Nominal sampling interval [ns]; it sets the resolution of time and bounds the memory, nothing else.
    drift, diffusion : float64, shape (n, n)
        F [1/s] and Q.
    observe, measurand : float64, shape (n,)
        h and m.
    rest : float64, shape (n,)
        State of a constant measurand that gives the indication 1.
    start : float64, shape (n, n)
    noise_variance : float
        Of the indications.
    lag_s, dead_time_s : float
        A value is told when an indication about an instant `lag_s` later is there; the sensor's dead time comes on top.
    line_s : float
        Longest interval over which values may be joined by a straight line, as the sensitivities do.
    s_drift, s_input, s_output, s_direct, s_slope : float64, shapes (k, k), (k,), (p, k), (p,), (p,)
        The sensitivities c = -∂ln H/∂θ û: ``ξ' = s_drift ξ + s_input û``, ``c = s_output ξ + s_direct û + s_slope û'``.
    """

    dt_ns: DurationNs
    drift: FloatArray
    diffusion: FloatArray
    observe: FloatArray
    measurand: FloatArray
    rest: FloatArray
    start: FloatArray
    noise_variance: float
    lag_s: float
    dead_time_s: float
    line_s: float
    s_drift: FloatArray
    s_input: FloatArray
    s_output: FloatArray
    s_direct: FloatArray
    s_slope: FloatArray

    def __post_init__(self) -> None:
        n, k, p = self.observe.size, self.s_input.size, self.s_direct.size
        shapes = {
            "drift": (n, n), "diffusion": (n, n), "observe": (n,), "measurand": (n,), "rest": (n,), "start": (n, n),
            "s_drift": (k, k), "s_input": (k,), "s_output": (p, k), "s_direct": (p,), "s_slope": (p,),
        }  # fmt: skip
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise InvalidData(f"a smoother's {name} has shape {getattr(self, name).shape}, not {shape}")
        if not 1 <= n <= MOST_STATES or k > MOST_STATES:
            raise InvalidData(f"a smoother has 1 to {MOST_STATES} states, not {n} and {k}")
        if not all(bool(np.all(np.isfinite(getattr(self, field.name)))) for field in fields(self)):
            raise InvalidData("a smoother's numbers must be finite")
        if not (self.dt_ns > 0 and self.noise_variance > 0 and self.lag_s >= 0 and self.dead_time_s >= 0):
            raise InvalidData("a smoother needs dt_ns and noise above 0, and no negative lag or dead time")
        if not self.line_s > 0:
            raise InvalidData("a smoother's values are joined over intervals above 0")
        self._check_stability()

    def _check_stability(self) -> None:
        for name in ("diffusion", "start"):
            correlations(getattr(self, name), f"a smoother's {name}")
        for name in ("drift", "s_drift"):
            matrix = getattr(self, name)
            rates = np.linalg.eigvals(matrix).real if matrix.size else np.zeros(0)
            if bool(np.any(rates > 1e-9 * max(float(np.max(np.abs(matrix), initial=0.0)), 1e-300))):
                raise InvalidData(f"a smoother's {name} grows: eigenvalue {rates.max():g} 1/s")

    @property
    def beginning(self) -> FloatArray:
        """Covariance about `rest` y0 of the first indication, which has its noise, shape (n, n)."""
        return np.asarray(self.start + _FIRST * self.noise_variance * np.outer(self.rest, self.rest), np.float64)

    @property
    def n_parameters(self) -> int:
        """Number of parameters that the sensitivities are about."""
        return int(self.s_direct.size)
