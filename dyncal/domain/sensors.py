"""Sensors, their references and what is wished of their calibration."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import Final, NewType

from dyncal.domain.errors import InvalidData
from dyncal.domain.time import DurationNs

SensorId = NewType("SensorId", str)
EdgeId = NewType("EdgeId", str)
SiteId = NewType("SiteId", str)

# A name is a topic level, a tag in the store and a path segment: what all three take without escaping.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def check_name(kind: str, text: str) -> str:
    """Return `text` if it may name a site, an edge or a sensor; otherwise raise `InvalidData`."""
    if not _NAME.fullmatch(text):
        raise InvalidData(
            f"{kind} name {text[:140]!r} must be 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit"
        )
    return text


def sensor_id(text: str) -> SensorId:
    """Return `text` as a sensor's id, checked."""
    return SensorId(check_name("sensor", text))


def edge_id(text: str) -> EdgeId:
    """Return `text` as an edge's id, checked."""
    return EdgeId(check_name("edge", text))


def site_id(text: str) -> SiteId:
    """Return `text` as a site's id, checked."""
    return SiteId(check_name("site", text))


class ModelKind(enum.StrEnum):
    """The kinds of sensor model (docs/metrology.md)."""

    FIRST_ORDER = "first_order"
    SECOND_ORDER = "second_order"
    LEAD_LAG = "lead_lag"
    RATIONAL = "rational"
    STATIC = "static"


MAX_POLES: Final = 6
"""Most poles of a rational model."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One measuring channel as its edge declares it.

    Attributes
    ----------
    unit : str
        Unit of the indication, UCUM or D-SI spelling, as it came.
    dt_ns : int
        Nominal sampling interval [ns].
    label : str
        For people.
    """

    id: SensorId
    site: SiteId
    edge: EdgeId
    unit: str
    dt_ns: DurationNs
    label: str = ""

    def __post_init__(self) -> None:
        if self.dt_ns <= 0:
            raise InvalidData(f"sensor {self.id}: dt_ns must be positive, not {self.dt_ns}")


DEFAULT_TOLERANCE: Final = 0.05
"""Relative tolerance of a parameter that a pairing says nothing of."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Which reference calibrates which sensor, and what is wished of the result.

    Attributes
    ----------
    model : ModelKind
    u_reference : float
        Standard uncertainty of the reference's indications from its certificate, systematic part, in the sensor's unit.
    u_reference_gain : float
        Standard uncertainty of the reference's gain from its certificate, relative, systematic.
    u_clock_s : float
        Standard uncertainty of the clock offset between sensor and reference [s].
    band_hz : float, optional
        Bandwidth wished of the correction [Hz]; None lets the design choose from the measurand's spectrum.
    max_latency_s : float, optional
        Longest latency allowed [s]; None lets the design choose.
    tolerance : mapping of parameter name to relative tolerance
        For the statement of conformity and the drift alarm; a parameter without entry has 5 %.
    u_reference_noise : float, optional
        Standard deviation of the reference's own white noise, in the sensor's unit; None where nobody knows it. Stated,
        and small, it spares the full Kalman likelihood.
    dead_time : bool
        Whether the sensor has a dead time besides, to be identified as ``delay_s``.
    n_poles, n_zeros : int
        Of a rational model, which they go with: 1 to 6 poles, and no more zeros.
    """

    sensor: SensorId
    reference: SensorId
    model: ModelKind
    u_reference: float = 0.0
    u_reference_gain: float = 0.0
    u_clock_s: float = 0.0
    band_hz: float | None = None
    max_latency_s: float | None = None
    tolerance: dict[str, float] = field(default_factory=dict)
    u_reference_noise: float | None = None
    dead_time: bool = False
    n_poles: int | None = None
    n_zeros: int = 0

    def __post_init__(self) -> None:
        if self.sensor == self.reference:
            raise InvalidData(f"sensor {self.sensor} cannot be its own reference")
        for name in ("u_reference", "u_reference_gain", "u_clock_s"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InvalidData(f"pairing of {self.sensor}: {name} must be finite and not negative")
        for name in ("band_hz", "max_latency_s", "u_reference_noise"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InvalidData(f"pairing of {self.sensor}: {name} must be finite and positive")
        for parameter, share in self.tolerance.items():
            if not 0 < share < float("inf"):
                raise InvalidData(f"pairing of {self.sensor}: the tolerance of {parameter} must be finite and positive")
        self._check_model()

    def _check_model(self) -> None:
        if self.model is ModelKind.STATIC:
            raise InvalidData(
                f"pairing of {self.sensor}: a static sensor has no dynamics that its reference could show while it "
                "works; calibrate it from points"
            )
        if self.model is ModelKind.RATIONAL:
            if self.n_poles is None or not 0 <= self.n_zeros <= self.n_poles or not 1 <= self.n_poles <= MAX_POLES:
                raise InvalidData(
                    f"pairing of {self.sensor}: a rational model needs n_poles, 1 to {MAX_POLES}, and n_zeros, no more "
                    f"than these, not {self.n_poles} and {self.n_zeros}"
                )
        elif self.n_poles is not None or self.n_zeros:
            raise InvalidData(f"pairing of {self.sensor}: n_poles and n_zeros go with a rational model only")
