"""Laboratories that calibrate sensors by sinusoidal excitation, as ISO 16063-11 and -31 have it, simulated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.frequency_response import FrequencyPoints, Magnitude, PhaseSign, PhaseUnit
from dyncal.models import ResponseModel, model_of

SECOND = model_of(ModelKind.SECOND_ORDER)
# gain in mV/(m/s²), damping, resonance
ACCELEROMETER = np.array([10.2, 0.05, 22_000.0])


def preferred(n: int, low_hz: float = 10.0, high_hz: float = 10_000.0) -> FloatArray:
    """n frequencies in equal ratios: 49 over three decades, or 17 on a short certificate."""
    return np.geomspace(low_hz, high_hz, n)


@dataclass(frozen=True)
class Laboratory:
    """0.1 % to 0.4 % of magnitude and 0.1° to 0.4° of phase, rising with frequency, and systematic errors."""

    name: str = "A"
    n_points: int = 49
    u_low: float = 0.001
    u_high: float = 0.004
    u_common: float = 0.0
    u_delay_s: float = 0.0
    magnitude_as: Magnitude = Magnitude.LINEAR
    phase_unit: PhaseUnit = PhaseUnit.DEGREES
    phase_sign: PhaseSign = PhaseSign.LAG_NEGATIVE

    @property
    def f_hz(self) -> FloatArray:
        return preferred(self.n_points)

    @property
    def u_relative(self) -> FloatArray:
        share = np.linspace(0.0, 1.0, self.n_points)
        return np.asarray(self.u_low + (self.u_high - self.u_low) * share)

    def columns(
        self, model: ResponseModel, theta: FloatArray, rng: np.random.Generator | None
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """Frequency, magnitude, phase and their u, in this laboratory's units."""
        log = np.log(model.frequency_response(theta, self.f_hz))
        u_phase = self.u_relative * 1.75  # 0.1° for 0.1 %
        if rng is not None:
            common, late = self.u_common * rng.normal(), self.u_delay_s * rng.normal()
            log = log + common - 2j * np.pi * self.f_hz * late
            log = log + self.u_relative * rng.normal(size=log.size) + 1j * u_phase * rng.normal(size=log.size)
        unit = 180 / np.pi if self.phase_unit is PhaseUnit.DEGREES else 1.0
        sign = -1.0 if self.phase_sign is PhaseSign.LAG_POSITIVE else 1.0
        if self.magnitude_as is Magnitude.DB:
            magnitude, u_magnitude = log.real * 20 / np.log(10), self.u_relative * 20 / np.log(10)
        else:
            magnitude = np.exp(log.real)
            u_magnitude = self.u_relative * magnitude
        return self.f_hz, magnitude, sign * unit * log.imag, u_magnitude, unit * u_phase

    def points(
        self,
        rng: np.random.Generator | None,
        model: ResponseModel = SECOND,
        theta: FloatArray = ACCELEROMETER,
    ) -> FrequencyPoints:
        """What the laboratory delivers; without a generator, without errors."""
        return FrequencyPoints.from_magnitude_phase(
            *self.columns(model, theta, rng),
            magnitude_as=self.magnitude_as,
            phase_unit=self.phase_unit,
            phase_sign=self.phase_sign,
            laboratory=self.name,
            u_common_magnitude=self.u_common,
            u_delay_s=self.u_delay_s,
        )
