"""Records on the wire: MessagePack, arrays packed little-endian."""

from __future__ import annotations

import functools
from typing import Final

import msgspec
import numpy as np

from dyncal.contracts import codec
from dyncal.contracts.fields import (
    Count,
    EdgeName,
    Instant,
    Interval,
    Name,
    Ordinal,
    SensorName,
    SetId,
    Span,
    StatusCode,
)
from dyncal.domain.errors import InvalidData, MalformedMessage
from dyncal.domain.samples import (
    MAX_BLOCK_SAMPLES,
    CorrectedSpan,
    Gap,
    GapCause,
    GapRecord,
    Record,
    SampleBlock,
)
from dyncal.domain.sensors import edge_id, sensor_id
from dyncal.domain.time import LATEST, DurationNs, ExplicitAxis, InstantNs, Int64Array, TimeAxis, UniformAxis

VERSION: Final = 1

# Few names, and many messages of each.
_sensor: Final = functools.lru_cache(maxsize=8192)(sensor_id)
_edge: Final = functools.lru_cache(maxsize=8192)(edge_id)


class AxisMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Either `t0_ns`, `dt_ns` and `n`, or `t_ns`: int64 little-endian, one for each sample."""

    t0_ns: Instant | None = None
    dt_ns: Interval | None = None
    n: Count | None = None
    t_ns: bytes | None = None


class CorrectedMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A corrected span: `value` and `u` are float64 little-endian."""

    axis: AxisMessage
    value: bytes
    u: bytes
    set: SetId


class BlockMessage(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="block"):
    """A block of samples: `raw` is float64 little-endian, `quality` runs of (OPC UA status code, count)."""

    v: int
    sensor: SensorName
    edge: EdgeName
    epoch: Count
    sequence: Count
    axis: AxisMessage
    raw: bytes
    quality: tuple[tuple[StatusCode, Ordinal], ...]
    arrival_ns: Instant
    u_t_ns: Span = 0
    server_ns: Instant | None = None
    corrected: CorrectedMessage | None = None
    replayed: bool = False

    def __len__(self) -> int:
        return len(self.raw) // 8

    def unpacked(self) -> SampleBlock:
        """Return the block. Raises `MalformedMessage`, `InvalidData` or `OverflowError` if it contradicts itself."""
        span = self.corrected
        return SampleBlock(
            sensor=_sensor(self.sensor),
            edge=_edge(self.edge),
            epoch=self.epoch,
            sequence=self.sequence,
            axis=_axis(self.axis),
            raw=codec.array_from_bytes(self.raw, "<f8", "raw"),
            quality=self.quality,
            arrival_ns=InstantNs(self.arrival_ns),
            u_t_ns=DurationNs(self.u_t_ns),
            server_ns=None if self.server_ns is None else InstantNs(self.server_ns),
            corrected=None
            if span is None
            else CorrectedSpan(
                _axis(span.axis),
                codec.array_from_bytes(span.value, "<f8", "corrected value"),
                codec.array_from_bytes(span.u, "<f8", "corrected u"),
                span.set,
            ),
            replayed=self.replayed,
        )


class GapMessage(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="gap"):
    """A gap that takes the sequence numbers `sequence` to `last_sequence`.

    `refused` is for the edge alone, int64 little-endian: by it, it knows again what it has refused.
    """

    v: int
    sensor: Name
    edge: Name
    epoch: Count
    sequence: Count
    last_sequence: Count
    after_ns: Instant
    before_ns: Instant
    cause: GapCause
    n_lost: Count | None = None
    refused: bytes = b""
    replayed: bool = False


RecordMessage = BlockMessage | GapMessage


def encode(record: Record) -> bytes:
    """Return the MessagePack form of a block or gap."""
    if isinstance(record, GapRecord):
        return codec.pack(
            GapMessage(
                v=VERSION,
                sensor=record.sensor,
                edge=record.edge,
                epoch=record.epoch,
                sequence=record.sequence,
                last_sequence=record.last_sequence,
                after_ns=record.gap.after_ns,
                before_ns=record.gap.before_ns,
                cause=record.gap.cause,
                n_lost=record.gap.n_lost,
                refused=codec.array_to_bytes(np.array(record.refused, np.int64), "<i8"),
                replayed=record.replayed,
            )
        )
    return codec.pack(message_of(record))


