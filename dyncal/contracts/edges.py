"""What edges say of themselves and what they are told of their records: JSON."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from dyncal.contracts.fields import Count, Instant, Interval, Name, NotNegative, Positive, Span, Text, Watermark

VERSION: Final = 1


class PairingMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """The reference of a sensor, as `dyncal.domain.sensors.Pairing`."""

    reference: Name
    model: Text
    u_reference: NotNegative = 0.0
    u_reference_gain: NotNegative = 0.0
    u_clock_s: NotNegative = 0.0
    band_hz: Positive | None = None
    max_latency_s: Positive | None = None
    tolerance: dict[Text, Positive] = {}
    u_reference_noise: Positive | None = None
    dead_time: bool = False
    n_poles: Count | None = None
    n_zeros: Count = 0


class SensorMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sensor that an edge reads; with `own_clock`, the edge's clock makes its time stamps."""

    id: Name
    unit: Text
    dt_ns: Interval
    label: Text = ""
    pairing: PairingMessage | None = None
    own_clock: bool = False


class ClockMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the clock of an edge stands.

    `state` is ``declared``, ``synchronised``, ``degraded``, ``holdover`` or ``unknown``; whatever is neither of the
    first two asks somebody to look after it. `u_ns` is its standard uncertainty at the time of the message; `offset_ns`
    what `source`, which follows `reference`, saw it ahead of that.
    """

    state: Text
    u_ns: Span
    since_ns: Instant = 0
    source: Text = ""
    reference: Text = ""
    offset_ns: int | None = None

    @property
    def good(self) -> bool:
        """Whether nobody needs to look after it."""
        return self.state in ("declared", "synchronised")


class StatusMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Birth (``online``) or last will (``offline``), retained.

    `u_clock_ns` is the standard uncertainty of the edge's clock; None where it does not know it; `clock` says more of
    it, of edges that do. `released` are the
    watermarks of `epoch` up to which the edge has given its records up, because the store was said to have them: a
    ledger that knows less has been lost or put back, and can never be sent them again.
    """

    v: int
    state: Literal["online", "offline"]
    at_ns: Instant = 0
    version: Text = ""
    epoch: Count = 0
    u_clock_ns: Span | None = None
    sensors: list[SensorMessage] = []
    released: dict[Name, Watermark] = {}
    clock: ClockMessage | None = None


class CommittedMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Watermarks, retained: all records of `epoch` up to and with `upto[sensor]` are in the store.

    `since_ns` is the instant since when ingest has listened, and stored, without a break: what was sent before may
    never have reached it. Where it changes, what had been sent until then and is not committed some seconds after is
    sent again. 0 of an ingest that does not say.
    """

    v: int
    epoch: Count
    at_ns: Instant
    upto: dict[Name, Watermark]
    since_ns: Instant = 0


class EventMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that the people who run the edge may want to know; `kind` is stable and machine-readable."""

    v: int
    at_ns: Instant
    kind: Text
    sensor: Text = ""
    detail: Text = ""
