"""`dyncal keys`: the Ed25519 keys that sign coefficient sets, changed with an overlap. Run where calibrate runs."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dyncal.cli.reporting import ConfigOption, JsonOption, reported

if TYPE_CHECKING:
    from dyncal.adapters.keyring import Keyring

keys_app = typer.Typer(no_args_is_help=True, help="Change the keys that sign coefficient sets, with an overlap.")


@keys_app.command("list")
def list_(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """List the keys that are known here: what they are good for, and how many sensors' desired sets they signed."""
    with reported("services"):
        keyring, settings = _keyring(config)
        held, signed = keyring.held(), _signed(settings)
    if as_json:
        print(json.dumps([
            {"key_id": k.key_id, "state": k.state, "private_part_here": k.private, "desired_sets": signed[k.key_id]}
            for k in held
        ], indent=2))  # fmt: skip
        return
    for key in held:
        here = ", private part here" if key.private else ""
        print(f"{key.key_id}  {key.state}{here}; signed the desired sets of {signed[key.key_id]} sensors")


@keys_app.command("rotate")
def rotate(config: ConfigOption = None) -> None:
    """Make the next key and announce it to edges; nothing is signed with it yet."""
    with reported("services"):
        keyring, _ = _keyring(config)
        key_id = keyring.rotate(_now())
    print(f"{key_id} is announced; when all edges were connected for a while: dyncal keys activate")


@keys_app.command("activate")
def activate(config: ConfigOption = None) -> None:
    """Sign with the next key from now on; calibrate, if it runs, follows within seconds."""
    with reported("services"):
        keyring, _ = _keyring(config)
        key_id = keyring.activate(_now())
    print(f"{key_id} signs; the one before is trusted until: dyncal keys retire")


@keys_app.command("retire")
def retire(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Name of a key; else the previous one.")] = None,
    config: ConfigOption = None,
) -> None:
    """Trust a key no more: edges refuse what it has signed, but for the sets that they run already."""
    with reported("services"):
        keyring, settings = _keyring(config)
        key_id = keyring.retire(_now(), key)
        n = _signed(settings)[key_id]
    print(f"{key_id} is retired")
    if n:
        print(
            f"the desired sets of {n} sensors are signed by it: edges that run them go on; one that is set up anew "
            "refuses them until calibrate makes another, or somebody rolls back to one (see docs/security.md)"
        )


def _keyring(config: Any) -> tuple[Keyring, Any]:
    from dyncal.adapters.keyring import Keyring
    from dyncal.cli.doctor import SharedSettings
    from dyncal.runtime.settings import load

    settings = load(SharedSettings, config)
    return Keyring(settings.signing, settings.data_dir, settings.site), settings


def _now() -> Any:
    from dyncal.runtime.clocks import SystemClock

    return SystemClock().now()


def _signed(settings: Any) -> Counter[str]:
    """Return how many desired sets each key has signed; none where the registry is not there."""
    from contextlib import closing

    from dyncal.adapters.registry import open_registry
    from dyncal.contracts.coefficients import read_envelope

    if settings.registry.url is None and not (settings.data_dir / "registry.sqlite").exists():
        return Counter()
    with closing(open_registry(settings.registry, settings.data_dir)) as registry:
        envelopes = registry.envelopes(list(registry.desired_ids().values()))
    return Counter(read_envelope(envelope).key_id for envelope in envelopes.values())
