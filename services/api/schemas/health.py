"""What calibration says of a sensor: drift and its cause, conformity, and what is to come."""

from __future__ import annotations

from typing import Self

from dyncal.domain.health import Attribution, Cause, Conformance, Outlook, ParameterConformity, SensorHealth, Watch
from services.api.schemas.base import InstantNs, Shape, number


class AttributionOut(Shape):
    """What has changed, and the probabilities of each possibility; they add up to 1."""

    cause: Cause
    """The answer; `cannot_tell` and `sensor_or_reference` where none is certain enough (95 %)."""
    sensor: float
    reference: float
    process: float
    nothing: float

    @classmethod
    def of(cls, told: Attribution) -> Self:
        """Return the shape of an attribution."""
        return cls(
            cause=told.cause,
            sensor=told.sensor,
            reference=told.reference,
            process=told.process,
            nothing=told.nothing,
        )


class ParameterConformityOut(Shape):
    """A parameter against its tolerance (JCGM 106); numbers are relative to the first calibration."""

    parameter: str
    change: float | None
    u: float | None
    """Standard uncertainty of `change`."""
    tolerance: float
    p_within: float
    """Probability that the true change lies within the tolerance."""
    verdict: Conformance

    @classmethod
    def of(cls, part: ParameterConformity) -> Self:
        """Return the shape of a parameter's conformity."""
        return cls(
            parameter=part.parameter,
            change=number(part.change),
            u=number(part.u),
            tolerance=part.tolerance,
            p_within=part.p_within,
            verdict=part.verdict,
        )


class OutlookOut(Shape):
    """When a parameter leaves its tolerance: median and 95 % interval. All null: never, on present evidence."""

    parameter: str
    early_ns: InstantNs | None
    likely_ns: InstantNs | None
    late_ns: InstantNs | None
    """Null beside an `early_ns`: it may also never leave it."""
    rate_per_day: float | None
    """Relative change a day."""
    u_rate_per_day: float | None

    @classmethod
    def of(cls, part: Outlook) -> Self:
        """Return the shape of a parameter's outlook."""
        return cls(
            parameter=part.parameter,
            early_ns=part.early_ns,
            likely_ns=part.likely_ns,
            late_ns=part.late_ns,
            rate_per_day=number(part.rate_per_day),
            u_rate_per_day=number(part.u_rate_per_day),
        )


class HealthOut(Shape):
    """What calibration said last of a sensor."""

    at_ns: InstantNs
    holds_until_ns: InstantNs
    """After this instant nothing is known of the sensor, unless calibration says it again."""
    watch: Watch
    since_ns: InstantNs
    """Since when `watch` stands; for a drift, the likeliest instant of the change."""
    informed_ns: InstantNs | None
    """Last instant at which the data said anything of the sensor's dynamics; null: never."""
    reason: str
    parameter: str
    """For a drift, the parameter that changed most clearly."""
    change: float | None
    """By how much, relative."""
    u_change: float | None
    attribution: AttributionOut | None
    conformity: list[ParameterConformityOut]
    outlook: list[OutlookOut]

    @classmethod
    def of(cls, health: SensorHealth) -> Self:
        """Return the shape of what calibration said."""
        told = health.attribution
        return cls(
            at_ns=health.at_ns,
            holds_until_ns=health.holds_until_ns,
            watch=health.watch,
            since_ns=health.since_ns,
            informed_ns=health.informed_ns,
            reason=health.reason,
            parameter=health.parameter,
            change=number(health.change),
            u_change=number(health.u_change),
            attribution=None if told is None else AttributionOut.of(told),
            conformity=[ParameterConformityOut.of(part) for part in health.conformity],
            outlook=[OutlookOut.of(part) for part in health.outlook],
        )