def message_of(block: SampleBlock) -> BlockMessage:
    """Return a block as it travels."""
    span = block.corrected
    return BlockMessage(
        v=VERSION,
        sensor=block.sensor,
        edge=block.edge,
        epoch=block.epoch,
        sequence=block.sequence,
        axis=_axis_message(block.axis),
        raw=codec.array_to_bytes(block.raw, "<f8"),
        quality=block.quality,
        arrival_ns=block.arrival_ns,
        u_t_ns=block.u_t_ns,
        server_ns=block.server_ns,
        corrected=None
        if span is None
        else CorrectedMessage(
            _axis_message(span.axis),
            codec.array_to_bytes(span.value, "<f8"),
            codec.array_to_bytes(span.u, "<f8"),
            span.set_id,
        ),
        replayed=block.replayed,
    )


def decode(payload: bytes) -> Record:
    """Return the block or gap of a MessagePack payload.

    Raises
    ------
    MalformedMessage
        If it is unreadable, of another version, or its content contradicts itself.
    """
    message = _message(payload)
    try:
        return _gap(message) if isinstance(message, GapMessage) else message.unpacked()
    except (InvalidData, OverflowError) as error:
        raise MalformedMessage(str(error)) from error


def decode_packed(payload: bytes) -> BlockMessage | GapRecord:
    """Return what `decode` does, but a block as it came, for who puts many together; raises as `decode`."""
    message = _message(payload)
    try:
        if isinstance(message, GapMessage):
            return _gap(message)
        _sensor(message.sensor)
        _edge(message.edge)
        if not _plainly_right(message):
            message.unpacked()  # right nevertheless, or it says what is wrong
    except (InvalidData, OverflowError) as error:
        raise MalformedMessage(str(error)) from error
    return message


def _message(payload: bytes) -> RecordMessage:
    message: RecordMessage = codec.unpack(payload, RecordMessage)  # type: ignore[arg-type]  # a union, tagged
    if message.v != VERSION:
        raise MalformedMessage(f"record of version {message.v}; this program reads {VERSION}")
    return message


def instants(axis: AxisMessage) -> Int64Array:
    """Return the instants of an axis, int64, shape (n,). Raises as `BlockMessage.unpacked`."""
    return _axis(axis).t_ns


def _plainly_right(message: BlockMessage) -> bool:
    """Tell a block with which nothing is wrong, at a glance: without arrays. Not all that are right are so plain."""
    n, runs, span = len(message.raw) // 8, message.quality, message.corrected
    if not (n and _plain(message.axis, message.raw) and len(runs) == 1 and runs[0][1] == n):
        return False
    if span is None:
        return True
    # The sign of a float64 is the highest bit of its last byte.
    return _plain(span.axis, span.value) and len(span.u) == len(span.value) and span.u[7::8].isascii()


def _plain(axis: AxisMessage, packed: bytes) -> bool:
    """Tell whether an axis is uniform, allowed, and as long as the floats."""
    t0, dt, n = axis.t0_ns, axis.dt_ns, axis.n
    if t0 is None or dt is None or n is None or axis.t_ns is not None:
        return False
    return 8 * n == len(packed) and n <= MAX_BLOCK_SAMPLES and t0 + dt * n <= LATEST


def _gap(message: GapMessage) -> GapRecord:
    return GapRecord(
        sensor=_sensor(message.sensor),
        edge=_edge(message.edge),
        epoch=message.epoch,
        sequence=message.sequence,
        last_sequence=message.last_sequence,
        gap=Gap(InstantNs(message.after_ns), InstantNs(message.before_ns), message.cause, message.n_lost),
        replayed=message.replayed,
        refused=tuple(codec.array_from_bytes(message.refused, "<i8", "refused").tolist()),
    )


def _axis_message(axis: TimeAxis) -> AxisMessage:
    if isinstance(axis, UniformAxis):
        return AxisMessage(axis.t0_ns, axis.dt_ns, axis.n)
    return AxisMessage(t_ns=codec.array_to_bytes(axis.t_ns, "<i8"))


def _axis(message: AxisMessage) -> TimeAxis:
    if message.t_ns is not None:
        if message.t0_ns is not None or message.dt_ns is not None or message.n is not None:
            raise MalformedMessage("an axis has either t_ns, or t0_ns with dt_ns and n, not both")
        if len(message.t_ns) > 8 * MAX_BLOCK_SAMPLES:
            raise MalformedMessage(f"an axis of {len(message.t_ns)} bytes is longer than a block may be")
        return ExplicitAxis(codec.array_from_bytes(message.t_ns, "<i8", "t_ns"))
    if message.t0_ns is None or message.dt_ns is None or message.n is None:
        raise MalformedMessage("an axis needs t_ns, or t0_ns with dt_ns and n")
    if message.n > MAX_BLOCK_SAMPLES:
        raise MalformedMessage(f"an axis of {message.n} instants is longer than a block may be ({MAX_BLOCK_SAMPLES})")
    return UniformAxis(InstantNs(message.t0_ns), DurationNs(message.dt_ns), message.n)
