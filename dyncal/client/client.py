"""The client: one method for each thing that programs do with the service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
import msgspec

from dyncal.client import models as m
from dyncal.client.holds import HoldMethods
from dyncal.client.releases import ReleaseMethods
from dyncal.client.stream import Event, follow
from dyncal.client.tagged import Tagged, tagged
from dyncal.client.transport import RETRIES, Transport, decoded, part

if TYPE_CHECKING:
    import pyarrow as pa

ARROW: Final = "application/vnd.apache.arrow.stream"


class Client(ReleaseMethods, HoldMethods):
    """A client of one dyncal service; safe to use from several threads.

    Every method raises `ApiError` (with the problem as the service said it) where it is refused, and `ApiUnavailable`
    where nobody answers after all retries. Commands go under an idempotency key of their own, so that they are done
    once however often they are sent; give `key` to have that hold over restarts of your program too.

    Parameters
    ----------
    url : str
        Such as ``http://127.0.0.1:8080``.
    key : str, optional
        API key.
    timeout_s : float
        Longest silence of an answer [s].

    Examples
    --------
    >>> with Client("http://127.0.0.1:8080") as plant:  # doctest: +SKIP
    ...     for sensor in plant.sensors(state=["out_of_specification"]):
    ...         print(sensor.id, sensor.state_detail)
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = 30.0,
        retries: int = RETRIES,
        http: httpx.Client | None = None,
    ) -> None:
        self.transport = Transport(url, key, timeout_s=timeout_s, retries=retries, http=http)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; idempotent."""
        self.transport.close()

    # Sensors and their pairings ------------------------------------------------------------------------------------

    def sensors(
        self, *, q: str | None = None, edge: str | None = None, state: list[str] | None = None
    ) -> Iterator[m.SensorOut]:
        """Yield sensors in order of id: those whose id or label has the words `q`, of an edge, in given states."""
        return self.transport.pages("/v1/sensors", m.SensorPage, q=q, edge=edge, state=state, limit=500)

    def sensor(self, sensor: str) -> m.SensorOut:
        """Return a sensor and how it stands."""
        return self.transport.get(f"/v1/sensors/{part(sensor)}", m.SensorOut)

    def pairing(self, sensor: str) -> Tagged[m.PairingBody]:
        """Return the pairing of a sensor."""
        return tagged(self.transport.send("GET", f"/v1/sensors/{part(sensor)}/pairing"), m.PairingBody)

    def put_pairing(
        self, sensor: str, pairing: m.PairingBody, *, etag: str | None = None, reason: str = ""
    ) -> Tagged[m.PairingBody]:
        """Add or replace a pairing; with `etag` only if it is as seen, otherwise `ApiConflict`."""
        headers = {"Content-Type": "application/json", **({} if etag is None else {"If-Match": etag})}
        answer = self.transport.send(
            "PUT",
            f"/v1/sensors/{part(sensor)}/pairing",
            query={"reason": reason},
            headers=headers,
            content=msgspec.json.encode(pairing),
            again=etag is None,  # with a tag, the second of two would find the first's
        )
        return tagged(answer, m.PairingBody)

    def inventory(self) -> m.InventoryBody:
        """Return all sensors with their pairings."""
        return self.transport.get("/v1/inventory", m.InventoryBody, format="json")

    def inventory_csv(self) -> bytes:
        """Return all sensors with their pairings, as CSV."""
        return self.transport.send("GET", "/v1/inventory", query={"format": "csv"}).content

    def import_inventory(
        self, content: m.InventoryBody | bytes, *, dry_run: bool = False, reason: str = ""
    ) -> m.InventoryReport:
        """Add or replace sensors and pairings, all or none: shapes, or the bytes of a CSV file."""
        media, body = "text/csv", content
        if not isinstance(content, bytes):
            media, body = "application/json", msgspec.json.encode(content)
        assert isinstance(body, bytes)  # noqa: S101 - one of two kinds
        query = {"dry_run": dry_run, "reason": reason}
        headers = {"Content-Type": media}
        # The same file again changes nothing.
        answer = self.transport.send("POST", "/v1/inventory", query=query, headers=headers, content=body, again=True)
        return decoded(answer, m.InventoryReport)

    # Samples ---------------------------------------------------------------------------------------------------------

    def samples(
        self,
        sensor: str,
        start: str | int | None = None,
        end: str | int | None = None,
        *,
        max_points: int | None = None,
    ) -> m.SamplesOut:
        """Return samples of an interval as columns; more than `max_points` are decimated, extremes kept.

        Instants are ISO 8601 with time zone, or nanoseconds since 1970; by default the last ten minutes.
        """
        query = {"from": start, "to": end, "max_points": max_points, "format": "json"}
        return decoded(self.transport.send("GET", f"/v1/sensors/{part(sensor)}/samples", query=query), m.SamplesOut)

    def samples_table(self, sensor: str, start: str | int | None = None, end: str | int | None = None) -> pa.Table:
        """Return every sample of an interval as an Arrow table, read while it comes; needs pyarrow."""
        import pyarrow as pa  # noqa: PLC0415 - an extra

        query = {"from": start, "to": end, "format": "arrow"}
        with self.transport.open(f"/v1/sensors/{part(sensor)}/samples", query=query) as answer:
            content = pa.BufferReader(b"".join(answer.iter_bytes()))
        return pa.ipc.open_stream(content).read_all()

    def gaps(self, sensor: str, start: str | int | None = None, end: str | int | None = None) -> Iterator[m.GapOut]:
        """Yield the gaps of an interval, newest page first."""
        return self.transport.pages(f"/v1/sensors/{part(sensor)}/gaps", m.GapList, **{"from": start, "to": end})

    # Calibrations ----------------------------------------------------------------------------------------------------

    def calibrations(self, sensor: str | None = None) -> Iterator[m.CalibrationOut]:
        """Yield calibrations, newest first."""
        return self.transport.pages("/v1/calibrations", m.CalibrationPage, sensor=sensor, limit=200)

    def calibration(self, calibration: str) -> m.CalibrationOut:
        """Return one calibration."""
        return self.transport.get(f"/v1/calibrations/{part(calibration)}", m.CalibrationOut)

    def report(self, calibration: str) -> m.ReportOut:
        """Return the report of a calibration."""
        return self.transport.get(f"/v1/calibrations/{part(calibration)}/report", m.ReportOut, format="json")

    def report_page(self, calibration: str) -> bytes:
        """Return the report of a calibration as a page of HTML that is whole in itself."""
        return self.transport.send(
            "GET", f"/v1/calibrations/{part(calibration)}/report", query={"format": "html"}
        ).content

    def calibrate(self, sensor: str, job: m.JobBody, *, key: str | None = None) -> m.JobOut:
        """Fit a sensor's model to an interval of the store; return the job, which has only begun."""
        return self.transport.command("POST", f"/v1/sensors/{part(sensor)}/calibrations", m.JobOut, job, key)

    def job(self, job: str) -> m.JobOut:
        """Return a job as it stands."""
        return self.transport.get(f"/v1/jobs/{part(job)}", m.JobOut)

    def follow_job(self, job: str) -> Iterator[m.JobOut]:
        """Yield a job each time that it changes, until it has ended."""
        for event in follow(self.transport, f"/v1/jobs/{part(job)}/events", retries=10):
            yield msgspec.convert(event.data, m.JobOut)

    def cancel_job(self, job: str) -> m.JobOut:
        """Cancel a job; one that has ended stays as it is."""
        return decoded(self.transport.send("DELETE", f"/v1/jobs/{part(job)}"), m.JobOut)

    def laboratory_calibrations(self, sensor: str | None = None) -> Iterator[m.LaboratoryOut]:
        """Yield laboratories' calibrations, those measured last first."""
        return self.transport.pages("/v1/laboratory-calibrations", m.LaboratoryPage, sensor=sensor)

    def add_laboratory_calibration(
        self, content: Mapping[str, Any] | bytes, sensor: str | None = None, *, dry_run: bool = False, reason: str = ""
    ) -> m.LaboratoryOut:
        """Add a laboratory's calibration: the fields of `LaboratoryBody`, or the bytes of a DCC about `sensor`."""
        xml = isinstance(content, bytes)
        body = content if isinstance(content, bytes) else msgspec.json.encode(content)
        headers = {"Content-Type": "application/xml" if xml else "application/json"}
        query = {"sensor": sensor, "dry_run": dry_run, "reason": reason}
        # The same file again is the same calibration.
        path = "/v1/laboratory-calibrations"
        answer = self.transport.send("POST", path, query=query, headers=headers, content=body, again=True)
        return decoded(answer, m.LaboratoryOut)

    def coefficient_sets(self, sensor: str | None = None, *, state: str | None = None) -> Iterator[m.SetOut]:
        """Yield coefficient sets, newest first within a sensor."""
        return self.transport.pages("/v1/coefficient-sets", m.SetPage, sensor=sensor, state=state)

    # Edges, alarms, audit, live --------------------------------------------------------------------------------------

    def edges(self) -> list[m.EdgeOut]:
        """Return the edges as they last spoke."""
        return self.transport.get("/v1/edges", m.EdgeList).items

    def edge_coefficients(self, edge: str, etag: str | None = None, *, wait_s: int = 0) -> Tagged[bytes] | None:
        """Return the coefficient document of an edge; None if it is still the one of `etag`, after `wait_s` [s]."""
        headers = {"If-None-Match": etag} if etag else {}
        if wait_s:
            headers["Prefer"] = f"wait={wait_s}"
        path = f"/v1/edges/{part(edge)}/coefficients"
        answer = self.transport.send("GET", path, headers=headers, timeout_s=30.0 + wait_s)
        return None if answer.status_code == 304 else Tagged(answer.content, answer.headers["etag"])

    def alarms(self, *, standing: bool = True, sensor: str | None = None) -> Iterator[m.AlarmOut]:
        """Yield alarms, last changed first; with `standing` only those that are not normal."""
        return self.transport.pages("/v1/alarms", m.AlarmPage, standing=standing, sensor=sensor)

    def alarm_history(self, *, sensor: str | None = None) -> Iterator[m.AlarmChangeOut]:
        """Yield changes of alarms, newest first."""
        return self.transport.pages("/v1/alarms/history", m.AlarmHistoryPage, sensor=sensor)

    def command_alarm(self, alarm: str, command: m.CommandBody, *, key: str | None = None) -> m.CommandResult:
        """Give a command for an alarm; `ApiConflict` where it is refused."""
        return self.transport.command("POST", f"/v1/alarms/{part(alarm)}/commands", m.CommandResult, command, key)

    def audit(self) -> Iterator[m.AuditOut]:
        """Yield the audit trail, oldest first."""
        return self.transport.pages("/v1/audit", m.AuditPage)

    def stream(
        self, *, events: list[str] | None = None, sensors: list[str] | None = None, last_id: str = ""
    ) -> Iterator[Event]:
        """Yield what happens, and go on after interruptions; never ends by itself.

        An event ``reset`` says that something is missing: load anew what you show.
        """
        wanted, about = _commas(events), _commas(sensors)
        while True:
            for event in follow(self.transport, "/v1/stream", last_id=last_id, events=wanted, sensors=about):
                last_id = event.id or last_id
                yield event
            self.transport.pause(1.0)  # the service has ended the stream: it is stopping


def _commas(names: list[str] | None) -> str | None:
    return None if names is None else ",".join(names)
