"""`dyncal pki`: certificates of a plant's broker, services and edges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dyncal.cli.reporting import reported

pki_app = typer.Typer(no_args_is_help=True, help="Make certificates for the broker, services and edges of a plant.")

DirectoryArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the authority.")]
NameArgument = Annotated[str, typer.Argument(help="Common name: an edge's name, or dyncal-ingest, dyncal-api, …")]


@pki_app.command("init")
def init(
    directory: DirectoryArgument,
    name: Annotated[str, typer.Option(help="Name of the authority.")] = "dyncal plant authority",
    days: Annotated[int, typer.Option(min=1, max=36_500, help="How long it is valid.")] = 3650,
) -> None:
    """Make an authority. Keep its directory away from the plant's network: its key can make any client."""
    with reported("edge"):
        from dyncal.adapters.authority import Authority
        from dyncal.runtime.clocks import SystemClock

        print(Authority.make(directory, name, SystemClock().now(), days).ca_file)


@pki_app.command("issue")
def issue(
    directory: DirectoryArgument,
    name: NameArgument,
    purpose: Annotated[str, typer.Option("--for", help="edge, service or broker.")],
    host: Annotated[
        list[str] | None, typer.Option(help="Name or address by which a broker is reached; may be repeated.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=36_500, help="How long it is valid.")] = 825,
) -> None:
    """Issue a certificate, and print its files. The private key belongs on that one machine."""
    with reported("edge"):
        from dyncal.adapters.authority import Authority, Purpose
        from dyncal.domain.errors import InvalidSetting
        from dyncal.runtime.clocks import SystemClock

        if purpose not in [kind.value for kind in Purpose]:
            raise InvalidSetting(f"--for {purpose!r}: expected edge, service or broker")
        authority = Authority(directory)
        issued = authority.issue(name, Purpose(purpose), SystemClock().now(), days, host or [])
        for file in (authority.ca_file, *issued):
            print(file)


@pki_app.command("revoke")
def revoke(directory: DirectoryArgument, name: NameArgument) -> None:
    """Revoke all certificates of a name: copy crl.pem to the broker, and restart it."""
    with reported("edge"):
        from dyncal.adapters.authority import Authority
        from dyncal.runtime.clocks import SystemClock

        authority = Authority(directory)
        n = authority.revoke(name, SystemClock().now())
        print(f"{n} revoked in {authority.crl_file}")
