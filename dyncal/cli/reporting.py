"""What commands share: options, and how they end when something fails."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from dyncal.domain.errors import DyncalError, InvalidSetting

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="DYNCAL_CONFIG", metavar="FILE", help="TOML file with the settings."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextlib.contextmanager
def reported(extra: str, status: int = 1) -> Iterator[None]:
    """End the command with a word on what failed: status 2 for what the user wrote, `status` for all else."""
    try:
        yield
    except ImportError as error:
        stop(f"this command needs the extra {extra!r}: pip install 'dyncal[{extra}]' ({error})", 1)
    except DyncalError as error:
        stop(str(error), 2 if isinstance(error, InvalidSetting) else status)
    except OSError as error:
        stop(f"{error.filename}: {error.strerror}" if error.filename else str(error), status)


def stop(message: str, status: int = 1) -> NoReturn:
    """End the command with a message on standard error."""
    sys.stderr.write(message + "\n")
    raise typer.Exit(status)
