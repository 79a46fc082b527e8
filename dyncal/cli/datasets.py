"""`dyncal datasets`: make the reference data sets, list them, verify them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from dyncal.cli.reporting import reported, stop

datasets_app = typer.Typer(
    no_args_is_help=True, help="Reference data sets with known truth for dynamic calibration (docs/datasets.md)."
)
_EXTRA = "services"

VersionOption = Annotated[int, typer.Option(min=1, help="Version of the family; what it holds never changes.")]
PartOption = Annotated[str, typer.Option(metavar="open|blind", help="The open part, or the one with sealed truth.")]


@datasets_app.command("list")
def list_members(version: VersionOption = 1, part: PartOption = "open") -> None:
    """List the members of a part: name, task, trials, title."""
    with reported(_EXTRA):
        from simulators.datasets.definitions import load_family

        for member in load_family(version).of(_part(part)).values():
            print(f"{member.name:30s} {member.task:18s} {member.trials:4d}  {member.title}")


@datasets_app.command()
def make(
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where they go; members that lie there are made anew.")],
    version: VersionOption = 1,
    part: PartOption = "open",
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this member; may be repeated.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Only the first trials of each, for a quick look.")] = None,
    secret: Annotated[Path | None, typer.Option(metavar="FILE", help="Of the blind part: the maintainer's.")] = None,
    truth_to: Annotated[Path | None, typer.Option(metavar="DIR", help="Of the blind part: for the truth.")] = None,
) -> None:
    """Make data sets: the same numbers on every machine."""
    with reported(_EXTRA):
        from simulators.datasets.making import Request, read_secret
        from simulators.datasets.making import make as make_members

        known = None if secret is None else read_secret(secret)
        request = Request(version, _part(part), to, tuple(only or ()), trials, known, truth_to)
        names = make_members(request, lambda name: print(name, file=sys.stderr, flush=True))
        print(f"{len(names)} members in {to}; verify them with: dyncal datasets verify {to}")


@datasets_app.command()
def verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Data sets as they were made.")],
    truth: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A revealed truth of the blind part, against what was sealed.")
    ] = None,
) -> None:
    """Verify files, numbers and, with --truth, a revealed truth. Exit status 1 if anything is not as it was made."""
    with reported(_EXTRA):
        from simulators.datasets.making import verify as faults_of

        faults = list(faults_of(directory, truth))
        for fault in faults:
            print(fault)
        if faults:
            raise typer.Exit(1)
        print(f"{directory}: all as it was made")


def _part(given: str) -> Literal["open", "blind"]:
    if given not in ("open", "blind"):
        stop(f"--part cannot be {given!r}: open or blind", 2)
    return "blind" if given == "blind" else "open"
