"""PostgreSQL's own programs for back-ups: `pg_dump` and `pg_restore`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from sqlalchemy.engine import make_url

from dyncal.domain.errors import NotFound, StoreUnavailable


def dump(url: str, target: Path) -> None:
    """Write a database as of one instant. Raises `StoreUnavailable`, `NotFound` if pg_dump is not installed."""
    _run("pg_dump", url, ["--format=custom", "--no-owner", "--no-acl", "--file", str(target)])
    target.chmod(0o600)


def restore(url: str, source: Path) -> None:
    """Replace the tables of a database, all or none of them. Raises `StoreUnavailable`, `NotFound`."""
    how = ["--single-transaction", "--exit-on-error", "--clean", "--if-exists", "--no-owner", "--no-acl"]
    _run("pg_restore", url, [*how, str(source)])


def _run(name: str, url: str, arguments: list[str]) -> None:
    where = make_url(url)
    named = {"--host": where.host, "--port": where.port, "--username": where.username, "--dbname": where.database}
    options = [f"{option}={value}" for option, value in named.items() if value is not None]
    secret = {"PGPASSWORD": str(where.password)} if where.password is not None else {}  # not on the command line
    try:
        done = subprocess.run(  # noqa: S603  a fixed program
            [_program(name), "--no-password", *options, *arguments],
            env=os.environ | secret, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        raise NotFound(f"{name}: {error.strerror}") from error
    if done.returncode != 0:
        shown = where.render_as_string(hide_password=True)
        raise StoreUnavailable(f"{name} of {shown}: {done.stderr.strip().splitlines()[-1:] or done.returncode}")


def _program(name: str) -> str:
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: _number(path.parts[4]))
    found = str(newest[-1]) if newest else shutil.which(name)
    if found is None:
        raise NotFound(f"{name} is not installed; it comes with the clients of PostgreSQL (Debian: postgresql-client)")
    return found


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
