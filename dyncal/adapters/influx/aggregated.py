"""Aggregates in InfluxDB, and how they take the place of samples though a server has no transactions.

Measurement ``aggregates``, tags ``sensor``, ``width`` [ns] and ``part``: samples that come when those of their bucket
are gone already make another part of it, and reading joins the parts.
Measurement ``replacements``, tag ``sensor``: a mark, at the beginning of a range, while samples are replaced. A mark
in stage ``writing`` says that its part may be there in part: it is taken back. One in stage ``removing`` says that the
part was read as it was written: the rest of the samples goes.
"""
# ruff: noqa: S608 - statements are of numbers, our own words, and escaped literals (see `queries`)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from dyncal.adapters.influx.dialects import Dialect
from dyncal.adapters.influx.http import Http
from dyncal.adapters.influx.lines import BLOCKS, SAMPLES, string, tag
from dyncal.adapters.influx.queries import Queries, literal, range_of
from dyncal.domain import aggregates
from dyncal.domain.aggregates import COUNTS, VALUES, Aggregates
from dyncal.domain.errors import StoreRefused

AGGREGATES: Final = "aggregates"
MARKS: Final = "replacements"
PAGE_ROWS: Final = 20_000
LINES_AT_ONCE: Final = 5000

_WRITING: Final = "writing"
_REMOVING: Final = "removing"
_FIELDS: Final = (*COUNTS, *VALUES, "quality")
_WHOLE: Final = (*COUNTS, "quality")


class Mark(NamedTuple):
    """What is being replaced: rows of `width_ns` in a range, by part number `part` of aggregates of `by_ns`."""

    sensor: str
    start: int
    end: int
    width_ns: int
    by_ns: int
    part: int
    stage: str


class Aggregated:
    """Aggregates of one database; for one thread at a time where it writes."""

    def __init__(self, http: Http, queries: Queries) -> None:
        self._http = http
        self._queries = queries

    def read(self, sensor: str, start: int, end: int, limit: int | None = None) -> Aggregates:
        """Return aggregates of all widths, the parts of each bucket joined; with `limit` the first pages only."""
        pages: list[Aggregates] = []
        while start < end:
            rows = self._page(range_of(sensor, start, end))
            full = len(rows) == PAGE_ROWS
            last = rows[-1][0] if rows else 0
            pages.append(_decoded([row for row in rows if not full or row[0] < last]))
            if not full or (limit is not None and sum(map(len, pages)) >= limit):
                break
            start = last
        return aggregates.merged(pages) if pages else aggregates.NONE

    def part(self, mark: Mark) -> Aggregates:
        """Return what there is of the part that a mark is about."""
        return aggregates.merged([_decoded(self._page(_of_part(mark), most=10_000_000))])

    def first(self, sensor: str, width_ns: int) -> int | None:
        """Return where the oldest bucket of a width begins."""
        where = f"sensor = {literal(sensor)} AND width = '{width_ns:d}'"
        found = self._rows(f"SELECT n_rows FROM {AGGREGATES} WHERE {where} ORDER BY time ASC LIMIT 1")
        return int(found[0][0]) if found else None

    def sensors(self) -> list[str]:
        """Return the sensors that have aggregates."""
        return [str(row[1]) for row in self._rows(f"SHOW TAG VALUES FROM {AGGREGATES} WITH KEY = sensor")]

    def next_part(self, sensor: str, by_ns: int, start: int, end: int) -> int:
        """Return a number that no part in a range has yet."""
        where = f"{range_of(sensor, start, end)} AND width = '{by_ns:d}'"
        found = self._rows(f"SELECT last(n_rows) FROM {AGGREGATES} WHERE {where} GROUP BY part", tags=("part",))
        return 1 + max((int(row[-1]) for row in found), default=-1)

    def write(self, dialect: Dialect, mark: Mark, by: Aggregates) -> None:
        """Write the part of a mark."""
        head = f"{AGGREGATES},sensor={tag(mark.sensor)},width={mark.by_ns:d},part={mark.part:d} "
        lines = _lines(head, by)
        for k in range(0, len(lines), LINES_AT_ONCE):
            dialect.write("".join(lines[k : k + LINES_AT_ONCE]).encode())

    def mark(self, dialect: Dialect, mark: Mark) -> None:
        """Say, durably, what is being done."""
        fields = f"before_ns={mark.end:d}i,width={mark.width_ns:d}i,by={mark.by_ns:d}i,part={mark.part:d}i"
        line = f"{MARKS},sensor={tag(mark.sensor)} {fields},stage={string(mark.stage)} {mark.start:d}\n"
        dialect.write(line.encode())

    def marks(self) -> list[Mark]:
        """Return what was left half done."""
        rows = self._rows(f'SELECT before_ns, width, "by", part, stage, sensor FROM {MARKS}')
        return [Mark(sensor, t, end, width, by, part, stage) for t, end, width, by, part, stage, sensor in rows]

    def settle(self, mark: Mark) -> None:
        """End what was left half done: back where it was being written, onward where it was being removed."""
        if mark.stage == _REMOVING:
            self._remove(mark)
        else:
            self._delete(AGGREGATES, _of_part(mark))
        self._delete(MARKS, f"sensor = {literal(mark.sensor)} AND time >= {mark.start} AND time <= {mark.start}")

    def _remove(self, mark: Mark) -> None:
        where = range_of(mark.sensor, mark.start, mark.end)
        if mark.width_ns == aggregates.SAMPLES:
            self._delete(SAMPLES, where)
            self._delete(BLOCKS, where)
        else:
            self._delete(AGGREGATES, f"{where} AND width = '{mark.width_ns:d}'")
        if self.count(mark.sensor, mark.width_ns, mark.start, mark.end):
            raise StoreRefused(f"InfluxDB has not removed what it was told to: {mark.sensor} from {mark.start}")

    def count(self, sensor: str, width_ns: int, start: int, end: int) -> int:
        """Return the rows, or the aggregates of a width, in a range."""
        if width_ns == aggregates.SAMPLES:
            return len(self._queries.samples(sensor, start, end))
        return int(np.count_nonzero(self.read(sensor, start, end).width_ns == width_ns))

    def _delete(self, measurement: str, where: str) -> None:
        answer = self._http.demand(
            "POST", "/query", {"db": self._http.endpoint.database, "q": f"DELETE FROM {measurement} WHERE {where}"}
        )
        error = msgspec.json.decode(answer.body, type=dict[str, Any]).get("results", [{}])[0].get("error")
        if error:
            raise StoreRefused(f"InfluxDB: {error[:300]}")

    def _page(self, where: str, most: int = PAGE_ROWS) -> list[list[Any]]:
        columns = ", ".join(_FIELDS)
        return self._rows(
            f'SELECT {columns}, "set", width FROM {AGGREGATES} WHERE {where} ORDER BY time LIMIT {most:d}'
        )

    def _rows(self, statement: str, tags: Sequence[str] = ()) -> list[list[Any]]:
        """Return the rows of all series, each with the values of `tags` behind it."""
        found: list[list[Any]] = []
        for _, piece in self._queries.ask(statement):
            series = msgspec.json.decode(piece, type=dict[str, Any])
            behind = [series.get("tags", {}).get(name) for name in tags]
            found += [[*row, *behind] for row in series.get("values", [])]
        return found


