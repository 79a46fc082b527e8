"""What a scenario says of a measurand: noise about a mean, and shapes on it; and the waveforms that it stands for."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from dyncal.domain.errors import InvalidData
from dyncal.domain.time import InstantNs, duration
from dyncal.runtime.settings import Section
from simulators.physics.measurand import MAX_HZ, PERIOD_S, Multisine, autoregressive_noise, band_limited_noise
from simulators.physics.waveforms import Measurand, Profile, Shocks, Sum, Sweep, Swing, binary_sequence, steps

Seconds = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Amplitude = Annotated[float, Field(allow_inf_nan=False)]
Hertz = Annotated[float, Field(gt=0, le=MAX_HZ)]


class ProfileShape(Section):
    """Straight lines between points: a batch, a start-up. Two points at one time are a jump."""

    kind: Literal["profile"]

    points: list[tuple[Annotated[float, Field(ge=0, le=1e6)], Amplitude]] = Field(min_length=1, max_length=10_000)
    """Times since the start [s], from 0 on, and values in the sensor's unit, added to `mean`."""

    repeat: bool = False
    """Whether it begins again at the last point; if not, it stays there."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        times = [t for t, _ in self.points]
        if times[0] != 0 or times != sorted(times):
            raise ValueError("points must begin at 0 s and not go back in time")
        if self.repeat and duration(times[-1]) == 0:
            raise ValueError("a profile that repeats must last")
        return self

    def waveform(self, t0_ns: InstantNs) -> Measurand:
        """Return the waveform from `t0_ns` on."""
        t_ns = np.array([duration(t) for t, _ in self.points], np.int64)
        return Profile(t_ns, np.array([x for _, x in self.points], np.float64), t0_ns, self.repeat)


class _Held(Section):
    """What goes from level to level, at even intervals."""

    every_s: Seconds
    """How long a level lasts [s]."""

    rise_s: float = Field(0.0, ge=0)
    """How long a change takes, in a straight line [s]; at most `every_s`."""

    @model_validator(mode="after")
    def _rises_in_time(self) -> Self:
        if not duration(self.rise_s) <= duration(self.every_s) or duration(self.every_s) == 0:
            raise ValueError(f"rise_s {self.rise_s} must not be longer than every_s {self.every_s}")
        return self


class StepsShape(_Held):
    """Levels in turn, and again."""

    kind: Literal["steps"]

    values: list[Amplitude] = Field(min_length=1, max_length=10_000)
    """Levels in the sensor's unit, added to `mean`."""

    def waveform(self, t0_ns: InstantNs) -> Measurand:
        """Return the waveform from `t0_ns` on."""
        return steps(np.array(self.values), duration(self.every_s), t0_ns, rise_ns=duration(self.rise_s))


class BinarySequenceShape(_Held):
    """A maximum-length pseudo-random binary sequence, and again."""

    kind: Literal["prbs"]

    amplitude: Amplitude
    """Half of the difference of the levels, in the sensor's unit."""

    order: int = Field(ge=2, le=16)
    """The sequence has 2^order - 1 places."""

    def waveform(self, t0_ns: InstantNs) -> Measurand:
        """Return the waveform from `t0_ns` on."""
        rise_ns = duration(self.rise_s)
        return binary_sequence(self.order, self.amplitude, duration(self.every_s), t0_ns, rise_ns=rise_ns)


class SweepShape(Section):
    """A sine whose frequency goes from one end to the other, and again."""

    kind: Literal["sweep"]

    amplitude: Amplitude
    """In the sensor's unit."""

    from_hz: Hertz
    """Frequency at the begin [Hz]."""

    to_hz: Hertz
    """Frequency at the end [Hz]."""

    period_s: Annotated[float, Field(gt=0, le=PERIOD_S)]
    """How long a sweep takes [s]."""

    logarithmic: bool = False
    """Whether the frequency grows by equal factors, not by equal steps, in equal times."""

    def waveform(self, t0_ns: InstantNs) -> Measurand:
        """Return the waveform from `t0_ns` on."""
        period_ns = duration(self.period_s)
        return Sweep(self.amplitude, self.from_hz, self.to_hz, period_ns, t0_ns, self.logarithmic)


class ShocksShape(Section):
    """Half-sine shocks."""

    kind: Literal["shocks"]

    amplitude: Amplitude
    """Peak in the sensor's unit."""

    width_s: Seconds
    """How long a shock lasts [s]."""

    every_s: Seconds
    """From the begin of one to that of the next [s]."""

    first_s: float = Field(0.0, ge=0, le=1e6)
    """Begin of the first, since the start [s]."""

    @model_validator(mode="after")
    def _over_in_time(self) -> Self:
        if not 0 < duration(self.width_s) <= duration(self.every_s):
            raise ValueError(f"width_s {self.width_s} must not be longer than every_s {self.every_s}")
        return self

    def waveform(self, t0_ns: InstantNs) -> Measurand:
        """Return the waveform from `t0_ns` on."""
        first_ns = InstantNs(t0_ns + duration(self.first_s))
        return Shocks(self.amplitude, duration(self.width_s), duration(self.every_s), first_ns)


