"""Sensors, measurands and sets that the tests of the correction share."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from dyncal.correction.design.spectrum import MeasurandSpectrum, from_bandwidth
from dyncal.correction.design.wiener import Design, design
from dyncal.domain.coefficients import CoefficientSet, Correction, CorrectionFilter, Parameters, Provenance
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind, SensorId
from dyncal.domain.time import DurationNs, InstantNs, Int64Array
from dyncal.models import ResponseModel, model_of, named_model

T0_NS = 1_800_000_000_000_000_000


@dataclass(frozen=True, eq=False)
class Case:
    """A sensor, its noise, and a measurand."""

    kind: ModelKind
    theta: FloatArray
    dt_ns: int
    noise_std: float
    spectrum: MeasurandSpectrum
    u_relative: float = 0.02
    names: tuple[str, ...] = ()

    @property
    def model(self) -> ResponseModel:
        return named_model(self.kind, self.names) if self.names else model_of(self.kind)

    @property
    def dt_s(self) -> float:
        return self.dt_ns / 1e9

    @property
    def parameters(self) -> Parameters:
        u = self.u_relative * np.abs(self.theta)
        u[0] /= 10
        return Parameters(self.kind, self.model.names, self.theta, np.diag(u**2))

    def design(self) -> Design:
        return design(self.parameters, dt_ns=self.dt_ns, noise_std=self.noise_std, spectrum=self.spectrum)

    def simulate(
        self, rng: np.random.Generator, n: int, theta: FloatArray | None = None, over: int = 8
    ) -> tuple[FloatArray, FloatArray]:
        """Return measurand and indication, periodic, the sensor exact up to `over` times Nyquist."""
        m = n * over
        omega: FloatArray = 2 * np.pi * np.fft.rfftfreq(m, self.dt_s / over).astype(np.float64)
        size = np.sqrt(self.spectrum.at(omega) * m * over / self.dt_s / 2)
        lines = size * (rng.normal(size=omega.size) + 1j * rng.normal(size=omega.size))
        lines[0] = 0
        lines[-1] = lines[-1].real
        response = self.model.frequency_response(self.theta if theta is None else theta, omega / (2 * np.pi))
        measurand = np.fft.irfft(lines, m)[::over]
        indication = np.fft.irfft(lines * response, m)[::over]
        return measurand, indication + self.noise_std * rng.normal(size=n)


CASES = {
    "thermocouple": Case(
        ModelKind.FIRST_ORDER, np.array([1.0, 0.5]), 10_000_000, 1e-2, from_bandwidth(0.3, 1.0, order=2)
    ),
    "pressure_line": Case(ModelKind.SECOND_ORDER, np.array([2.0, 0.3, 5.0]), 10_000_000, 1e-2, from_bandwidth(6, 1.0)),
    "thermowell": Case(
        ModelKind.LEAD_LAG, np.array([1.0, 8.0, 1.5, 0.8]), 200_000_000, 1e-2, from_bandwidth(0.1, 1.0, order=4)
    ),
    "accelerometer": Case(
        ModelKind.SECOND_ORDER, np.array([1.0, 0.02, 500.0]), 500_000, 1e-2, from_bandwidth(300, 1.0), 0.01
    ),
}

_W = 2 * np.pi * 4.0
GENERAL = {
    "dead_time": Case(
        ModelKind.FIRST_ORDER,
        np.array([1.0, 0.5, 0.123]),
        10_000_000,
        1e-2,
        from_bandwidth(1.0, 1.0, order=4),
        names=("gain", "tau_s", "delay_s"),
    ),
    "rational": Case(
        ModelKind.RATIONAL,
        np.array([1.0, 0.3 / _W, 2.2 / _W, 2.5 / _W**2, 1.5 / _W**3, 0.4 / _W**4]),
        10_000_000,
        1e-2,
        from_bandwidth(4.0, 1.0),
        0.01,
        names=("gain", "b1_s", "a1_s", "a2_s2", "a3_s3", "a4_s4"),
    ),
    "non_minimum_phase": Case(
        ModelKind.LEAD_LAG, np.array([1.0, 0.2, 0.05, -0.04]), 10_000_000, 1e-2, from_bandwidth(4.0, 1.0)
    ),
}
"""Kinds that take more than one biquad, a latency beyond the dead time, or a zero in the right half-plane."""

ALL = CASES | GENERAL


@cache
def designed(name: str) -> Design:
    """Return the default design of a case."""
    return ALL[name].design()


def coefficient_set(parameters: Parameters, correction: Correction, **changes: object) -> CoefficientSet:
    """Return a set around a filter or a smoother."""
    values: dict[str, object] = {
        "id": "set-1",
        "sensor": SensorId("s"),
        "sequence": 1,
        "parent": None,
        "parameters": parameters,
        "correction": correction,
        "gain_limits": (0.1, 10.0),
        "valid_from_ns": InstantNs(0),
        "provenance": Provenance("c", SensorId("r"), InstantNs(0), InstantNs(0), InstantNs(0), 1),
    }
    return CoefficientSet(**(values | changes))  # type: ignore[arg-type]  # values by name


def set_of(name: str) -> CoefficientSet:
    """Return the set with the default design of a case."""
    return coefficient_set(ALL[name].parameters, designed(name).filter)


def arbitrary_set(
    rng: np.random.Generator, *, taps: int = 24, delay: int = 7, sections: int = 0, shared: bool = True
) -> CoefficientSet:
    """Return a set with arbitrary numbers: what a third party might make."""
    fir = rng.normal(size=taps)
    fir /= fir.sum()
    if shared:
        rows = [[-0.5, 0, 0, 0, 0], [-5, 10, -5, -1.6, 0.7], [3, 0, -3, -1.6, 0.7]]
    else:
        rows = [[-0.5, 0, 0, 0, 0], [-5, 5, 0, -0.9, 0], [3, -3, 0, -0.8, 0], [1, -2, 1, -1.2, 0.5]]
    names = tuple(f"p{i}" for i in range(len(rows)))
    root = 0.02 * rng.normal(size=(len(rows), len(rows)))
    parameters = Parameters(ModelKind.RATIONAL, names, np.ones(len(rows)), root @ root.T)
    sos = np.array([[0.2, 0.05, 0.05, 1, -1.1, 0.4], [0.3, -0.1, 0.0, 1, -0.8, 0.0]])[:sections]
    correction = CorrectionFilter(
        dt_ns=DurationNs(10_000_000),
        fir=fir,
        sos=sos,
        delay=delay,
        sensitivities=np.array(rows, dtype=np.float64),
        u_noise=0.01,
        u_model=0.02,
        band_hz=1.0,
    )
    return coefficient_set(parameters, correction)


def instants(n: int, dt_ns: int = 10_000_000) -> Int64Array:
    """Return n regular instants."""
    return T0_NS + dt_ns * np.arange(n, dtype=np.int64)


FINE = 16
"""Fine steps in a nominal interval, on which irregular instants lie."""


def irregular(rng: np.random.Generator, n: int) -> Int64Array:
    """Return n instants in fine steps, at intervals from 1/16 to 31/16 of the nominal one."""
    return np.cumsum(rng.integers(1, 2 * FINE, size=n))


def sampled(
    case: Case, rng: np.random.Generator, at: Int64Array, theta: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return measurand and indication at instants in fine steps, exactly through the sensor."""
    fine = dataclasses.replace(case, dt_ns=case.dt_ns // FINE, noise_std=0.0)
    size = 1 << math.ceil(math.log2(int(at[-1]) + 1))
    measurand, indication = fine.simulate(rng, size, theta, over=1)
    return measurand[at], indication[at] + case.noise_std * rng.normal(size=at.size)
