"""Scenarios: what is simulated, in TOML, checked, and what a good system should conclude from it."""

from __future__ import annotations

import tomllib
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from dyncal.domain.errors import InvalidData, InvalidSetting
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import DurationNs, duration
from dyncal.runtime.faults import describe
from dyncal.runtime.settings import Name, Section
from simulators.dynamics import Form, form_of, is_stable, names_of
from simulators.measurand_settings import MeasurandSpec

DELAY: Final = "delay_s"
"""Name of the dead time among a station's parameters."""

Conclusion = Literal["healthy", "drift", "reference_lost", "any"]


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


class ConverterSpec(Section):
    """The converter."""

    noise: float = Field(0.0, ge=0)
    """Standard deviation of white noise, in the sensor's unit."""

    resolution: float = Field(0.0, ge=0)
    """Step of the quantiser, in the sensor's unit; 0 for none."""

    low: float = float("-inf")
    """Lower end of the range."""

    high: float = float("inf")
    """Upper end of the range."""

    hysteresis: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Width of the play between the sensing element and what moves with it, in the sensor's unit."""

    hum: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Amplitude of what the mains couple in, in the sensor's unit."""

    hum_hz: float = Field(50.0, gt=0, le=1000)
    """Frequency of the mains [Hz]."""

    frozen: list[SpanSpec] = Field(default_factory=list)
    """Spans in which the number before stays."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be less than high {self.high}")
        return self


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


class DriftSpec(SpanSpec):
    """A drift law: a parameter grows linearly to `factor` times its value; at once if from_s = to_s."""

    parameter: str
    """The parameter, such as `tau_s`."""

    factor: float = Field(gt=0, le=100)
    """Final value over first value."""


class ReferenceSpec(Section):
    """The co-located reference: an ideal instrument with noise, on a channel of its own, on the sensor's grid."""

    converter: ConverterSpec = ConverterSpec()
    transport: TransportSpec = TransportSpec()


class PairingSpec(Section):
    """What the edge declares of sensor and reference; see `dyncal.domain.sensors.Pairing`."""

    u_reference: float = Field(0.0, ge=0)
    """Standard uncertainty of the reference, systematic part, in the sensor's unit."""

    u_reference_gain: float = Field(0.0, ge=0)
    """Standard uncertainty of the reference's gain, relative."""

    u_clock_s: float = Field(0.0, ge=0)
    """Standard uncertainty of the clock offset between the two [s]."""

    max_latency_s: float | None = Field(None, gt=0)
    """Longest latency of the correction [s]."""

    band_hz: float | None = Field(None, gt=0)
    """Band wished of the correction [Hz]."""

    tolerance: dict[str, float] = Field(default_factory=dict)
    """Relative tolerance of parameters, by name."""


class ExpectSpec(Section):
    """What a good system concludes."""

    conclusion: Conclusion = "any"
    """`healthy`: no drift alarm; `drift`: a drift alarm; `reference_lost`: the reference goes away for a while."""

    min_gain: float = Field(5.0, gt=0)
    """Least rms error of raw over corrected indications."""


class StationSpec(Section):
    """One sensor with its reference."""

    id: Name
    """Id of the sensor; the reference is `<id>-ref`."""

    label: str = ""
    """For people."""

    unit: str
    """Unit, UCUM."""

    surface: Literal["opcua", "mqtt"]
    """Where both channels appear."""

    model: ModelKind
    """Kind of dynamics."""

    parameters: dict[str, float]
    """Parameters of the dynamics at the start, by name."""

    rate_hz: float = Field(gt=0, le=100_000)
    """Sampling rate; its period must be a whole number of microseconds, as OPC UA servers write them."""

    block: int = Field(1, ge=1, le=8192)
    """Samples in one publication."""

    measurand: MeasurandSpec
    converter: ConverterSpec = ConverterSpec()
    transport: TransportSpec = TransportSpec()
    drift: list[DriftSpec] = Field(default_factory=list)
    reference: ReferenceSpec = ReferenceSpec()
    pairing: PairingSpec = PairingSpec()
    expect: ExpectSpec = ExpectSpec()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            names = names_of(self.form)
        except InvalidData as error:
            raise ValueError(str(error)) from error
        if set(self.parameters) - {DELAY} != set(names):
            raise ValueError(
                f"parameters of {self.model} are {', '.join(names)} and, if you like, {DELAY}, not"
                f" {', '.join(self.parameters)}"
            )
        for name, value in self.parameters.items():
            if not 0 < value < float("inf"):
                raise ValueError(f"parameters.{name} = {value} must be finite and positive")
        if not is_stable(self.form, self.theta0[None, :]):
            raise ValueError("parameters: the sensor is not stable")
        for law in self.drift:
            if law.parameter not in names:
                raise ValueError(f"drift.parameter = {law.parameter!r}: {self.model} has {', '.join(names)}")
        if abs(self.dt_ns - 1e9 / self.rate_hz) > 1e-6 or self.dt_ns % 1000:
            raise ValueError(f"rate_hz = {self.rate_hz}: the period is no whole number of microseconds")
        if self.measurand.band_hz is not None and 3 * self.measurand.band_hz > self.rate_hz:
            raise ValueError(f"rate_hz = {self.rate_hz} must be at least three times measurand.band_hz")
        return self

    @property
    def form(self) -> Form:
        """The form of the dynamics. Raises `InvalidData` if the parameters make none."""
        return form_of(self.model, self.parameters)

    @property
    def theta0(self) -> FloatArray:
        """Parameters of the form at the start, in its order, shape (p,); dead time is none of them."""
        return np.array([self.parameters[name] for name in names_of(self.form)])

    @property
    def delay_ns(self) -> DurationNs:
        """Dead time [ns]."""
        return duration(self.parameters.get(DELAY, 0.0))

    @property
    def dt_ns(self) -> int:
        """Sampling interval [ns]."""
        return round(1e9 / self.rate_hz)

    @property
    def reference_id(self) -> str:
        """Id of the reference."""
        return f"{self.id}-ref"


class Scenario(Section):
    """A plant."""

    name: Name
    """Name of the scenario."""

    title: str = ""
    """What it is about."""

    seed: int = Field(ge=0)
    """Seed of everything random in it."""

    stations: list[StationSpec] = Field(min_length=1)
    """Sensors with their references."""

    @model_validator(mode="after")
    def _unique(self) -> Self:
        counts = Counter(name for s in self.stations for name in (s.id, s.reference_id))
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            raise ValueError(f"id {', '.join(twice)} is used more than once")
        return self


LIBRARY: Final = resources.files("simulators") / "scenarios"


def load_scenario(source: str | Path) -> Scenario:
    """Return a scenario from a file, or by its name in the library that comes with dyncal.

    Raises
    ------
    InvalidSetting
        With file, key, value and what was expected, one line for each fault.
    """
    path = Path(source)
    inside = LIBRARY / f"{source}.toml"
    if not path.is_file() and inside.is_file():
        path = Path(str(inside))
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(library())
        raise InvalidSetting(f"{path}: cannot read it: {error.strerror}; the library holds {known}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{path}: not TOML: {error}") from error
    try:
        return Scenario.model_validate(content)
    except ValidationError as error:
        raise InvalidSetting(describe(error, path)) from error


def library() -> tuple[str, ...]:
    """Return the names of the scenarios that come with dyncal."""
    return tuple(
        sorted(entry.name.removesuffix(".toml") for entry in LIBRARY.iterdir() if entry.name.endswith(".toml"))
    )
