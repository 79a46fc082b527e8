"""What the members of a family are: TOML in the tree, checked."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from dyncal.domain.errors import InvalidSetting
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import DurationNs, Int64Array, duration
from dyncal.runtime.faults import describe
from dyncal.runtime.settings import Name, Section
from simulators.physics import dynamics
from simulators.physics.dynamics import Form
from simulators.scenarios.measurand_settings import MeasurandSpec

VERSIONS: Final = (1,)
FOLDER: Final = resources.files("simulators") / "datasets"
DELAY: Final = "delay_s"

Part = Literal["open", "blind"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SensorSpec(Section):
    """A sensor whose parameters are drawn anew for each trial."""

    model: ModelKind
    """Kind of dynamics."""

    parameters: dict[str, Positive]
    """Middle of what is drawn, by name; `delay_s` is a dead time."""

    spread: float = Field(0.2, ge=0, le=3)
    """Parameters are drawn between value / (1 + spread) and value · (1 + spread), evenly in their logarithms; the gain
    with a tenth of it."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        names = set(dynamics.names_of(self.form))
        if set(self.parameters) - {DELAY} != names:
            raise ValueError(f"parameters of {self.model} are {', '.join(sorted(names))} and, if you like, {DELAY}")
        return self

    @property
    def form(self) -> Form:
        """The form of the dynamics."""
        return dynamics.form_of(self.model, self.parameters)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, the dead time last."""
        return (*dynamics.names_of(self.form), *((DELAY,) if DELAY in self.parameters else ()))

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """Return parameters in the order of `names`, to six digits."""
        middle = np.array([self.parameters[name] for name in self.names])
        width = np.array([0.1 if name == "gain" else 1.0 for name in self.names]) * np.log1p(self.spread)
        return six_digits(middle * np.exp(width * rng.uniform(-1.0, 1.0, middle.size)))


class FaultSpec(Section):
    """What is wrong with a record, without a word of it in the metadata."""

    kind: Literal[
        "frozen", "sensor_saturated", "reference_saturated", "clock_offset", "zeros", "hum", "hysteresis", "swapped",
        "spikes", "break",
    ]  # fmt: skip

    size: float = Field(gt=0)
    """How much: of the record's length (frozen, zeros, spikes), of the measurand's scatter (saturated: where the range
    ends; hum, hysteresis), in sampling intervals (clock offset), as a factor (break: of the second parameter)."""


class MemberSpec(Section):
    """What all members have."""

    name: Name
    """Name of the member; folders and results go by it."""

    title: str
    """What it is, in a line."""

    trials: int = Field(ge=1, le=1000)
    """Independent trials."""

    sensor: SensorSpec
    unit: str = "Cel"
    """Unit of measurand and indication, UCUM."""


class SampledSpec(MemberSpec):
    """Of members with a record of samples."""

    rate_hz: Annotated[float, Field(gt=0, le=1e6)]
    """Sampling rate."""

    n: int = Field(ge=64, le=100_000)
    """Samples of a trial."""

    measurand: MeasurandSpec
    run_in_s: float = Field(0.0, ge=0)
    """What has gone by of the measurand's shapes when the record begins [s]."""

    off_grid: bool = False
    """Whether shapes begin between two samples, at a drawn instant."""

    noise_db: tuple[float, float]
    """Indications' scatter over their noise [dB]: least and most that is drawn."""

    @property
    def dt_ns(self) -> DurationNs:
        """Sampling interval."""
        return duration(1 / self.rate_hz)

    @property
    def between(self) -> str:
        """What the measurand does between samples, as one who excites a sensor knows it."""
        kinds = {shape.kind for shape in self.measurand.shapes}
        held = bool(kinds & {"steps", "prbs"}) and self.measurand.rms is None and not self.off_grid
        return "held" if held else "continuous"


