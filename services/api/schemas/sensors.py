"""Sensors, their references, and how they stand."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from dyncal.alarms.alarm import Alarm
from dyncal.domain.errors import InvalidData
from dyncal.domain.health import SensorHealth
from dyncal.domain.sensors import MAX_POLES, ModelKind, Pairing, Sensor, SensorId, sensor_id
from services.api.catalogue import ActiveSet
from services.api.frames import Latest
from services.api.schemas.base import InstantNs, Shape, example, number
from services.api.schemas.health import HealthOut
from services.api.state import SensorState, Standing

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"


class PairingBody(Shape):
    """The reference of a sensor, and what is wished of its calibration."""

    model_config = example(
        reference="TT-101-REF",
        model="first_order",
        u_reference=0.05,
        u_clock_s=0.001,
        band_hz=1.5,
        tolerance={"tau_s": 0.05},
    )

    reference: str = Field(pattern=NAME)
    """Id of the sensor that is the reference."""

    model: ModelKind
    """Kind of sensor model that is fitted."""

    u_reference: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Standard uncertainty of the reference's indications, systematic part, in the sensor's unit."""

    u_reference_gain: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Standard uncertainty of the reference's gain, relative."""

    u_clock_s: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Standard uncertainty of the clock offset between sensor and reference [s]."""

    band_hz: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Bandwidth wished of the correction [Hz]; null lets the design choose."""

    max_latency_s: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Longest latency allowed [s]; null lets the design choose."""

    tolerance: dict[str, float] = Field(default_factory=dict, max_length=20)
    """Relative tolerance by name of parameter."""

    u_reference_noise: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Standard deviation of the reference's own white noise, in the sensor's unit; null where it is not known."""

    dead_time: bool = False
    """Whether the sensor has a dead time besides."""

    n_poles: int | None = Field(None, ge=1, le=MAX_POLES)
    """Poles of a rational model."""

    n_zeros: int = Field(0, ge=0, le=MAX_POLES)
    """Zeros of a rational model."""

    @classmethod
    def of(cls, pairing: Pairing) -> Self:
        """Return the shape of a pairing."""
        return cls(
            reference=pairing.reference,
            model=pairing.model,
            u_reference=pairing.u_reference,
            u_reference_gain=pairing.u_reference_gain,
            u_clock_s=pairing.u_clock_s,
            band_hz=pairing.band_hz,
            max_latency_s=pairing.max_latency_s,
            tolerance=pairing.tolerance,
            u_reference_noise=pairing.u_reference_noise,
            dead_time=pairing.dead_time,
            n_poles=pairing.n_poles,
            n_zeros=pairing.n_zeros,
        )

    def to_domain(self, sensor: SensorId) -> Pairing:
        """Return the pairing. Raises `InvalidData`."""
        if any(len(name) > 64 for name in self.tolerance):
            raise InvalidData("names of parameters have at most 64 characters")
        return Pairing(
            sensor,
            sensor_id(self.reference),
            self.model,
            self.u_reference,
            self.u_reference_gain,
            self.u_clock_s,
            self.band_hz,
            self.max_latency_s,
            dict(self.tolerance),
            self.u_reference_noise,
            self.dead_time,
            self.n_poles,
            self.n_zeros,
        )


class LatestOut(Shape):
    """The newest values: the corrected one is older by the latency of the correction."""

    t_ns: InstantNs | None
    """Source instant of `raw`."""
    age_s: float | None
    """Age of `raw` by the server's clock [s]; negative where the source's clock is ahead."""
    raw: float | None
    """Indication, in the sensor's unit."""
    quality: int
    """OPC UA status code of `raw`."""
    corrected_t_ns: InstantNs | None
    """Instant that `corrected` is about."""
    corrected: float | None
    """Estimate of the measurand, in the sensor's unit."""
    u: float | None
    """Standard uncertainty of `corrected` (k = 1), in the sensor's unit."""
    set_id: str | None
    """Coefficient set that made `corrected`."""

    @classmethod
    def of(cls, latest: Latest, now: int) -> Self:
        """Return the shape of the newest values."""
        has_raw, has_corrected = latest.raw_t_ns >= 0, latest.corrected_t_ns >= 0
        return cls(
            t_ns=latest.raw_t_ns if has_raw else None,
            age_s=(now - latest.raw_t_ns) / 1e9 if has_raw else None,
            raw=number(latest.raw),
            quality=latest.quality,
            corrected_t_ns=latest.corrected_t_ns if has_corrected else None,
            corrected=number(latest.corrected),
            u=number(latest.u),
            set_id=latest.set_id or None,
        )


