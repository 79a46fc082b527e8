"""The sample store on InfluxDB 1.x, 2.x and 3.x."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Final, Self, cast

import numpy as np

from dyncal.adapters.decimation import Decimator, concatenated
from dyncal.adapters.influx import aggregated, dialects, lines
from dyncal.adapters.influx.aggregated import Aggregated
from dyncal.adapters.influx.dialects import DIALECTS, Dialect
from dyncal.adapters.influx.http import BadLines, Body, Endpoint, Http, NoDatabase, TooLarge
from dyncal.adapters.influx.lines import Packed
from dyncal.adapters.influx.queries import Queries
from dyncal.contracts.codec import joined_array
from dyncal.domain import aggregates
from dyncal.domain.aggregates import Aggregates
from dyncal.domain.errors import Conflict, PoisonedWrite, StoreRefused, StoreUnavailable
from dyncal.domain.samples import Gap, GapCause, GapRecord, SampleSeries
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.sample_store import Writable, WriteReport
from dyncal.runtime.faults import redacted_url
from dyncal.runtime.settings import StoreSettings

MAX_BODY_BYTES: Final = 8 << 20
MIN_BODY_BYTES: Final = 1 << 10
MAX_RECORDS: Final = 2000
MAX_SAMPLES: Final = 25_000
"""In a request: some 3 MB of lines, which the processor's cache holds while they are made."""


