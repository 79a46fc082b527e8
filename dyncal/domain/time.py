"""Instants, durations and the time axis of a run of samples.

An instant is a count of nanoseconds since the Unix epoch, UTC, without leap seconds (as InfluxDB counts), and is a
type of its own so that a checker tells it from a duration. No float ever carries an instant: float64 resolves today's
date to about 240 ns only.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final, NewType

import numpy as np
import numpy.typing as npt

from dyncal.domain.errors import InvalidData

InstantNs = NewType("InstantNs", int)
DurationNs = NewType("DurationNs", int)

Int64Array = npt.NDArray[np.int64]

NS_PER_S: Final = 1_000_000_000
# 1970-01-01 to 2262-04-11 is what int64 nanoseconds hold; a margin keeps sums of an instant and a span inside.
EARLIEST: Final = InstantNs(0)
LATEST: Final = InstantNs(9_000_000_000_000_000_000)

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def duration(seconds: float) -> DurationNs:
    """Return the duration nearest to `seconds` [s]."""
    return DurationNs(round(seconds * NS_PER_S))


def seconds(span: DurationNs | int) -> float:
    """Return a duration in seconds."""
    return span / NS_PER_S


def iso(instant: InstantNs) -> str:
    """Return `instant` as ISO 8601 in UTC with nanoseconds, such as ``2026-01-31T12:00:00.000000001Z``."""
    whole, rest = divmod(instant, NS_PER_S)
    moment = _EPOCH + datetime.timedelta(seconds=whole)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def from_datetime(moment: datetime.datetime) -> InstantNs:
    """Return the instant of a datetime, to its microsecond; a naive one is UTC, as OPC UA libraries give it."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
    span = aware - _EPOCH
    return InstantNs((span.days * 86_400 + span.seconds) * NS_PER_S + span.microseconds * 1_000)


def to_datetime(instant: InstantNs | int) -> datetime.datetime:
    """Return an instant as a datetime in UTC, to its microsecond; the inverse of `from_datetime`."""
    return _EPOCH + datetime.timedelta(microseconds=instant // 1000)


def parse_iso(text: str) -> InstantNs:
    """Return the instant of an ISO 8601 text with a time zone, to the nanosecond.

    Raises
    ------
    InvalidData
        If the text is no instant between 1970 and 2255, or has no time zone.
    """
    head, dot, tail = text.strip().partition(".")
    digits = ""
    if dot:
        digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
        head += tail[len(digits) :]
    try:
        moment = datetime.datetime.fromisoformat(head)
    except ValueError as error:
        raise InvalidData(f"{text!r} is not an ISO 8601 instant such as 2026-01-31T12:00:00Z") from error
    if moment.tzinfo is None:
        raise InvalidData(f"{text!r} has no time zone: write Z or an offset such as +01:00")
    if dot and not 1 <= len(digits) <= 9:
        raise InvalidData(f"{text!r} must have 1 to 9 digits after the point")
    instant = InstantNs(from_datetime(moment) + int(digits.ljust(9, "0") or "0"))
    if not EARLIEST <= instant <= LATEST:
        raise InvalidData(f"{text!r} does not lie between 1970 and 2255")
    return instant


@dataclass(frozen=True, slots=True)
class UniformAxis:
    """Instants ``t0_ns + k·dt_ns`` for k = 0 … n-1."""

    t0_ns: InstantNs
    dt_ns: DurationNs
    n: int

    def __post_init__(self) -> None:
        if self.n < 0 or self.dt_ns <= 0:
            raise InvalidData(f"a uniform axis needs n >= 0 and dt_ns > 0, not n={self.n}, dt_ns={self.dt_ns}")
        if not (EARLIEST <= self.t0_ns and self.t0_ns + self.dt_ns * max(self.n - 1, 0) <= LATEST):
            raise InvalidData(f"the axis from {self.t0_ns} with {self.n} steps of {self.dt_ns} ns leaves 1970 to 2255")

    @property
    def t_ns(self) -> Int64Array:
        """The instants, int64, shape (n,)."""
        return self.t0_ns + self.dt_ns * np.arange(self.n, dtype=np.int64)

    @property
    def first_ns(self) -> InstantNs:
        """The first instant; of an axis of none, where it would be."""
        return self.t0_ns

    @property
    def last_ns(self) -> InstantNs:
        """The last instant; of an axis of none, what would be before the first."""
        return InstantNs(self.t0_ns + self.dt_ns * (self.n - 1))

    def __len__(self) -> int:
        return self.n


@dataclass(frozen=True, slots=True, eq=False)
class ExplicitAxis:
    """Instants given one by one, int64, shape (n,), strictly increasing."""

    t_ns: Int64Array

    def __post_init__(self) -> None:
        t = self.t_ns
        if t.ndim != 1 or t.dtype != np.int64:
            raise InvalidData(f"instants must be int64 of one dimension, not {t.dtype} of shape {t.shape}")
        if t.size and not (EARLIEST <= t[0] and t[-1] <= LATEST):
            raise InvalidData("instants must lie between 1970 and 2255")
        if np.count_nonzero(t[1:] <= t[:-1]):
            raise InvalidData("instants must increase strictly")

    @property
    def first_ns(self) -> InstantNs:
        """The first instant. Raises `IndexError` where there is none."""
        return InstantNs(int(self.t_ns[0]))

    @property
    def last_ns(self) -> InstantNs:
        """The last instant. Raises `IndexError` where there is none."""
        return InstantNs(int(self.t_ns[-1]))

    def __len__(self) -> int:
        return int(self.t_ns.size)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExplicitAxis) and bool(np.array_equal(self.t_ns, other.t_ns))

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable


TimeAxis = UniformAxis | ExplicitAxis


def axis_of(t_ns: Int64Array) -> TimeAxis:
    """Return the most compact axis that holds exactly these instants (int64, shape (n,), strictly increasing)."""
    if t_ns.size >= 2:
        first, step = int(t_ns[0]), int(t_ns[1]) - int(t_ns[0])
        if step > 0 and not np.count_nonzero(t_ns[1:] - t_ns[:-1] != step):
            return UniformAxis(InstantNs(first), DurationNs(step), int(t_ns.size))
    return ExplicitAxis(np.ascontiguousarray(t_ns, dtype=np.int64))
