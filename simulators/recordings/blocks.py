"""Rows of a recording, and the blocks that they are cut into."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.quality import UInt32Array
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import DurationNs, InstantNs, Int64Array

Int32Array = npt.NDArray[np.int32]

MAX_BLOCK: Final = 65_536
"""Most samples of a block."""

MAX_WAITING: Final = 1_000_000
"""Most rows that `Gatherer` keeps back, whatever the span."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Samples of one channel that stand together.

    Attributes
    ----------
    channel : str
    t_ns : int64, shape (n,), n >= 1, strictly increasing
        Instants, as the device gave them.
    values : float64, shape (n,)
        In the channel's unit; NaN where the device gave none.
    quality : uint32, shape (n,), optional
        OPC UA status codes; None where the recording has none (all good).
    u_t_ns : int
        Standard uncertainty of the instants [ns].
    arrival_ns : int, optional
        When the last of them came, where the recording knows.
    """

    channel: str
    t_ns: Int64Array
    values: FloatArray
    quality: UInt32Array | None = None
    u_t_ns: DurationNs = DurationNs(0)
    arrival_ns: InstantNs | None = None

    def __len__(self) -> int:
        return int(self.t_ns.size)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows are wanted: of these channels (None: all), from one instant to before another."""

    channels: Collection[str] | None = None
    from_ns: InstantNs | None = None
    to_ns: InstantNs | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows as they stand in a file: arrays of shape (n,); `codes` are positions in the list of names."""

    t_ns: Int64Array
    codes: Int32Array
    values: FloatArray
    quality: UInt32Array | None
    u_t_ns: Int64Array | None
    arrival_ns: Int64Array | None

    def __len__(self) -> int:
        return int(self.t_ns.size)

    def take(self, which: slice | npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Rows:
        """Return some of the rows."""
        return Rows(
            self.t_ns[which],
            self.codes[which],
            self.values[which],
            None if self.quality is None else self.quality[which],
            None if self.u_t_ns is None else self.u_t_ns[which],
            None if self.arrival_ns is None else self.arrival_ns[which],
        )


def joined(parts: Sequence[Rows]) -> Rows:
    """Return the rows of all parts, which have the same columns, after one another."""
    if len(parts) == 1:
        return parts[0]
    return Rows(
        np.concatenate([p.t_ns for p in parts]),
        np.concatenate([p.codes for p in parts]),
        np.concatenate([p.values for p in parts]),
        None if parts[0].quality is None else np.concatenate([p.quality for p in parts if p.quality is not None]),
        None if parts[0].u_t_ns is None else np.concatenate([p.u_t_ns for p in parts if p.u_t_ns is not None]),
        None
        if parts[0].arrival_ns is None
        else np.concatenate([p.arrival_ns for p in parts if p.arrival_ns is not None]),
    )


def select(rows: Rows, wanted: Selection, names: Sequence[str]) -> Rows:
    """Return the rows that are wanted."""
    keep = np.ones(len(rows), np.bool_)
    if wanted.channels is not None:
        known = np.array([name in wanted.channels for name in names], np.bool_)
        keep &= known[rows.codes]
    if wanted.from_ns is not None:
        keep &= rows.t_ns >= wanted.from_ns
    if wanted.to_ns is not None:
        keep &= rows.t_ns < wanted.to_ns
    return rows if keep.all() else rows.take(keep)


def cut(batches: Iterable[Rows], names: Sequence[str], *, apart: bool = True) -> Iterator[Block]:
    """Cut rows into blocks: where the channel changes, time does not go on, or the uncertainty of the instants changes.

    With `apart`, also where the instant of arrival changes: what came together stays together, and nothing else does.
    How the rows were divided into batches does not matter.
    """
    rest: Rows | None = None
    for batch in batches:
        rows = batch if rest is None else joined([rest, batch])
        breaks = np.flatnonzero(_breaks(rows, apart=apart)) + 1
        last = int(breaks[-1]) if breaks.size else 0
        yield from _blocks(rows, [0, *breaks.tolist()], names)
        rest = rows.take(slice(last, None))
        while len(rest) >= MAX_BLOCK:
            yield _block(rest, slice(0, MAX_BLOCK), names)
            rest = rest.take(slice(MAX_BLOCK, None))
    if rest is not None and len(rest):
        yield _block(rest, slice(0, len(rest)), names)


def _breaks(rows: Rows, *, apart: bool) -> npt.NDArray[np.bool_]:
    breaks: npt.NDArray[np.bool_] = (np.diff(rows.codes) != 0) | (np.diff(rows.t_ns) <= 0)
    if rows.u_t_ns is not None:
        breaks |= np.diff(rows.u_t_ns) != 0
    if apart and rows.arrival_ns is not None:
        breaks |= np.diff(rows.arrival_ns) != 0
    return breaks


def _blocks(rows: Rows, bounds: Sequence[int], names: Sequence[str]) -> Iterator[Block]:
    for first, end in itertools.pairwise(bounds):
        for begin in range(first, end, MAX_BLOCK):
            yield _block(rows, slice(begin, min(begin + MAX_BLOCK, end)), names)


def _block(rows: Rows, which: slice, names: Sequence[str]) -> Block:
    last = which.stop - 1
    return Block(
        names[rows.codes[which.start]],
        rows.t_ns[which],
        rows.values[which],
        None if rows.quality is None else rows.quality[which],
        DurationNs(0 if rows.u_t_ns is None else int(rows.u_t_ns[which.start])),
        None if rows.arrival_ns is None else InstantNs(int(rows.arrival_ns[last])),
    )


class Gatherer:
    """Brings the rows of each channel together within spans of time, so that rows in turns make blocks worth the name.

    A span begins with the first row that is not in the one before, and holds all rows until one is `span_ns` or more
    later, by arrival where that is known, by the latest instant so far otherwise. Within a span channels stand in the
    order of their first rows, and a channel's rows in theirs.
    """

    def __init__(self, span_ns: DurationNs) -> None:
        self._span_ns = span_ns
        self._waiting: list[Rows] = []
        self._n_waiting = 0
        self._until_ns: int | None = None
        self._latest_ns = -1

    def gather(self, batches: Iterable[Rows]) -> Iterator[Rows]:
        """Yield the rows of one span after the other, brought together."""
        for rows in batches:
            if len(rows):
                yield from self._take(rows)
        yield from self._rest()

    def _take(self, rows: Rows) -> Iterator[Rows]:
        clock = np.maximum.accumulate(rows.t_ns if rows.arrival_ns is None else rows.arrival_ns)
        clock = np.maximum(clock, self._latest_ns)
        self._latest_ns = int(clock[-1])
        begin = 0
        while begin < len(rows):
            if self._until_ns is None:
                self._until_ns = int(clock[begin]) + self._span_ns
            end = int(np.searchsorted(clock, self._until_ns, side="left"))
            end = min(max(end, begin), begin + MAX_WAITING - self._n_waiting)
            if end > begin:
                self._waiting.append(rows.take(slice(begin, end)))
                self._n_waiting += end - begin
            if end < len(rows) or self._n_waiting >= MAX_WAITING:
                yield from self._rest()
            begin = end

    def _rest(self) -> Iterator[Rows]:
        waiting, self._waiting, self._n_waiting, self._until_ns = self._waiting, [], 0, None
        if waiting:
            yield _together(joined(waiting))


def _together(rows: Rows) -> Rows:
    _, firsts, places = np.unique(rows.codes, return_index=True, return_inverse=True)
    return rows.take(np.argsort(firsts[places], kind="stable"))
