"""The sample store on InfluxDB 1.x and 2.x."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final, Self

import numpy as np

from dyncal.adapters.decimation import Decimator, concatenated
from dyncal.adapters.influx import lines
from dyncal.adapters.influx.http import (
    BadLines,
    Dialect,
    Endpoint,
    Http,
    NoDatabase,
    Writer,
    WriterV1,
    WriterV2,
    detect,
)
from dyncal.adapters.influx.queries import Queries
from dyncal.domain.errors import PoisonedWrite, StoreUnavailable
from dyncal.domain.samples import Gap, GapCause, GapRecord, Record, SampleBlock, SampleSeries
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.sample_store import WriteReport
from dyncal.runtime.settings import StoreSettings

MAX_BODY_BYTES: Final = 8 << 20
MAX_RECORDS: Final = 2000


class InfluxSampleStore:
    """A `SampleStore` on InfluxDB. The server is asked for the first time when something is wanted of it.

    Parameters
    ----------
    endpoint : Endpoint
    dialect : {"v1", "v2"}, optional
        None asks the server.
    """

    def __init__(self, endpoint: Endpoint, dialect: Dialect | None = None) -> None:
        self._endpoint = endpoint
        self._http = Http(endpoint)
        self._queries = Queries(self._http, endpoint.database)
        self._dialect: Dialect | None = dialect
        self._version = ""
        self._writer: Writer | None = None
        self._lock = threading.Lock()

    @classmethod
    def from_settings(cls, settings: StoreSettings) -> Self:
        """Return the store of `settings`. Raises `InvalidSetting` if a secret cannot be read."""
        password = settings.password
        endpoint = Endpoint(
            url=settings.url,
            database=settings.database,
            org=settings.org,
            username=settings.username,
            password=None if password is None else password.get_secret_value(),
            token=settings.resolved_token(),
            timeout_s=settings.timeout_s,
        )
        return cls(endpoint, None if settings.dialect == "auto" else settings.dialect)

    def write(self, records: Sequence[Record]) -> WriteReport:
        """Write; see the port. What a server accepts of a refused request is written, and found again by halving."""
        poisoned: list[int] = []
        said: list[str] = []
        for first in range(0, len(records), MAX_RECORDS):
            self._write(list(range(first, min(first + MAX_RECORDS, len(records)))), records, poisoned, said)
        if poisoned:
            raise PoisonedWrite(said[0], tuple(sorted(poisoned)))
        return report_of(records)

    def read(
        self, sensor: SensorId, start: InstantNs, end: InstantNs, *, max_points: int | None = None
    ) -> SampleSeries:
        """Return a range; see the port."""
        self._connected()
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
        self._connected()
        found = [self._queries.newest(sensor, field) for field in ("raw", "corrected")]
        instants = sorted({t for t in found if t is not None})
        if not instants:
            return concatenated(())
        return concatenated([self._queries.samples(sensor, t, t + 1) for t in instants])

    def gaps(self, sensor: SensorId, start: InstantNs, end: InstantNs, *, limit: int | None = None) -> list[Gap]:
        """Return the gaps that touch a range; see the port."""
        self._connected()
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
        self._connected()
        return [SensorId(name) for name in self._queries.sensors()]

    def check(self) -> str:
        """Return a line that names the server and its version; makes the database where it is missing."""
        self._connected(again=True)
        return f"InfluxDB {self._version} at {self._endpoint.url}, database {self._endpoint.database}"

    def close(self) -> None:
        """Let go of connections; idempotent."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self._http.close()

    def _write(self, indices: list[int], records: Sequence[Record], poisoned: list[int], said: list[str]) -> None:
        body = lines.encode([records[k] for k in indices])
        if not body:
            return
        if len(body) <= MAX_BODY_BYTES or len(indices) == 1:
            try:
                self._send(body)
            except BadLines as error:
                if len(indices) == 1:
                    poisoned += indices
                    said.append(str(error))
                    return
            else:
                return
        half = len(indices) // 2
        self._write(indices[:half], records, poisoned, said)
        self._write(indices[half:], records, poisoned, said)

    def _send(self, body: bytes) -> None:
        writer = self._connected()
        try:
            writer.write(body)
        except NoDatabase as error:
            if self._dialect != "v1":
                raise StoreUnavailable(f"{error}; create the bucket {self._endpoint.database!r}") from error
            self._queries.create_database()
            try:
                writer.write(body)
            except NoDatabase as again:
                raise StoreUnavailable(str(again)) from again

    def _connected(self, *, again: bool = False) -> Writer:
        """Return the writer of the server's dialect, which is asked at first, and `again` where that is wanted."""
        with self._lock:
            if self._writer is not None and not again:
                return self._writer
            try:
                found, self._version = detect(self._http)
            except StoreUnavailable:
                if self._dialect is None or again:
                    raise
                found = self._dialect
            dialect = self._dialect or found
            if self._writer is None:
                self._dialect = dialect
                v1 = dialect == "v1"
                self._writer = WriterV1(self._http, self._endpoint.database) if v1 else WriterV2(self._endpoint)
                again = True
            if dialect == "v1" and again:
                self._queries.create_database()
            return self._writer


def report_of(records: Sequence[Record]) -> WriteReport:
    """Return what is durable when all records are."""
    blocks = [record for record in records if isinstance(record, SampleBlock)]
    spans = [block.corrected for block in blocks if block.corrected is not None]
    n_corrected = sum(int(np.count_nonzero(~np.isnan(span.value))) for span in spans)
    n_gaps = sum(isinstance(record, GapRecord) for record in records)
    return WriteReport(sum(len(block) for block in blocks), n_corrected, n_gaps)