def begun(sensor: str, width_ns: int, start: int, end: int, by_ns: int, part: int) -> Mark:
    """Return the mark of a replacement that is to be written."""
    return Mark(sensor, start, end, width_ns, by_ns, part, _WRITING)


def verified(mark: Mark) -> Mark:
    """Return the mark of a replacement whose part was read as it was written."""
    return mark._replace(stage=_REMOVING)


def _of_part(mark: Mark) -> str:
    return (
        f"{range_of(mark.sensor, mark.start, mark.end)} AND width = '{mark.by_ns:d}' AND part = '{mark.part:d}'"
    )  # fmt: skip


def _lines(head: str, rows: Aggregates) -> list[str]:
    counts = [getattr(rows, name).tolist() for name in _WHOLE]
    values = [getattr(rows, name).tolist() for name in VALUES]
    lines = []
    for k, (t, name) in enumerate(zip(rows.t_ns.tolist(), rows.set_names(), strict=True)):
        fields = [f"{what}={column[k]:d}i" for what, column in zip(_WHOLE, counts, strict=True)]
        fields += [
            f"{what}={column[k]!r}" for what, column in zip(VALUES, values, strict=True) if column[k] == column[k]
        ]
        if name is not None:
            fields.append(f"set={string(name)}")
        lines.append(f"{head}{','.join(fields)} {t:d}\n")
    return lines


def _decoded(rows: list[list[Any]]) -> Aggregates:
    """Return rows of `_page`, in order of time; those of parts are joined."""
    if not rows:
        return aggregates.NONE
    columns = dict(zip(("t_ns", *_FIELDS, "set", "width_ns"), zip(*rows, strict=True), strict=True))
    names = {name: k for k, name in enumerate(dict.fromkeys(name for name in columns["set"] if name is not None))}
    arrays: dict[str, npt.NDArray[Any]] = {
        "t_ns": np.array(columns["t_ns"], np.int64),
        "width_ns": np.array([int(text) for text in columns["width_ns"]], np.int64),
        "quality": np.array(columns["quality"], np.uint32),
        "set_index": np.array([-1 if name is None else names[name] for name in columns["set"]], np.int32),
    }
    arrays |= {name: np.array(columns[name], np.int64) for name in COUNTS}
    arrays |= {name: np.array(columns[name], np.float64) for name in VALUES}  # None becomes NaN
    found = aggregates.of_columns(arrays, tuple(names))
    return aggregates.joined(found)