class ActiveSetOut(Shape):
    """The coefficient set that a sensor runs."""

    id: str
    sequence: int
    since_ns: InstantNs
    band_hz: float
    """Upper end of the band in which the correction is valid [Hz]."""
    latency_s: float
    """Declared latency of the correction [s]."""

    @classmethod
    def of(cls, active: ActiveSet) -> Self:
        """Return the shape of an active set."""
        return cls(
            id=active.id,
            sequence=active.sequence,
            since_ns=active.since_ns,
            band_hz=active.band_hz,
            latency_s=active.latency_ns / 1e9,
        )


class SensorOut(Shape):
    """A sensor and how it stands."""

    model_config = example(
        id="TT-101",
        site="plant",
        edge="edge-1",
        unit="Cel",
        dt_ns=100_000_000,
        label="Reactor inlet",
        state="normal",
        state_detail="",
        state_since_ns=None,
        edge_online=True,
        stale_after_s=5.0,
        pairing={"reference": "TT-101-REF", "model": "first_order"},
        reference_of=[],
        latest=None,
        active_set=None,
        alarms=[],
        health=None,
    )

    id: str
    site: str
    edge: str
    unit: str
    """Unit of the indication, as its edge declares it."""
    dt_ns: int
    """Nominal sampling interval [ns]."""
    label: str
    state: SensorState
    """How it stands, after NAMUR NE 107."""
    state_detail: str
    """Why, for people."""
    state_since_ns: InstantNs | None
    """Since when, where that is known; for `cannot_tell` the last instant at which anything could be told."""
    edge_online: bool | None
    """Whether its edge is online; null where the edge has not said anything since this service started."""
    stale_after_s: float
    """Age at which its values no longer count as live [s]."""
    pairing: PairingBody | None
    reference_of: list[str]
    """Sensors whose reference this one is."""
    latest: LatestOut | None
    active_set: ActiveSetOut | None
    alarms: list[str]
    """Ids of its alarms that are active."""
    health: HealthOut | None
    """What calibration said last of it; null where it said nothing, or is not asked to."""

    @classmethod
    def of(
        cls,
        sensor: Sensor,
        standing: Standing,
        *,
        edge_online: bool | None,
        stale_after_ns: int,
        pairing: Pairing | None,
        reference_of: tuple[SensorId, ...],
        latest: Latest | None,
        active: ActiveSet | None,
        alarms: list[Alarm],
        now: int,
        health: SensorHealth | None,
    ) -> Self:
        """Return the shape of a sensor."""
        return cls(
            id=sensor.id,
            site=sensor.site,
            edge=sensor.edge,
            unit=sensor.unit,
            dt_ns=sensor.dt_ns,
            label=sensor.label,
            state=standing.state,
            state_detail=standing.detail,
            state_since_ns=standing.since_ns,
            edge_online=edge_online,
            stale_after_s=stale_after_ns / 1e9,
            pairing=None if pairing is None else PairingBody.of(pairing),
            reference_of=list(reference_of),
            latest=None if latest is None else LatestOut.of(latest, now),
            active_set=None if active is None else ActiveSetOut.of(active),
            alarms=[alarm.id for alarm in alarms],
            health=None if health is None else HealthOut.of(health),
        )


class SensorPage(Shape):
    """A page of sensors."""

    now_ns: InstantNs
    """The server's clock."""
    n_total: int
    """Sensors that match, on all pages."""
    items: list[SensorOut]
    next_cursor: str | None
    """Where the list goes on; null at its end."""
