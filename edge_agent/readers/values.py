"""OPC UA data values to samples. Pure; cheap, for it is called for every notification."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from dyncal.domain import quality
from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs, InstantNs, Int64Array

BAD_TYPE_MISMATCH: Final = 0x8074_0000
BAD_WAITING_FOR_INITIAL_DATA: Final = 0x8032_0000
UNCERTAIN_INITIAL_VALUE: Final = 0x4092_0000
MAX_ARRAY: Final = 1_000_000
_EPOCH_UTC: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_EPOCH_NAIVE: Final = _EPOCH_UTC.replace(tzinfo=None)
_LIMIT: Final = 1 << 62  # with room for the span of an array
_NO_VALUE_YET: Final = (BAD_WAITING_FOR_INITIAL_DATA, UNCERTAIN_INITIAL_VALUE)
_WITHOUT_INFO: Final = 0xFFFF_0000  # of a status code: what it says without its info bits
_MICROSECOND: Final = datetime.timedelta(microseconds=1)


def instant_of(moment: datetime.datetime) -> InstantNs:
    """Return the instant of a datetime as asyncua gives it (naive ones are UTC), to its microsecond.

    OPC UA reaches from 1601 to 9999; what int64 nanoseconds do not hold comes out as their limit, to be refused later.
    """
    epoch = _EPOCH_NAIVE if moment.tzinfo is None else _EPOCH_UTC
    return InstantNs(max(-_LIMIT, min((moment - epoch) // _MICROSECOND * 1000, _LIMIT)))


class Part(NamedTuple):
    """Samples of one sensor in the order in which they came: int64, float64, uint32, each of shape (n,)."""

    sensor: SensorId
    t_ns: Int64Array
    raw: FloatArray
    codes: UInt32Array
    server_ns: InstantNs | None = None

    def cut(self, chosen: slice) -> Part:
        """Return a run of them."""
        return Part(self.sensor, self.t_ns[chosen], self.raw[chosen], self.codes[chosen], self.server_ns)


@dataclass(frozen=True, slots=True)
class Item:
    """A node as it is read.

    Attributes
    ----------
    longest_ns : int
        Longest interval between two samples with none missing.
    array : bool
        Whether a value is an array of samples.
    node_id : asyncua.ua.NodeId
    queue : int
        Values that the server was asked to queue.
    """

    sensor: SensorId
    dt_ns: DurationNs
    longest_ns: DurationNs
    array: bool
    node_id: Any
    queue: int = 1


@dataclass(slots=True)
class Gathered:
    """Samples of one node out of one notification message, in the order in which they came.

    Attributes
    ----------
    faults : list of str
        What was no number.
    """

    item: Item
    t: list[Int64Array | int] = field(default_factory=list)
    raw: list[FloatArray | float] = field(default_factory=list)
    codes: list[UInt32Array | int] = field(default_factory=list)
    server_ns: InstantNs | None = None
    faults: list[str] = field(default_factory=list)

    def add(self, data_value: Any, arrival_ns: InstantNs) -> None:
        """Add an ``asyncua.ua.DataValue``.

        What a server sends before it has a first value (OPC 10000-4, 7.39.2) is no sample: made one at its arrival, it
        would stand in the way of those that were taken before; made one at the start of the server, which node-opcua
        gives as its time, it would have the sensor silent ever since.
        """
        source, server = data_value.SourceTimestamp, data_value.ServerTimestamp
        if server is not None:
            self.server_ns = instant_of(server)
        moment = source or server
        t_ns = arrival_ns if moment is None else instant_of(moment)
        status = data_value.StatusCode
        code = quality.GOOD if status is None else int(status.value) & 0xFFFF_FFFF
        value = None if data_value.Value is None else data_value.Value.Value
        if value is None and code & _WITHOUT_INFO in _NO_VALUE_YET:
            return
        if isinstance(value, (list, tuple)):
            self._add_array(value, t_ns, code)
        else:
            self._add_number(value, t_ns, code)

    def _add_number(self, value: Any, t_ns: InstantNs, code: int) -> None:
        raw, code = self._number(value, code)
        self.t.append(t_ns)
        self.raw.append(raw)
        self.codes.append(code)

    def _number(self, value: Any, code: int) -> tuple[float, int]:
        if isinstance(value, (float, int)):
            try:
                return float(value), code
            except OverflowError:
                return float("inf"), code
        if value is not None or not code & quality.BAD:
            self.faults.append(f"{type(value).__name__} is no number")
            code = code if code & quality.BAD else BAD_TYPE_MISMATCH
        return float("nan"), code

    def _add_array(self, values: list[Any] | tuple[Any, ...], t_ns: InstantNs, code: int) -> None:
        if not self.item.array:
            self.faults.append(f"array of {len(values)} where a number was expected; set array = true")
            return self._add_number(None, t_ns, code | BAD_TYPE_MISMATCH)
        if not values:
            self.faults.append("array of no values")
            return None
        try:
            raw = _numbers(values)
        except (TypeError, ValueError, OverflowError) as error:
            self.faults.append(f"array of {len(values)} is not one of numbers: {error}")
            return self._add_number(None, t_ns, code | BAD_TYPE_MISMATCH)
        codes = np.full(raw.size, code, np.uint32)
        if quality.has_overflow(code):  # the queue dropped what was before this array, not between its elements
            codes[1:] = code & ~quality.OVERFLOW_BITS
        self.t.append(t_ns - self.item.dt_ns * np.arange(raw.size - 1, -1, -1, dtype=np.int64))
        self.raw.append(raw)
        self.codes.append(codes)
        return None

    def part(self) -> Part:
        """Return everything gathered."""
        if self.item.array:
            t_ns = np.concatenate([np.atleast_1d(np.asarray(part, np.int64)) for part in self.t])
            raw = np.concatenate([np.atleast_1d(np.asarray(part, np.float64)) for part in self.raw])
            codes = np.concatenate([np.atleast_1d(np.asarray(part, np.uint32)) for part in self.codes])
        else:
            t_ns, raw, codes = (
                np.array(self.t, np.int64),
                np.array(self.raw, np.float64),
                np.array(self.codes, np.uint32),
            )
        return Part(self.item.sensor, t_ns, raw, codes, self.server_ns)


def _numbers(values: list[Any] | tuple[Any, ...]) -> FloatArray:
    """Return the elements of an array. Raises `TypeError`, `ValueError` or `OverflowError` if they are no samples."""
    if len(values) > MAX_ARRAY:
        raise ValueError(f"more than {MAX_ARRAY}")
    raw = np.array(values, np.float64)
    if raw.ndim != 1:
        raise ValueError(f"{raw.ndim} dimensions")
    return raw