class IdentificationSpec(SampledSpec):
    """Sensor and reference; asked for are the sensor's parameters."""

    task: Literal["identification"]

    reference_noise: float = Field(0.0, ge=0)
    """Standard deviation of the reference's white noise over the measurand's scatter; its standard uncertainty is
    stated in the metadata."""

    jitter: float = Field(0.0, ge=0, lt=0.5)
    """Instants lie off an even grid by up to so many intervals; of noise only."""

    fault: FaultSpec | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.jitter and self.measurand.shapes:
            raise ValueError("irregular instants are for noise only")
        if self.jitter and self.reference_noise:
            raise ValueError("the bound is not known of irregular instants with a noisy reference")
        return self


class LaboratorySpec(MemberSpec):
    """Points of a frequency response from a laboratory; asked for are the sensor's parameters."""

    task: Literal["frequency_response"]

    n_points: int = Field(ge=3, le=500)
    """Frequencies, in equal ratios."""

    from_hz: Positive
    to_hz: Positive
    u_relative: tuple[Positive, Positive]
    """Relative standard uncertainty of real and imaginary part at the lowest and the highest frequency."""

    u_common: float = Field(0.0, ge=0)
    """Relative standard uncertainty of a factor that all points share."""


class CorrectionSpec(SampledSpec):
    """A known sensor; asked for is the measurand."""

    task: Literal["correction"]

    u_relative: float = Field(0.01, ge=0, le=0.2)
    """Relative standard uncertainty of the stated parameters; of the gain a tenth of it."""

    band_hz: Positive
    """Bandwidth of the measurand as it is stated [Hz]."""


class ChangeSpec(Section):
    """Something that changes between two instants that are drawn."""

    what: Literal["nothing", "sensor", "reference_gain", "process_level", "process_size"]

    parameter: str = ""
    """Of the sensor."""

    factor: float = Field(1.0, gt=0)
    """Last value over first; of `process_level`, how many times the measurand's scatter its mean moves by."""

    lasts_s: float = Field(0.0, ge=0)
    """How long it takes; 0 is a step."""


class DriftSpec(SampledSpec):
    """A sensor that is followed; asked for is when it has changed."""

    task: Literal["drift"]

    reference_noise: float = Field(0.0, ge=0)
    """As of `IdentificationSpec`."""

    changes: list[ChangeSpec] = Field(min_length=1)
    """What may happen; each trial draws one."""

    from_s: tuple[float, float] = (0.0, 0.0)
    """Where the change begins: first and last instant that is drawn."""

    arl0_s: Positive
    """Mean time between false alarms that is asked for [s]."""


Member = Annotated[IdentificationSpec | LaboratorySpec | CorrectionSpec | DriftSpec, Field(discriminator="task")]


class Family(Section):
    """A version of the data sets."""

    version: int
    title: str
    licence: str
    """SPDX identifier of the data's licence."""

    citation: str
    """How to cite it."""

    seed: str
    """What the open part's random numbers come from."""

    members: dict[Part, list[Member]]

    def of(self, part: Part) -> dict[str, Member]:
        """Return the members of a part, by name."""
        return {member.name: member for member in self.members[part]}


def load_family(version: int = 1) -> Family:
    """Return a version of the family. Raises `InvalidSetting` for one that there is not."""
    if version not in VERSIONS:
        raise InvalidSetting(f"--version cannot be {version}: there is {', '.join(map(str, VERSIONS))}")
    folder = FOLDER / f"v{version}"
    content = tomllib.loads((folder / "family.toml").read_text(encoding="utf-8"))
    members: dict[str, list[object]] = {"open": [], "blind": []}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not entry.name.endswith(".toml") or entry.name == "family.toml":
            continue
        part = "blind" if entry.name == "blind.toml" else "open"
        members[part] += tomllib.loads(entry.read_text(encoding="utf-8"))["members"]
    try:
        return TypeAdapter(Family).validate_python({**content, "version": version, "members": members})
    except ValidationError as error:
        raise InvalidSetting(describe(error, None)) from error


def six_digits(values: FloatArray) -> FloatArray:
    """Return values rounded to six significant digits: what a truth is stated with."""
    return np.array([float(f"{value:.6g}") for value in np.atleast_1d(values)])


def instants(n: int, dt_ns: int, t0_ns: int) -> Int64Array:
    """Return n instants of an even grid."""
    return t0_ns + dt_ns * np.arange(n, dtype=np.int64)
