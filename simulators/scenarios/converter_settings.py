"""What a scenario says of a converter."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from dyncal.domain.time import duration
from dyncal.runtime.settings import Section
from simulators.physics.converter import Converter, is_stationary

_Number = Annotated[float, Field(allow_inf_nan=False)]


class SpanSpec(Section):
    """A span of time since the start."""

    from_s: float = Field(ge=0)
    """Begin [s]."""

    to_s: float = Field(ge=0)
    """End [s]."""

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.to_s < self.from_s:
            raise ValueError(f"to_s {self.to_s} must not be before from_s {self.from_s}")
        return self

    @property
    def ns(self) -> tuple[int, int]:
        """Begin and end [ns]."""
        return duration(self.from_s), duration(self.to_s)


class ShiftSpec(Section):
    """A zero that jumps."""

    at_s: float = Field(ge=0, le=1e6)
    """When, since the start [s]."""

    by: _Number
    """By how much, in the sensor's unit."""


class ConverterSpec(Section):
    """The converter."""

    noise: float = Field(0.0, ge=0)
    """Standard deviation of noise, in the sensor's unit."""

    correlation: list[Annotated[float, Field(ge=-8, le=8)]] = Field(default_factory=list, max_length=8)
    """Coefficients of autoregressive noise, from sample to sample; without them it is white."""

    resolution: float = Field(0.0, ge=0)
    """Step of the quantiser, in the sensor's unit; 0 for none."""

    low: float = float("-inf")
    """Lower end of the range."""

    high: float = float("inf")
    """Upper end of the range."""

    linearity: list[_Number] = Field(default_factory=list, max_length=6)
    """Coefficients d2, d3, … of y + d2 y² + d3 y³ + …: a characteristic that is not straight."""

    shifts: list[ShiftSpec] = Field(default_factory=list, max_length=100)
    """Zeros that jump."""

    hysteresis: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Width of the play between the sensing element and what moves with it, in the sensor's unit."""

    hum: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Amplitude of what the mains couple in, in the sensor's unit."""

    hum_hz: float = Field(50.0, gt=0, le=1000)
    """Frequency of the mains [Hz]."""

    frozen: list[SpanSpec] = Field(default_factory=list)
    """Spans in which the number before stays."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be less than high {self.high}")
        if self.correlation and not is_stationary(self.correlation):
            raise ValueError(f"correlation {self.correlation}: such noise grows without bound; make them smaller")
        return self

    def converter(self) -> Converter:
        """Return it."""
        return Converter(
            self.noise,
            self.resolution,
            self.low,
            self.high,
            self.hysteresis,
            self.hum,
            self.hum_hz,
            tuple(span.ns for span in self.frozen),
            tuple(self.correlation),
            tuple(self.linearity),
            tuple((duration(shift.at_s), shift.by) for shift in self.shifts),
        )