class SwingShape(Section):
    """A slow sine, such as the day's."""

    kind: Literal["swing"]

    amplitude: Amplitude
    """In the sensor's unit."""

    period_s: Seconds
    """Period [s]."""

    turns: float = Field(0.0, ge=0, lt=1)
    """Where it begins, in periods."""

    def waveform(self, t0_ns: InstantNs) -> Measurand:
        """Return the waveform from `t0_ns` on."""
        return Swing(self.amplitude, duration(self.period_s), t0_ns, self.turns)


class VibrationShape(Section):
    """Sinusoids of a machine that turns: of given frequencies, amplitudes and phases."""

    kind: Literal["vibration"]

    lines: list[tuple[Hertz, Amplitude, float]] = Field(min_length=1, max_length=1024)
    """Frequency [Hz], a multiple of 1/1000 Hz; amplitude in the sensor's unit; phase at the epoch [rad]."""

    @model_validator(mode="after")
    def _on_the_grid(self) -> Self:
        cycles = [f_hz * PERIOD_S for f_hz, *_ in self.lines]
        if any(abs(c - round(c)) > 1e-6 or round(c) < 1 for c in cycles):
            raise ValueError(f"frequencies must be multiples of {1 / PERIOD_S} Hz")
        if len({round(c) for c in cycles}) < len(cycles):
            raise ValueError("a frequency stands there twice")
        return self

    def waveform(self, t0_ns: InstantNs) -> Measurand:
        """Return the waveform, whatever `t0_ns`: it has always been there."""
        del t0_ns
        lines = sorted(self.lines)
        cycles = np.array([round(f_hz * PERIOD_S) for f_hz, *_ in lines], np.int64)
        amplitudes = np.array([a * np.exp(1j * (phase - np.pi / 2)) for _, a, phase in lines], np.complex128)
        return Multisine(0.0, cycles, amplitudes)


Shape = Annotated[
    ProfileShape | StepsShape | BinarySequenceShape | SweepShape | ShocksShape | SwingShape | VibrationShape,
    Field(discriminator="kind"),
]
"""One of the shapes, told apart by `kind`."""


class MeasurandSpec(Section):
    """What sensor and reference are exposed to: noise about a mean, and shapes on it."""

    mean: float = Field(0.0, allow_inf_nan=False)
    """Mean, in the sensor's unit."""

    rms: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Root of the mean square of the noise, in the sensor's unit; without it there is none."""

    band_hz: float | None = Field(None, gt=0, le=3000)
    """Frequency at which the noise's power density has fallen to one half [Hz]; or `time_constants_s`."""

    order: int = Field(4, ge=1, le=16)
    """Steepness: the density is 1 / (1 + (f / band)^(2 order))."""

    time_constants_s: list[Annotated[float, Field(gt=0)]] | None = Field(None, min_length=1, max_length=6)
    """Of process noise, AR(p): its density is the product of 1 / (1 + (2πfτ)²), and of what resonances make."""

    resonances: list[tuple[Hertz, Annotated[float, Field(gt=0, le=10)]]] | None = Field(
        None, min_length=1, max_length=3
    )
    """Of process noise, too: pairs of poles, each by its frequency [Hz] and its damping."""

    lines: int = Field(128, ge=8, le=1024)
    """Number of sinusoids that make the noise."""

    shapes: list[Shape] = Field(default_factory=list, max_length=20)
    """What comes on it: profiles, steps, sweeps, shocks and so on."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        autoregressive = self.time_constants_s is not None or self.resonances is not None
        if (self.band_hz is not None) + autoregressive != (self.rms is not None):
            raise ValueError("noise has rms, and either band_hz or time_constants_s and resonances")
        if self.rms is None and not self.shapes:
            raise ValueError("nothing moves: give rms and band_hz, or shapes")
        if self.band_hz is not None and self.band_hz * 500 < self.lines:
            raise ValueError(f"band_hz {self.band_hz} has no room for {self.lines} lines; at most {self.band_hz * 500}")
        if self.rms is not None:
            try:
                self.noise(np.random.default_rng(0))
            except InvalidData as error:
                raise ValueError(str(error)) from error
        return self

    def noise(self, rng: np.random.Generator) -> Multisine:
        """Return the mean with the noise on it."""
        if self.rms is None:
            return Multisine(self.mean, np.empty(0, np.int64), np.empty(0, np.complex128))
        mean, rms, n_lines = self.mean, self.rms, self.lines
        if self.band_hz is not None:
            return band_limited_noise(rng, mean=mean, rms=rms, band_hz=self.band_hz, order=self.order, n_lines=n_lines)
        taus, peaks = self.time_constants_s or [], self.resonances or []
        return autoregressive_noise(rng, mean=mean, rms=rms, time_constants_s=taus, resonances=peaks, n_lines=n_lines)

    def measurand(self, rng: np.random.Generator, t0_ns: InstantNs) -> Measurand:
        """Return all of it; `rng` draws the noise, shapes begin at `t0_ns`."""
        noise = self.noise(rng)
        return Sum((noise, *(shape.waveform(t0_ns) for shape in self.shapes))) if self.shapes else noise
