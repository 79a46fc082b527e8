"""`dyncal access`: keys and users, where the registry lies; who may write there may do everything anyway."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dyncal.domain.access import Role
from dyncal.domain.errors import DyncalError, InvalidSetting, NotFound

if TYPE_CHECKING:
    from dyncal.adapters.registry import SqlRegistry
    from dyncal.domain.time import InstantNs
    from dyncal.ports.records import Act

DAY_S: Final = 86_400

access_app = typer.Typer(
    no_args_is_help=True,
    help="Keys and users of the HTTP API, where the registry lies. A running service takes changes up at once.",
)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="DYNCAL_CONFIG", metavar="FILE", help="TOML file with the settings."),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the audit trail.")]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="File that holds the password; asked for if absent."),
]


@access_app.command("keys")
def keys(config: ConfigOption = None) -> None:
    """List keys, revoked and expired ones too."""
    from dyncal.domain.time import iso

    with _registry(config) as registry:
        now_ns = _now()
        for key in registry.access_keys():
            state = "opens" if key.opens(now_ns) else "revoked" if key.revoked_ns is not None else "expired"
            scope = [f"edge {key.edge}"] if key.edge is not None else []
            scope += [] if key.edges is None else [f"edges {', '.join(sorted(key.edges)) or 'none'}"]
            scope += [] if key.sensors is None else [f"sensors {', '.join(sorted(key.sensors)) or 'none'}"]
            used = "never used" if key.used_ns is None else f"used {iso(key.used_ns)}"
            ends = "for ever" if key.expires_ns is None else f"until {iso(key.expires_ns)}"
            print("  ".join([key.id, state, key.role, *scope, ends, used, key.label]))


@access_app.command("add-key")
def add_key(
    role: Annotated[Role, typer.Argument(help="What it may do.")],
    label: Annotated[str, typer.Argument(help="What it is for.")],
    config: ConfigOption = None,
    *,
    edge: Annotated[str | None, typer.Option(help="For the role edge: the edge that it is bound to.")] = None,
    edges: Annotated[list[str] | None, typer.Option("--only-edge", help="Confine it to these edges.")] = None,
    sensors: Annotated[list[str] | None, typer.Option("--only-sensor", help="Confine it to these sensors.")] = None,
    days: Annotated[float | None, typer.Option(min=0.01, max=3660, help="Days after which it expires.")] = None,
    reason: ReasonOption = "",
) -> None:
    """Make a key and print it: this once, on standard output alone."""
    from dyncal.domain.sensors import edge_id, sensor_id
    from dyncal.domain.time import InstantNs, duration
    from dyncal.ports.access import KeyRecord
    from services.api.access.secrets import new_key

    if (role is Role.EDGE) != (edge is not None):
        raise _failed("--edge: for the role edge, and for no other", status=2)
    if role in (Role.EDGE, Role.ADMIN) and (edges or sensors):
        raise _failed(f"--only-edge, --only-sensor: a key of the role {role} cannot be confined", status=2)
    with _registry(config) as registry:
        made, now_ns, act = new_key(), _now(), _act(reason)
        confined = bool(edges or sensors)
        record = KeyRecord(
            made.id,
            label,
            role,
            made.hash,
            now_ns,
            act.actor,
            edge=None if edge is None else edge_id(edge),
            edges=frozenset(map(edge_id, edges or ())) if confined else None,
            sensors=frozenset(map(sensor_id, sensors or ())) if confined else None,
            expires_ns=None if days is None else InstantNs(now_ns + duration(days * DAY_S)),
        )
        registry.add_key(record, act)
    print(made.text)


@access_app.command("revoke-key")
def revoke_key(key: str, config: ConfigOption = None, *, reason: ReasonOption = "") -> None:
    """Revoke a key by its id, for good."""
    with _registry(config) as registry:
        registry.revoke_key(key, _act(reason))


@access_app.command("users")
def users(config: ConfigOption = None) -> None:
    """List users."""
    with _registry(config) as registry:
        for user in registry.users():
            print("  ".join([user.name, user.role, "disabled" if user.disabled else "enabled"]))


@access_app.command("add-user")
def add_user(
    name: str,
    role: Annotated[Role, typer.Argument(help="What they may do.")],
    config: ConfigOption = None,
    *,
    password_file: PasswordFileOption = None,
    reason: ReasonOption = "",
) -> None:
    """Add a user."""
    from pydantic import TypeAdapter, ValidationError

    from dyncal.ports.access import UserRecord
    from services.api.access.secrets import hash_password
    from services.api.schemas.access import UserName

    try:
        TypeAdapter(UserName).validate_python(name)
    except ValidationError as error:
        raise _failed("the name of a user has small letters, digits and ._@- only, at most 64", status=2) from error
    if role is Role.EDGE:
        raise _failed("edges have keys, and are no users", status=2)
    hashed = hash_password(_password(password_file, name))
    with _registry(config) as registry:
        now_ns = _now()
        registry.add_user(UserRecord(name, role, hashed, now_ns, now_ns), _act(reason))


@access_app.command("change-user")
def change_user(
    name: str,
    config: ConfigOption = None,
    *,
    role: Annotated[Role | None, typer.Option(help="Another role.")] = None,
    disabled: Annotated[bool | None, typer.Option("--disable/--enable", help="Keep them out, or let them in.")] = None,
    password: Annotated[bool, typer.Option("--password", help="Another password; asked for.")] = False,
    password_file: PasswordFileOption = None,
    reason: ReasonOption = "",
) -> None:
    """Change the role or the password of a user, or keep them out; another password ends their sessions."""
    from services.api.access.secrets import hash_password

    if role is Role.EDGE:
        raise _failed("edges have keys, and are no users", status=2)
    hashed = hash_password(_password(password_file, name)) if password or password_file is not None else None
    with _registry(config) as registry:
        found = {user.name: user for user in registry.users()}.get(name)
        if found is None:
            raise NotFound(f"there is no user {name!r}")
        wanted = replace(
            found,
            role=found.role if role is None else role,
            disabled=found.disabled if disabled is None else disabled,
            hash=found.hash if hashed is None else hashed,
        )
        registry.change_user(wanted, _act(reason))


@access_app.command("remove-user")
def remove_user(name: str, config: ConfigOption = None, *, reason: ReasonOption = "") -> None:
    """Remove a user."""
    with _registry(config) as registry:
        registry.remove_user(name, _act(reason))


@access_app.command("roles")
def roles() -> None:
    """Print which role every route of the HTTP API needs, as the running program enforces it."""
    from services.api.access.rules import every_rule

    for rule in every_rule():
        who = "anybody" if rule.role is None else f"{rule.role}{', edge (its own)' if rule.edge else ''}"
        print(f"{rule.method:7}{rule.path:52}{who}")


@contextlib.contextmanager
def _registry(config: Path | None) -> Iterator[SqlRegistry]:
    try:
        from dyncal.adapters.registry import open_registry
        from dyncal.cli.doctor import SharedSettings
        from dyncal.runtime.settings import load
    except ImportError as error:
        raise _failed(f"this command needs the extra 'services': pip install 'dyncal[services]' ({error})") from error
    try:
        settings = load(SharedSettings, config)
        with contextlib.closing(open_registry(settings.registry, settings.data_dir)) as registry:
            yield registry
    except InvalidSetting as error:
        raise _failed(str(error), status=2) from error
    except DyncalError as error:
        raise _failed(str(error)) from error


def _act(reason: str) -> Act:
    import getpass

    from dyncal.ports.records import Act

    return Act(f"cli:{getpass.getuser()}", _now(), reason)


def _now() -> InstantNs:
    from dyncal.runtime.clocks import SystemClock

    return SystemClock().now()


def _password(file: Path | None, name: str) -> str:
    from services.api.access.secrets import password_fault

    if file is None:
        found: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        try:
            found = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _failed(f"--password-file {file}: {error}", status=2) from error
    fault = password_fault(found, name)
    if fault:
        raise _failed(fault, status=2)
    return found


def _failed(message: str, status: int = 1) -> typer.Exit:
    sys.stderr.write(message + "\n")
    return typer.Exit(status)
