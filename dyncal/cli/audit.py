"""`dyncal audit`: the audit trail checked and exported, without any of the programs running."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dyncal.cli.reporting import ConfigOption, JsonOption, reported

if TYPE_CHECKING:
    from dyncal.adapters.registry.offline import Examined
    from dyncal.ports.records import AuditEntry
    from dyncal.ports.signing import Verifier
    from dyncal.ports.trail import Checkpoint

audit_app = typer.Typer(no_args_is_help=True, help="Check the audit trail, or export it.")

SourceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[SOURCE]", help="SQLite file, SQLAlchemy URL or exported file; else the registry of the settings."
    ),
]


@audit_app.command("verify")
def verify(
    source: SourceArgument = None,
    config: ConfigOption = None,
    trusted: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Keys whose checkpoints count; else those of the settings, retired ones too."),
    ] = None,
    kept: Annotated[
        list[Path] | None,
        typer.Option("--checkpoints", metavar="FILE", help="Checkpoints kept elsewhere; else those below data_dir."),
    ] = None,
    head: Annotated[
        list[str] | None, typer.Option(metavar="NUMBER:DIGEST", help="An entry's digest that was noted elsewhere.")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Say whether the trail is whole. Exit status 1 if it is not, 2 if it cannot be looked at."""
    with reported("services", 2):
        from dyncal.adapters.registry.offline import examine_trail
        from dyncal.cli.doctor import SharedSettings
        from dyncal.runtime.settings import load

        settings = load(SharedSettings, config)
        own = settings.registry.resolved_url(settings.data_dir)
        where = source or (own if settings.registry.url else str(settings.data_dir / "registry.sqlite"))
        files = kept if kept is not None else [settings.data_dir / "audit" / "checkpoints.jsonl"]
        verifier, n_keys = _verifier(trusted, settings)
        found = examine_trail(
            where,
            verifier if n_keys else None,
            [c for file in files for c in _read_kept(file, must_exist=kept is not None)],
            dict(_head(text) for text in head or []),
        )
    print(json.dumps(_as_json(found), indent=2) if as_json else _as_text(found, checked=bool(n_keys)))
    raise typer.Exit(1 if found.faults else 0)


@audit_app.command("export")
def export(
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Else standard output.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Number of the entry after which to begin.")] = 0,
    config: ConfigOption = None,
) -> None:
    """Write the trail as JSON Lines, of which `dyncal audit verify FILE` finds every changed byte."""
    with reported("services"):
        from contextlib import closing

        from dyncal.adapters.registry import open_registry
        from dyncal.cli.doctor import SharedSettings
        from dyncal.contracts.trail import GENESIS, export_lines
        from dyncal.domain.errors import NotFound
        from dyncal.ports.trail import Head
        from dyncal.runtime.settings import load

        settings = load(SharedSettings, config)
        with closing(open_registry(settings.registry, settings.data_dir)) as registry:
            start = GENESIS
            if after:
                before = registry.audit(after=after - 1, limit=1)
                if not before:
                    raise NotFound(f"there is no entry {after}")
                start = Head(after, before[0].digest)
            end = registry.audit_head().number

            def entries() -> Iterator[AuditEntry]:
                number = after
                while number < end and (page := registry.audit(after=number, limit=min(5_000, end - number))):
                    yield from page
                    number = page[-1].number

            def checkpoints() -> Iterator[Checkpoint]:
                number = after
                while page := registry.checkpoints(after=number):
                    yield from (c for c in page if c.number <= end)
                    number = page[-1].number

            lines = export_lines(start, entries(), checkpoints())
            if out is None:
                sys.stdout.buffer.writelines(lines)
            else:
                with out.open("wb") as stream:
                    stream.writelines(lines)


def _verifier(trusted: list[Path] | None, settings: Any) -> tuple[Verifier, int]:
    from dyncal.adapters.signing import TrustedKeys, trail_verifier

    found = TrustedKeys(*trusted) if trusted else trail_verifier(settings.signing, settings.data_dir)
    return found, len(found.key_ids())


def _read_kept(file: Path, *, must_exist: bool) -> list[Checkpoint]:
    from dyncal.contracts.trail import read_checkpoint
    from dyncal.domain.errors import MalformedMessage

    if not (must_exist or file.exists()):
        return []
    try:
        return [read_checkpoint(line) for line in file.read_bytes().splitlines()]
    except MalformedMessage as error:
        raise MalformedMessage(f"{file}: {error}") from error


def _head(text: str) -> tuple[int, str]:
    from dyncal.domain.errors import InvalidSetting

    number, _, digest = text.partition(":")
    if not (number.isdigit() and len(digest) == 64):
        raise InvalidSetting(f"--head {text!r}: expected a number, a colon and 64 digits")
    return int(number), digest.lower()


def _as_json(found: Examined) -> dict[str, Any]:
    newest = found.checkpoints[-1] if found.checkpoints else None
    return {
        "whole": not found.faults,
        "n_entries": found.n_entries,
        "head": {"number": found.number, "digest": found.digest},
        "faults": list(found.faults),
        "checkpoints": len(found.checkpoints),
        "newest_checkpoint": newest
        and {"number": newest.number, "at_ns": newest.at_ns, "key_id": newest.key_id, "site": newest.site},
    }


def _as_text(found: Examined, *, checked: bool) -> str:
    from dyncal.domain.time import iso

    lines = [f"fault: {fault}" for fault in found.faults]
    lines.append(f"{found.n_entries} entries fit; the last is {found.number}:{found.digest}")
    if not checked:
        lines.append("signatures of checkpoints were not looked at: no key is trusted here (--trusted DIR)")
    elif not found.checkpoints:
        lines.append("there is no signed checkpoint: whoever can write the database could have written all of it anew")
    else:
        newest = found.checkpoints[-1]
        since = found.number - newest.number
        lines.append(
            f"signed up to entry {newest.number} ({iso(newest.at_ns)}, {newest.key_id}); "
            f"{since} entries since are not yet"
        )
    return "\n".join(lines)
