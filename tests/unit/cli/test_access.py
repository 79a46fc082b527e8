"""Keys and users on the command line: what is printed, what is kept, and who is said to have done it."""

from __future__ import annotations

import getpass
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dyncal.adapters.registry import open_registry
from dyncal.cli.app import app
from dyncal.domain.access import Role
from dyncal.ports.registry import Registry
from dyncal.runtime.settings import RegistrySettings
from services.api.access import secrets

PASSWORD = "battery staple horse"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "dyncal.toml"
    file.write_text(f'data_dir = "{tmp_path}"\n', encoding="utf-8")
    (tmp_path / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    return file


def call(config: Path, *words: str, text: str | None = None) -> Result:
    return CliRunner().invoke(app, ["access", *words, "--config", str(config)], input=text)


def registry_of(config: Path) -> closing[Registry]:
    return closing(open_registry(RegistrySettings(), config.parent))


def test_a_key_is_printed_once_and_its_hash_is_kept(config: Path) -> None:
    made = call(config, "add-key", "edge", "kiln", "--edge", "edge-1", "--days", "1", "--reason", "new edge")
    assert made.exit_code == 0, made.output
    key = secrets.read_key(made.stdout.strip())
    assert key is not None
    with registry_of(config) as registry:
        (record,) = registry.access_keys()
        (entry,) = registry.audit()
    assert secrets.key_fits(record.hash, key.secret)
    assert (record.role, record.edge, record.label) == (Role.EDGE, "edge-1", "kiln")
    assert (entry.actor, entry.reason) == (f"cli:{getpass.getuser()}", "new edge")
    listed = call(config, "keys").stdout
    assert f"{key.id}  opens  edge  edge edge-1" in listed
    assert key.secret not in listed
    assert call(config, "revoke-key", key.id).exit_code == 0
    assert f"{key.id}  revoked" in call(config, "keys").stdout
    assert call(config, "revoke-key", "nonesuch").exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("add-key", "edge", "x"),
        ("add-key", "viewer", "x", "--edge", "e"),
        ("add-key", "admin", "x", "--only-sensor", "s"),
        ("add-key", "god", "x"),
        ("add-user", "Anna", "viewer"),
        ("add-user", "anna", "edge"),
        ("change-user", "anna", "--role", "edge"),
        ("add-user", "battery", "viewer", "--password-file", "FILE"),
        ("add-user", "anna", "viewer", "--password-file", "nowhere"),
    ],
)
def test_what_makes_no_sense_is_not_done(config: Path, words: tuple[str, ...]) -> None:
    given = [str(config.parent / "password") if word == "FILE" else word for word in words]
    assert call(config, *given).exit_code == 2
    with registry_of(config) as registry:
        assert registry.audit() == []


def test_users_come_change_and_go(config: Path) -> None:
    file = str(config.parent / "password")
    assert call(config, "add-user", "anna", "operator", "--password-file", file).exit_code == 0
    assert call(config, "add-user", "anna", "operator", "--password-file", file).exit_code == 1
    assert call(config, "users").stdout == "anna  operator  enabled\n"
    assert call(config, "change-user", "anna", "--role", "engineer", "--disable").exit_code == 0
    assert call(config, "users").stdout == "anna  engineer  disabled\n"
    other = "another good secret"
    changed = call(config, "change-user", "anna", "--enable", "--password", text=f"{other}\n{other}\n")
    assert changed.exit_code == 0, changed.output
    assert other not in changed.output
    with registry_of(config) as registry:
        (user,) = registry.users()
    assert secrets.password_fits(user.hash, other)
    assert call(config, "change-user", "bob", "--role", "viewer").exit_code == 1
    assert call(config, "remove-user", "anna").exit_code == 0
    assert call(config, "users").stdout == ""


def test_roles_are_printed_as_the_program_enforces_them(config: Path) -> None:
    lines = CliRunner().invoke(app, ["access", "roles"]).stdout.splitlines()
    found = {tuple(line.split()[:2]): line.split(maxsplit=2)[2] for line in lines}
    assert found["GET", "/healthz"] == "anybody"
    assert found["GET", "/v1/edges/{edge}/coefficients"] == "viewer, edge (its own)"
    assert found["PUT", "/v1/sensors/{sensor}/pairing"] == "engineer"
    assert found["POST", "/v1/keys"] == "admin"