class InfluxSampleStore:
    """A `SampleStore` on InfluxDB. The server is asked for the first time when something is wanted of it.

    Parameters
    ----------
    endpoint : Endpoint
    dialect : {"v1", "v2", "v3"}, optional
        None asks the server.
    """

    def __init__(self, endpoint: Endpoint, dialect: dialects.Name | None = None) -> None:
        self._endpoint = endpoint
        self._http = Http(endpoint)
        self._queries = Queries(self._http)
        self._aggregated = Aggregated(self._http, self._queries)
        self._half_done = False
        self._told = dialect
        self._dialect: Dialect | None = None
        self._version = ""
        self._most_bytes = MAX_BODY_BYTES
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    @classmethod
    def from_settings(cls, settings: StoreSettings) -> Self:
        """Return the store of `settings`. Raises `InvalidSetting` if a secret cannot be read."""
        endpoint = Endpoint(
            url=settings.url,
            database=settings.database,
            org=settings.org,
            username=settings.username,
            password=settings.resolved_password(),
            token=settings.resolved_token(),
            timeout_s=settings.timeout_s,
            retention_policy=settings.retention_policy,
            retention_days=settings.retention_days,
            renew=lambda: (settings.resolved_password(), settings.resolved_token()),
        )
        return cls(endpoint, None if settings.dialect == "auto" else settings.dialect)

    def write(self, records: Sequence[Writable]) -> WriteReport:
        """Write; see the port. What a server accepts of a refused request is written, and found again by halving."""
        if self._half_done:
            self.settle()
        packed = lines.packed(records)
        poisoned: list[int] = []
        said: list[str] = []
        for indices in _requests(packed):
            self._write(indices, packed, poisoned, said)
        if poisoned:
            raise PoisonedWrite(said[0], tuple(sorted(poisoned)))
        return _report_of(packed)

    def read(
        self, sensor: SensorId, start: InstantNs, end: InstantNs, *, max_points: int | None = None
    ) -> SampleSeries:
        """Return a range; see the port."""
        if max_points is None:
            return self._queries.samples(sensor, start, end)
        extent = self._queries.extent(sensor, start, end)
        if extent is None:
            return concatenated(())
        kept = Decimator(*extent, max_points)
        for page in self._queries.pages(sensor, extent[0], extent[1] + 1):  # no row that is written meanwhile
            kept.add(page)
        return kept.result()

    def latest(self, sensor: SensorId) -> SampleSeries:
        """Return the newest row with a raw value and the newest with a corrected one."""
        found = [self._queries.newest(sensor, field) for field in ("raw", "corrected")]
        instants = sorted({t for t in found if t is not None})
        if not instants:
            return concatenated(())
        return concatenated([self._queries.samples(sensor, t, t + 1) for t in instants])

    def gaps(self, sensor: SensorId, start: InstantNs, end: InstantNs, *, limit: int | None = None) -> list[Gap]:
        """Return the gaps that touch a range; see the port."""
        found = [
            Gap(
                InstantNs(gap["time"]),
                InstantNs(gap["before_ns"]),
                GapCause(gap["cause"]),
                None if gap["n_lost"] < 0 else gap["n_lost"],
            )
            for gap in self._queries.gaps(sensor, start, end, limit)
        ]
        found.sort(key=lambda gap: (gap.after_ns, gap.before_ns))
        return found if limit is None else found[-limit:]

    def sensors(self) -> list[SensorId]:
        """Return the sensors that have rows, in order of name."""
        return [SensorId(name) for name in self._queries.sensors()]

    def aggregates(self, sensor: SensorId, start: InstantNs, end: InstantNs, *, limit: int | None = None) -> Aggregates:
        """Return aggregates of all widths; see the port."""
        return aggregates.oldest(self._aggregated.read(sensor, start, end, limit), limit)

    def first(self, sensor: SensorId, width_ns: int) -> InstantNs | None:
        """Return the oldest instant; see the port."""
        if width_ns == aggregates.SAMPLES:
            found = self._queries.oldest(sensor)
        else:
            found = self._aggregated.first(sensor, width_ns)
        return None if found is None else InstantNs(found)

    def held(self) -> list[SensorId]:
        """Return the sensors that have samples or aggregates, in order of name."""
        return [SensorId(name) for name in sorted({*self._queries.sensors(), *self._aggregated.sensors()})]

    def settle(self) -> None:
        """End what was left half done; see the port."""
        for mark in self._aggregated.marks():
            self._aggregated.settle(mark)
        self._half_done = False

    def replace(
        self, sensor: SensorId, width_ns: int, start: InstantNs, end: InstantNs, by: Aggregates, n_rows: int
    ) -> None:
        """Replace under a mark, which a restart finds; see the port and `dyncal.adapters.influx.aggregated`."""
        dialect, there = self._connected(), self._aggregated
        if isinstance(dialect, dialects.V3):
            raise StoreRefused("InfluxDB 3.x cannot remove ranges: let its own retention period do it")
        self.settle()
        n_there = there.count(sensor, width_ns, start, end)
        if n_there != n_rows:
            raise Conflict(f"{sensor}: {n_there} rows from {start} to {end}, not {n_rows}")
        by_ns = int(by.width_ns[0]) if len(by) else 0
        mark = aggregated.begun(sensor, width_ns, start, end, by_ns, there.next_part(sensor, by_ns, start, end))
        self._half_done = True
        there.mark(dialect, mark)
        there.write(dialect, mark, by)
        if not aggregates.same(there.part(mark), by):
            raise StoreRefused(f"aggregates of {sensor} from {start} are not read as they were written")
        mark = aggregated.verified(mark)
        there.mark(dialect, mark)
        there.settle(mark)
        self._half_done = False

    def check(self) -> str:
        """Return a line that names the server and its version; makes the database where it is missing."""
        dialects.probe(self._connected(again=True))
        return f"InfluxDB {self._version} at {redacted_url(self._endpoint.url)}, database {self._endpoint.database}"

    def tidy(self, now: InstantNs) -> bool:
        """Leave it to the server, which has been told (`Endpoint.retention_days`)."""
        del now
        return False

    def close(self) -> None:
        """Let go of connections; idempotent."""
        self._http.close()

    def _write(self, indices: list[int], records: Sequence[Packed], poisoned: list[int], said: list[str]) -> None:
        try:
            self._send(self._encoder().encode([records[k] for k in indices]))
        except BadLines as error:
            if len(indices) == 1:
                poisoned += indices
                said.append(str(error))
                return
            half = len(indices) // 2
            self._write(indices[:half], records, poisoned, said)
            self._write(indices[half:], records, poisoned, said)

    def _encoder(self) -> lines.Encoder:
        if not hasattr(self._of_thread, "encoder"):
            self._of_thread.encoder = lines.Encoder()
        return cast(lines.Encoder, self._of_thread.encoder)

    def _send(self, body: Body) -> None:
        """Send lines in requests that the server takes; how much that is, is remembered."""
        start = 0
        while start < len(body):
            end = self._end(body, start)
            try:
                self._request(body[start:end])
            except TooLarge as error:
                if end - start <= MIN_BODY_BYTES:
                    raise BadLines(str(error)) from error
                self._most_bytes = max(MIN_BODY_BYTES, (end - start) // 2)
            else:
                start = end

    def _end(self, body: Body, start: int) -> int:
        """Return where a request ends that begins here: behind as many whole lines as may go together."""
        if len(body) - start <= self._most_bytes:
            return len(body)
        whole = bytes(body[start : start + self._most_bytes]).rfind(b"\n") + 1
        if not whole:  # the line is longer: it goes alone
            whole = bytes(body[start:]).index(b"\n") + 1
        return start + whole

    def _request(self, body: Body) -> None:
        dialect = self._connected()
        try:
            dialect.write(body)
        except NoDatabase:
            dialect.create()
            try:
                dialect.write(body)
            except NoDatabase as again:
                raise StoreUnavailable(str(again)) from again

    def _connected(self, *, again: bool = False) -> Dialect:
        """Return the server's dialect; the server is asked at first, and `again` where that is wanted."""
        with self._lock:
            if self._dialect is not None and not again:
                return self._dialect
            try:
                found, self._version = dialects.detect(self._http)
            except StoreUnavailable:
                if self._told is None or again:
                    raise
                found = self._told
            if self._dialect is None:
                self._dialect = DIALECTS[self._told or found](self._http, self._endpoint)
            return self._dialect


def _requests(records: Sequence[Packed]) -> Iterator[list[int]]:
    """Yield the positions of the records that go into one request."""
    indices: list[int] = []
    n_samples = 0
    for k, record in enumerate(records):
        n = 1 if isinstance(record, GapRecord) else len(record.raw) // 8
        if indices and (n_samples + n > MAX_SAMPLES or len(indices) == MAX_RECORDS):
            yield indices
            indices, n_samples = [], 0
        indices.append(k)
        n_samples += n
    if indices:
        yield indices


def _report_of(records: Sequence[Packed]) -> WriteReport:
    """Return what is durable when all records are."""
    blocks = [record for record in records if not isinstance(record, GapRecord)]
    values = joined_array([block.corrected.value for block in blocks if block.corrected is not None], "<f8")
    n_corrected = int(np.count_nonzero(~np.isnan(values)))
    return WriteReport(sum([len(block.raw) for block in blocks]) // 8, n_corrected, len(records) - len(blocks))
