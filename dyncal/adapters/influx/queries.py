"""InfluxQL and its answers, in chunks. Statements are put together of numbers, our own words, and escaped literals."""
# ruff: noqa: S608

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from dyncal.adapters.decimation import concatenated
from dyncal.adapters.influx.http import Answer, BadLines, Http, NoDatabase
from dyncal.adapters.influx.lines import GAPS, SAMPLES
from dyncal.domain.errors import StoreRefused
from dyncal.domain.quality import GOOD
from dyncal.domain.samples import SampleSeries

FIELDS: Final = 'raw, corrected, u, quality, "set"'
INFINITIES: Final = "raw_inf, corrected_inf, u_inf"
CHUNK_ROWS: Final = 50_000
GAP_ROWS: Final = 5000

Row = tuple[int, float | None, float | None, float | None, int | None, str | None]


class _Result(msgspec.Struct):
    statement_id: int = 0
    series: list[msgspec.Raw] | None = None
    error: str | None = None


class _Document(msgspec.Struct):
    results: list[_Result] = []
    error: str | None = None


class _SampleSeries(msgspec.Struct):
    values: list[Row] = []


class _AnySeries(msgspec.Struct):
    columns: list[str] = []
    values: list[list[Any]] = []


_DOCUMENT: Final = msgspec.json.Decoder(_Document)
_ROWS: Final = msgspec.json.Decoder(_SampleSeries)
_ANY: Final = msgspec.json.Decoder(_AnySeries)
_MISSING: Final = ("database not found", "retention policy not found", "default retention policy not set")


def identifier(text: str) -> str:
    """Return an identifier in double quotes, escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(text: str) -> str:
    """Return a string in single quotes, escaped."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def range_of(sensor: str, start: int, end: int) -> str:
    """Return the condition for the rows of a sensor with start <= t < end."""
    return f"sensor = {literal(sensor)} AND time >= {start} AND time < {end}"


class Queries:
    """Asks one database; times are in nanoseconds."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._fields = {"db": http.endpoint.database, "epoch": "ns"}
        if http.endpoint.retention_policy:
            self._fields["rp"] = http.endpoint.retention_policy

    def ask(self, statement: str, *, limit: int = CHUNK_ROWS) -> Iterator[tuple[int, bytes]]:
        """Yield (number of the statement, a piece of a series as JSON); nothing where there is no database.

        Raises as `raise_for`, and `StoreRefused` where the server cannot answer.
        """
        fields = {**self._fields, "q": statement, "chunked": "true", "chunk_size": str(limit)}
        try:
            answer = self._http.demand("GET", "/query", fields)
            for document in _documents(answer):
                for result in document.results:
                    for series in result.series or ():
                        yield result.statement_id, bytes(series)
        except NoDatabase:  # it is made by the first write
            return
        except BadLines as error:
            raise StoreRefused(str(error)) from error

    def samples(self, sensor: str, start: int, end: int) -> SampleSeries:
        """Return the rows of a range."""
        return concatenated(list(self.pages(sensor, start, end)))

    def pages(self, sensor: str, start: int, end: int) -> Iterator[SampleSeries]:
        """Yield the rows of a range, oldest first, at most `CHUNK_ROWS` at once."""
        while start < end:
            page = self._page(sensor, start, end)
            if len(page):
                yield page
            if len(page) < CHUNK_ROWS:
                return
            start = int(page.t_ns[-1]) + 1

    def extent(self, sensor: str, start: int, end: int) -> tuple[int, int] | None:
        """Return the first instant and the last one in a range, or None where there is none."""
        where = range_of(sensor, start, end)
        found = [
            int(_ANY.decode(series).values[0][0])
            for order in ("ASC", "DESC")
            for _, series in self.ask(f"SELECT {FIELDS} FROM {SAMPLES} WHERE {where} ORDER BY time {order} LIMIT 1")
        ]
        return (min(found), max(found)) if found else None

    def _page(self, sensor: str, start: int, end: int) -> SampleSeries:
        where = range_of(sensor, start, end)
        rows: list[Row] = []
        for _, series in self.ask(f"SELECT {FIELDS} FROM {SAMPLES} WHERE {where} ORDER BY time LIMIT {CHUNK_ROWS}"):
            rows += _decoded(series)
        if not rows:
            return series_of(rows)
        where = range_of(sensor, rows[0][0], rows[-1][0] + 1)
        infinite: list[list[Any]] = []
        for _, series in self.ask(f"SELECT {INFINITIES} FROM {SAMPLES} WHERE {where}"):
            infinite += _ANY.decode(series).values
        return _with_infinities(series_of(rows), infinite)

    def oldest(self, sensor: str) -> int | None:
        """Return the oldest instant of a sensor."""
        found = [
            int(_ANY.decode(series).values[0][0])
            for _, series in self.ask(
                f"SELECT {FIELDS} FROM {SAMPLES} WHERE sensor = {literal(sensor)} ORDER BY time ASC LIMIT 1"
            )
        ]
        return min(found, default=None)

    def newest(self, sensor: str, field: str) -> int | None:
        """Return the newest instant at which a sensor has `field`, or its infinite stand-in."""
        found = [
            int(_ANY.decode(series).values[0][0])
            for name in (field, f"{field}_inf")
            for _, series in self.ask(
                f"SELECT {name} FROM {SAMPLES} WHERE sensor = {literal(sensor)} ORDER BY time DESC LIMIT 1"
            )
        ]
        return max(found, default=None)

    def gaps(self, sensor: str, start: int, end: int, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the gaps that touch a range, by column, newest first; with `limit` at least so many of the newest."""
        # A condition on an integer field of this size may be compared as float64: the end of a gap is looked at here.
        found: list[dict[str, Any]] = []
        while limit is None or len(found) < limit:
            page = self._gap_page(sensor, end)
            oldest = page[-1]["time"] if page else 0
            if len(page) < GAP_ROWS:
                return found + [gap for gap in page if gap["before_ns"] >= start]
            # Gaps of one instant and different causes may be cut by the end of a page: they come again with the next.
            found += [gap for gap in page if gap["before_ns"] >= start and gap["time"] > oldest]
            end = oldest + 1
        return found

    def _gap_page(self, sensor: str, end: int) -> list[dict[str, Any]]:
        statement = (
            f"SELECT before_ns, n_lost, cause FROM {GAPS} WHERE sensor = {literal(sensor)} AND time < {end}"
            f" ORDER BY time DESC LIMIT {GAP_ROWS}"
        )
        pieces = [_ANY.decode(series) for _, series in self.ask(statement)]
        return [dict(zip(piece.columns, values, strict=True)) for piece in pieces for values in piece.values]

    def sensors(self) -> list[str]:
        """Return the values of the tag ``sensor`` of the samples."""
        statement = f"SHOW TAG VALUES FROM {SAMPLES} WITH KEY = sensor"
        return sorted(values[1] for _, series in self.ask(statement) for values in _ANY.decode(series).values)


