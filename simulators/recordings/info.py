"""What must be known of a recording beside its rows: channels, pairings, where it comes from."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from dyncal.certificates.ucum import parse_unit
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import MAX_POLES, ModelKind, Pairing, SensorId
from dyncal.domain.time import DurationNs
from dyncal.runtime.settings import Name, Section

VERSION: Final = 1
"""Of the format; a reader refuses those that it does not know."""

Order = Literal["time", "arrival"]
"""`time`: the instants of a channel increase from row to row. `arrival`: rows stand as they came, late ones late."""

_Share = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Uncertainty = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ChannelInfo(Section):
    """One channel."""

    unit: str = ""
    """Unit of the values, UCUM."""

    si_unit: str | None = None
    """The same as D-SI writes it, such as ``\\degreecelsius``; for readers of other software."""

    rate_hz: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Nominal sampling rate [Hz]; None where it has none, or nobody knows it."""

    role: Literal["sensor", "reference", "channel"] = "channel"
    """What it is to the pairings."""

    label: str = ""
    """For people."""

    @property
    def dt_ns(self) -> DurationNs | None:
        """Nominal sampling interval [ns]."""
        return None if self.rate_hz is None else DurationNs(round(1e9 / self.rate_hz))


class PairingInfo(Section):
    """Which channel calibrates which; see `dyncal.domain.sensors.Pairing`, whose fields these are."""

    sensor: Name
    reference: Name
    model: ModelKind
    u_reference: _Uncertainty = 0.0
    u_reference_gain: _Uncertainty = 0.0
    u_clock_s: _Uncertainty = 0.0
    band_hz: _Share | None = None
    max_latency_s: _Share | None = None
    tolerance: dict[str, _Share] = Field(default_factory=dict)
    u_reference_noise: _Share | None = None
    dead_time: bool = False
    n_poles: int | None = Field(None, ge=1, le=MAX_POLES)
    n_zeros: int = Field(0, ge=0, le=MAX_POLES)

    def pairing(self) -> Pairing:
        """Return it as the programs know it. Raises `InvalidData`."""
        fields = self.model_dump()
        return Pairing(SensorId(fields.pop("sensor")), SensorId(fields.pop("reference")), fields.pop("model"), **fields)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        try:
            self.pairing()
        except InvalidData as error:
            raise ValueError(str(error)) from error
        return self


class SourceInfo(Section):
    """Where a recording comes from."""

    kind: str = ""
    """`scenario`, `store`, or what you like."""

    name: str = ""
    """Of the scenario, the site and so on."""

    title: str = ""
    """For people."""

    seed: int | None = None
    """Of a scenario."""

    t0_ns: int | None = None
    """Instant of a scenario's first sample [ns since 1970]."""

    made_by: str = ""
    """Software and its version."""

    licence: str = ""
    """SPDX identifier, or words."""

    citation: str = ""
    """How to cite it."""


class RecordingInfo(Section):
    """All that is known of a recording beside its rows."""

    version: Literal[1] = VERSION
    """Of the format."""

    order: Order = "time"
    """How the rows stand."""

    channels: dict[Name, ChannelInfo] = Field(default_factory=dict)
    """By name. If there are any, rows of others are refused; if there are none, rows name the channels."""

    pairings: list[PairingInfo] = Field(default_factory=list)
    """Which channel calibrates which."""

    source: SourceInfo = SourceInfo()
    """Where it comes from."""

    n_rows: int | None = Field(None, ge=0)
    """Number of rows, where it was known: fewer or more are refused."""

    @model_validator(mode="after")
    def _pairs_exist(self) -> Self:
        paired: set[str] = set()
        for pairing in self.pairings:
            if pairing.sensor in paired:
                raise ValueError(f"{pairing.sensor} is paired twice: a sensor is calibrated against one reference")
            paired.add(pairing.sensor)
            for name in (pairing.sensor, pairing.reference):
                if name not in self.channels:
                    raise ValueError(f"the pairing of {pairing.sensor} needs a channel {name}, which is not there")
        return self


def si_unit(unit: str) -> str | None:
    """Return a UCUM unit as D-SI writes it; None where it cannot be said."""
    try:
        return str(parse_unit(unit))
    except InvalidData:
        return None
