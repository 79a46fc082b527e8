"""`dyncal certificate`: digital calibration certificates (DCC), exported, imported and checked."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from dyncal.domain.errors import DyncalError, InvalidSetting

certificate_app = typer.Typer(
    no_args_is_help=True, help="Export a calibration as a digital certificate (DCC), read and check certificates."
)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Certificate in XML.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="DYNCAL_CONFIG", metavar="FILE", help="TOML file with the settings."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@certificate_app.command("export")
def export(
    calibration: Annotated[str, typer.Argument(help="Id of an accepted calibration in the registry.")],
    about: Annotated[
        Path,
        typer.Option("--about", metavar="FILE", help="TOML file: laboratory, persons, customer, and more."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to; standard output if absent.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write the certificate of a calibration. Exit status 1 if it gets none, 2 if a file is not as it must be."""
    with _reported("services"):
        from dyncal.cli.certificate_export import export_calibration

        document = export_calibration(calibration, about, config)
    if out is None:
        sys.stdout.buffer.write(document)
        return
    try:
        out.write_bytes(document)
    except OSError as error:
        _stop(f"{out}: {error.strerror}", 1)


@certificate_app.command("import")
def import_(
    file: FileArgument,
    quantity: Annotated[
        str, typer.Option(help="A quantity by name or refType, with --unit, instead of the response.")
    ] = "",
    model: Annotated[str, typer.Option(help="Kind of model: its parameters instead of the response.")] = "",
    label: Annotated[
        list[str] | None, typer.Option(metavar="LABEL=NAME", help="What the certificate calls a parameter; in order.")
    ] = None,
    unit: Annotated[str, typer.Option(help="Unit of the quantity, the magnitude or the gain: UCUM or D-SI.")] = "",
    table: Annotated[str, typer.Option(help="The list that is meant, by name or refType.")] = "",
    frequency: Annotated[str, typer.Option(help="The frequencies that are meant, by name or refType.")] = "",
    magnitude: Annotated[str, typer.Option(help="The magnitudes that are meant, by name or refType.")] = "",
    phase: Annotated[str, typer.Option(help="The phases that are meant, by name or refType.")] = "",
    *,
    lag_positive: Annotated[bool, typer.Option("--lag-positive", help="This laboratory calls a lag positive.")] = False,
) -> None:
    """Print as JSON what a certificate states: a frequency response, parameters of a model, or one quantity."""
    with _reported("lib"):
        from dyncal.certificates.reader import read_certificate
        from dyncal.certificates.responses import Selection
        from dyncal.cli.certificate_import import parameters_json, quantity_json, response_json

        certificate = read_certificate(_bytes(file))
        if quantity:
            stated = quantity_json(certificate, quantity, unit or "1")
        elif model:
            stated = parameters_json(certificate, model, label or [], unit or None, table)
        else:
            wanted = Selection(table, frequency, magnitude, phase)
            stated = response_json(certificate, unit or None, wanted, lag_positive=lag_positive)
    print(json.dumps(stated, indent=2))


@certificate_app.command("check")
def check(
    file: FileArgument,
    trust: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Authorities that may have signed it; else unverified."),
    ] = None,
    schemas: Annotated[
        Path | None,
        typer.Option(
            envvar="DYNCAL_DCC_SCHEMA_DIR", metavar="DIR", help="Folder of PTB's schema files, for DCC 3.3.0."
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Say what a certificate holds and whether it can be trusted. Exit status 1 if it is not readable or valid."""
    with _reported("lib" if trust is None else "signatures"):
        from dyncal.cli.certificate_import import examine

        findings = examine(_bytes(file), trust, schemas)
    print(json.dumps(findings, indent=2) if as_json else "\n".join(f"{key}: {said}" for key, said in findings.items()))
    raise typer.Exit(1 if findings.get("schema", "valid").startswith("not valid") else 0)


@contextlib.contextmanager
def _reported(extra: str) -> Iterator[None]:
    """End the command with a word on what failed: status 2 for a file that the user wrote, 1 for all else."""
    try:
        yield
    except ImportError as error:
        _stop(f"this command needs the extra {extra!r}: pip install 'dyncal[{extra}]' ({error})", 1)
    except DyncalError as error:
        _stop(str(error), 2 if isinstance(error, InvalidSetting) else 1)


def _bytes(file: Path) -> bytes:
    from dyncal.certificates.parsing import MAX_BYTES

    try:
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)  # one more than is read, so that too large is noticed
    except OSError as error:
        _stop(f"{file}: {error.strerror}", 2)


def _stop(message: str, status: int) -> NoReturn:
    sys.stderr.write(message + "\n")
    raise typer.Exit(status)
