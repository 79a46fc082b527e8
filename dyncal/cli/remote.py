"""Commands that ask a running service, through `dyncal.client`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from dyncal.domain.errors import DyncalError

if TYPE_CHECKING:
    from dyncal.client import Client

UrlOption = Annotated[str, typer.Option("--url", envvar="DYNCAL_URL", metavar="URL", help="Address of the service.")]
KeyOption = Annotated[
    Path | None,
    typer.Option(envvar="DYNCAL_KEY_FILE", metavar="FILE", help="File with an API key; or give DYNCAL_KEY."),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to; standard output if absent.")
]
ReasonOption = Annotated[str, typer.Option(help="Why, for the audit trail.")]

HERE = "http://127.0.0.1:8080"

inventory_app = typer.Typer(no_args_is_help=True, help="All sensors with their pairings, to a file and back.")


@inventory_app.command("export")
def export(url: UrlOption = HERE, key_file: KeyOption = None, out: OutOption = None) -> None:
    """Write sensors and pairings as CSV."""
    with connected(url, key_file) as client:
        _write(client.inventory_csv(), out)


@inventory_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, as exported.")],
    url: UrlOption = HERE,
    key_file: KeyOption = None,
    reason: ReasonOption = "",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
) -> None:
    """Add or replace sensors and pairings: all rows or none. Exit status 1 if a row is wrong; each is named."""
    from dyncal.client import ApiError

    content = read_content(file)
    with connected(url, key_file) as client:
        try:
            report = client.import_inventory(content, dry_run=dry_run, reason=reason)
        except ApiError as error:
            if error.kind != "rows":
                raise
            for fault in error.problem.get("errors", []):
                sys.stderr.write(f"{file}:{fault['line']}: {fault['where']} {fault['message']}\n")
            stop("nothing was taken over")
    for change in report.changes:
        print(f"{change.id}: sensor {change.sensor}, pairing {change.pairing}")
    print(f"{report.n_changed} of {report.n_rows} rows {'would change' if report.dry_run else 'changed'}")


def calibrate(
    sensor: Annotated[str, typer.Argument(help="Id of the sensor.")],
    start: Annotated[str, typer.Option("--from", help="ISO 8601 with time zone.")],
    end: Annotated[str, typer.Option("--to", help="ISO 8601 with time zone.")],
    url: UrlOption = HERE,
    key_file: KeyOption = None,
    reason: ReasonOption = "",
) -> None:
    """Fit a sensor's model to an interval of the store, beside the running calibration. Exit status 1 if it fails."""
    from dyncal.client import models
    from dyncal.domain.time import parse_iso

    with connected(url, key_file) as client:
        body = models.JobBody(from_ns=parse_iso(start), to_ns=parse_iso(end), reason=reason)
        job = client.calibrate(sensor, body)
        for now in client.follow_job(job.id):
            job = now
            sys.stderr.write(f"{job.stage}\n")
    if job.result is None:
        stop(job.detail or job.state)
    print(f"{job.result.verdict}{f': {job.result.detail}' if job.result.detail else ''}")
    parameters = job.result.parameters
    for name, value, u in zip(parameters.names, parameters.values, parameters.u, strict=True):
        print(f"{name} = {value:.6g}, u = {u:.2g}" if value is not None and u is not None else f"{name} is not known")


def report(
    calibration: Annotated[str, typer.Argument(help="Id of the calibration.")],
    url: UrlOption = HERE,
    key_file: KeyOption = None,
    out: OutOption = None,
) -> None:
    """Write the report of a calibration as a page of HTML that is whole in itself, and prints to PDF."""
    with connected(url, key_file) as client:
        _write(client.report_page(calibration), out)


@contextmanager
def connected(url: str, key_file: Path | None) -> Iterator[Client]:
    """Give a client; end the command with status 1 and a word on what failed."""
    try:
        from dyncal.client import Client
    except ImportError as error:
        stop(f"this command needs the extra 'client': pip install 'dyncal[client]' ({error})")
    key = read_content(key_file).decode().strip() if key_file is not None else os.environ.get("DYNCAL_KEY") or None
    try:
        with Client(url, key) as client:
            yield client
    except DyncalError as error:
        stop(str(error))


def read_content(file: Path) -> bytes:
    """Return the content of a file; end the command with status 1 if it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        stop(f"{file}: {error.strerror}")


def _write(content: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        out.write_bytes(content)
    except OSError as error:
        stop(f"{out}: {error.strerror}")


def stop(message: str) -> NoReturn:
    """End the command with status 1 and a word."""
    sys.stderr.write(message + "\n")
    raise typer.Exit(1)
