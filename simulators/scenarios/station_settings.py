"""What a scenario says of a station: a sensor, its reference, and what both are exposed to."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import DurationNs
from dyncal.runtime.settings import Name, Section
from simulators.physics.dynamics import Form
from simulators.physics.sensor import Dynamics
from simulators.scenarios import instrument_settings as instruments
from simulators.scenarios.converter_settings import ConverterSpec
from simulators.scenarios.drift_settings import DriftSpec
from simulators.scenarios.expectations import ExpectSpec
from simulators.scenarios.measurand_settings import MeasurandSpec
from simulators.scenarios.transport_settings import TransportSpec

_Range = tuple[Annotated[float, Field(allow_inf_nan=False)], Annotated[float, Field(allow_inf_nan=False)]]


class ReferenceSpec(Section):
    """The co-located reference, on a channel of its own, on the sensor's grid: ideal, or with dynamics and drift."""

    model: ModelKind | None = None
    """Kind of dynamics; without it it is ideal but for its converter."""

    parameters: dict[str, float] = Field(default_factory=dict)
    """Parameters of its dynamics at the start, by name."""

    indications: _Range | None = None
    """For a static model: the range over which its polynomial holds."""

    drift: list[DriftSpec] = Field(default_factory=list)
    """How its parameters change."""

    converter: ConverterSpec = ConverterSpec()
    transport: TransportSpec = TransportSpec()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.model is not None:
            instruments.check(self.model, self.parameters, self.drift, self.indications)
        elif self.parameters or self.drift:
            raise ValueError("parameters and drift of a reference need its model")
        return self

    @property
    def dynamics(self) -> Dynamics | None:
        """The instrument; None for an ideal one."""
        if self.model is None:
            return None
        return instruments.dynamics(self.model, self.parameters, self.drift, self.indications)


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

    indications: _Range | None = None
    """For a static model: the range over which its polynomial holds."""

    declared_model: ModelKind | None = None
    """What the edge declares, where that is another kind than the sensor is."""

    rate_hz: float = Field(gt=0, le=100_000)
    """Sampling rate; its period must be a whole number of microseconds, as OPC UA servers write them."""

    block: int = Field(1, ge=1, le=8192)
    """Samples in one publication."""

    measurand: MeasurandSpec
    """What sensor and reference are exposed to."""

    beside: Name | None = None
    """Id of a station at the same place: it has its measurand, which is then not given again."""

    referenced_by: Name | None = None
    """Channel that is the reference, where it has none of its own: a sensor or reference of a station beside it."""

    converter: ConverterSpec = ConverterSpec()
    transport: TransportSpec = TransportSpec()
    drift: list[DriftSpec] = Field(default_factory=list)
    """How its parameters change."""

    reference: ReferenceSpec = ReferenceSpec()
    pairing: PairingSpec = PairingSpec()
    expect: ExpectSpec = ExpectSpec()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        instruments.check(self.model, self.parameters, self.drift, self.indications)
        if abs(self.dt_ns - 1e9 / self.rate_hz) > 1e-6 or self.dt_ns % 1000:
            raise ValueError(f"rate_hz = {self.rate_hz}: the period is no whole number of microseconds")
        if self.measurand.band_hz is not None and 3 * self.measurand.band_hz > self.rate_hz:
            raise ValueError(f"rate_hz = {self.rate_hz} must be at least three times measurand.band_hz")
        if self.referenced_by is not None and self.reference != ReferenceSpec():
            raise ValueError("a station has a reference of its own, or is referenced_by another channel, not both")
        if self.beside == self.id or self.referenced_by == self.id:
            raise ValueError("a station is not beside itself")
        return self

    @property
    def form(self) -> Form:
        """The form of the dynamics."""
        return instruments.form(self.model, self.parameters, self.indications)

    @property
    def theta0(self) -> FloatArray:
        """Parameters of the form at the start, in its order, shape (p,); dead time is none of them."""
        return instruments.theta0(self.form, self.parameters)

    @property
    def dynamics(self) -> Dynamics:
        """The sensor."""
        return instruments.dynamics(self.model, self.parameters, self.drift, self.indications)

    @property
    def delay_ns(self) -> DurationNs:
        """Dead time [ns]."""
        return instruments.delay_ns(self.parameters)

    @property
    def dt_ns(self) -> int:
        """Sampling interval [ns]."""
        return round(1e9 / self.rate_hz)

    @property
    def declared(self) -> ModelKind:
        """Kind of model that the edge declares."""
        return self.declared_model or self.model

    @property
    def reference_id(self) -> str:
        """Id of the reference."""
        return self.referenced_by or f"{self.id}-ref"