def series_of(rows: list[Row]) -> SampleSeries:
    """Return rows as columns."""
    if not rows:
        rows_t: tuple[Any, ...] = ((),) * 6
    else:
        rows_t = tuple(zip(*rows, strict=True))
    t, raw, corrected, u, codes, sets = rows_t
    names = {name: k for k, name in enumerate(dict.fromkeys(name for name in sets if name is not None))}
    return SampleSeries(
        t_ns=np.array(t, np.int64),
        raw=_floats(raw),
        corrected=_floats(corrected),
        u=_floats(u),
        quality=np.array([GOOD if code is None else code for code in codes], np.uint32),
        set_index=np.array([-1 if name is None else names[name] for name in sets], np.int32),
        set_ids=tuple(names),
    )


def _decoded(piece: bytes) -> list[Row]:
    # InfluxDB prints the negative zero as -0, which msgspec reads as the integer 0; the standard library can be told.
    if b",-0" in piece:
        found = json.loads(piece, parse_int=lambda text: -0.0 if text == "-0" else int(text))
        return [tuple(values) for values in found["values"]]
    return _ROWS.decode(piece).values


def _floats(values: tuple[float | None, ...]) -> npt.NDArray[np.float64]:
    return np.array(values, np.float64)  # None becomes NaN


def _with_infinities(series: SampleSeries, rows: list[list[Any]]) -> SampleSeries:
    if not rows:
        return series
    at = np.searchsorted(series.t_ns, np.array([row[0] for row in rows], np.int64))
    for column, target in ((1, series.raw), (2, series.corrected), (3, series.u)):
        for k, row in zip(at.tolist(), rows, strict=True):
            if row[column] is not None:
                target[k] = np.inf * row[column]
    return series


def _documents(answer: Answer) -> Iterator[_Document]:
    for line in answer.body.splitlines():
        document = _DOCUMENT.decode(line)
        error = document.error or next((r.error for r in document.results if r.error), None)
        if error is not None and error.startswith(_MISSING):
            raise NoDatabase(f"InfluxDB: {error[:300]}")
        if error is not None:
            raise StoreRefused(f"InfluxDB: {error[:300]}")
        yield document
