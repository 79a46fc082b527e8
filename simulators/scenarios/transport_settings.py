"""What a scenario says of the way from a converter to its surface."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from dyncal.domain.time import duration
from dyncal.runtime.settings import Section
from simulators.physics.transport import Clock, Transport
from simulators.scenarios.converter_settings import SpanSpec


class TransportSpec(Section):
    """What happens between converter and surface."""

    delay_s: float = Field(0.0, ge=0, le=10)
    """Constant delay of every publication [s]."""

    jitter_s: float = Field(0.0, ge=0, le=10)
    """Largest further delay, uniformly distributed [s]."""

    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that a publication is lost."""

    duplicate: float = Field(0.0, ge=0, lt=1)
    """Probability that a publication is made twice."""

    silent: list[SpanSpec] = Field(default_factory=list)
    """Spans in which nothing is published."""

    overtaken: float = Field(0.0, ge=0, lt=1)
    """Probability that a publication comes so late that later ones overtake it."""

    overtaken_s: float = Field(0.0, ge=0, le=60)
    """How late that is [s]."""

    deadband: float = Field(0.0, ge=0, allow_inf_nan=False)
    """A publication whose last value is no further than this from the last one published is not made."""

    clock_offset_s: float = Field(0.0, ge=-3600, le=3600)
    """How far the clock of the time stamps is ahead at the start [s]."""

    clock_skew_ppm: float = Field(0.0, ge=-1000, le=1000)
    """How much it gains [1e-6]."""

    @model_validator(mode="after")
    def _late(self) -> Self:
        if (self.overtaken > 0) != (self.overtaken_s > 0):
            raise ValueError("what is overtaken has both: overtaken, its probability, and overtaken_s, how late it is")
        return self

    def transport(self) -> Transport:
        """Return it."""
        return Transport(
            duration(self.delay_s),
            duration(self.jitter_s),
            self.dropout,
            self.duplicate,
            tuple(span.ns for span in self.silent),
            self.overtaken,
            duration(self.overtaken_s),
            self.deadband,
            Clock(duration(self.clock_offset_s), self.clock_skew_ppm * 1e-6),
        )
