from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dyncal.adapters.registry import SqlRegistry, open_registry
from dyncal.adapters.registry.offline import examine_trail
from dyncal.adapters.signing import open_signer, open_verifier
from dyncal.contracts.trail import read_checkpoint
from dyncal.domain.sensors import SiteId
from dyncal.runtime.clocks import SimulatedClock
from dyncal.runtime.settings import RegistrySettings, SigningSettings
from dyncal.testing.registry import act, make_sensor
from services.calibrate.notary import FILE, Notary

SITE = SiteId("plant")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqlRegistry]:
    with closing(open_registry(RegistrySettings(), tmp_path)) as opened:
        yield opened


def make_notary(registry: SqlRegistry, data_dir: Path) -> Notary:
    return Notary(registry, open_signer(SigningSettings(), data_dir), SimulatedClock(act().at_ns), SITE, data_dir)


def change(registry: SqlRegistry, k: int) -> None:
    registry.put_sensors([make_sensor(unit=f"u{k}")], [], act(k))


def test_a_trail_is_signed_as_it_grows(registry: SqlRegistry, tmp_path: Path) -> None:
    notary = make_notary(registry, tmp_path)
    assert notary.attempt() is None
    for k in range(3):
        change(registry, k)
        signed = notary.attempt()
        assert signed is not None
        assert (signed.number, signed.digest) == (k + 1, registry.audit()[-1].digest)
        assert registry.last_checkpoint() == signed
        assert notary.attempt() is None
    lines = (tmp_path / FILE).read_bytes().splitlines()
    assert [read_checkpoint(line) for line in lines] == registry.checkpoints()
    found = examine_trail(str(tmp_path / "registry.sqlite"), open_verifier(SigningSettings(), tmp_path))
    assert (found.faults, len(found.checkpoints), found.number) == ((), 3, 3)


def test_it_goes_on_where_it_was(registry: SqlRegistry, tmp_path: Path) -> None:
    change(registry, 0)
    assert make_notary(registry, tmp_path).attempt() is not None
    assert make_notary(registry, tmp_path).attempt() is None
    change(registry, 1)
    signed = make_notary(registry, tmp_path).attempt()
    assert signed is not None
    assert signed.number == 2


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE audit SET reason = 'x' WHERE number = 4",
        "DELETE FROM audit WHERE number = 5",
        "UPDATE audit_head SET number = 1, digest = (SELECT digest FROM audit WHERE number = 1)",
        "UPDATE audit_head SET digest = upper(digest)",
    ],
)
def test_what_does_not_fit_is_not_signed(
    registry: SqlRegistry, tmp_path: Path, damage: str, restarted: bool
) -> None:  # fmt: skip
    notary = make_notary(registry, tmp_path)
    for k in range(3):
        change(registry, k)
    assert notary.attempt() is not None
    change(registry, 3)
    change(registry, 4)
    with closing(sqlite3.connect(tmp_path / "registry.sqlite")) as raw:
        raw.execute(damage)
        raw.commit()
    if restarted:
        notary = make_notary(registry, tmp_path)
    assert notary.attempt() is None
    assert len(registry.checkpoints()) == 1


def test_a_registry_or_a_disk_that_fails_is_no_end(registry: SqlRegistry, tmp_path: Path) -> None:
    notary = make_notary(registry, tmp_path)
    change(registry, 0)
    (tmp_path / "audit").write_text("in the way")
    assert notary.attempt() is None
    (tmp_path / "audit").unlink()
    assert notary.attempt() is not None
    registry.close()
    assert notary.attempt() is None


async def test_it_signs_at_intervals_and_at_the_end(registry: SqlRegistry, tmp_path: Path) -> None:
    notary = make_notary(registry, tmp_path)
    async with notary.at_work(0.01):
        change(registry, 0)
        async with asyncio.timeout(5):
            while not registry.checkpoints():
                await asyncio.sleep(0.01)
    async with notary.at_work(1000.0):
        change(registry, 1)
    assert [c.number for c in registry.checkpoints()] == [1, 2]
