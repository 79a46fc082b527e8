from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dyncal.adapters.keyring import Keyring
from dyncal.adapters.signing import open_signer
from dyncal.contracts import topics
from dyncal.domain.coefficients import Outcome
from dyncal.domain.sensors import SiteId
from dyncal.domain.time import InstantNs
from dyncal.runtime.settings import SigningSettings
from edge_agent.acceptance import Policy
from edge_agent.events import DesiredSet
from edge_agent.keys import KeyWatch
from edge_agent.settings import EdgeSettings
from tests.unit.edge_agent.helpers import SENSOR, T0, Key, coefficient_set, engine, envelope, kept, reports

OLD, NEW = Key("old"), Key("new")


class Both:
    """Trusts both keys: as what is laid aside beside what is trusted."""

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        return any(key.verify(key_id, message, signature) for key in (OLD, NEW))


AFTER = Policy(NEW, kept_verifier=Both())


def test_a_set_in_use_stays_after_its_key_is_retired_and_no_other_of_that_key_is_taken() -> None:
    content = kept(engine(policy=Policy(OLD)).handle(DesiredSet(SENSOR, envelope(coefficient_set(), OLD), T0)))
    agent = engine(policy=AFTER)
    assert reports(agent.restore({SENSOR: content}, T0))[-1].outcome is Outcome.APPLIED
    again = reports(agent.handle(DesiredSet(SENSOR, envelope(coefficient_set(), OLD), T0)))[-1]
    assert (again.outcome, again.reason) == (Outcome.APPLIED, "runs already")
    newer = replace(coefficient_set(), id="set-2", sequence=coefficient_set().sequence + 1)
    refused = reports(agent.handle(DesiredSet(SENSOR, envelope(newer, OLD), T0)))[-1]
    assert refused.outcome is Outcome.REJECTED
    assert refused.reason.startswith("signature")
    taken = reports(agent.handle(DesiredSet(SENSOR, envelope(newer, NEW), T0)))[-1]
    assert (taken.set_id, taken.outcome) == ("set-2", Outcome.APPLIED)


def test_a_retired_key_puts_no_set_onto_an_edge_that_has_none() -> None:
    refused = reports(engine(policy=AFTER).handle(DesiredSet(SENSOR, envelope(coefficient_set(), OLD), T0)))[-1]
    assert refused.reason.startswith("signature")


@pytest.mark.parametrize("follows", [True, False])
async def test_an_edge_follows_what_is_announced_unless_it_is_told_not_to(tmp_path: Path, follows: bool) -> None:
    home, edge = tmp_path / "calibrate", tmp_path / "edge"
    open_signer(SigningSettings(), home)
    pinned = edge / "keys" / "trusted"
    pinned.mkdir(parents=True)
    for file in (home / "keys" / "trusted").glob("*.pem"):
        (pinned / file.name).write_bytes(file.read_bytes())
    keyring = Keyring(SigningSettings(), home, "plant")
    made = keyring.rotate(InstantNs(T0))
    signing = {"follow_rotation": follows}
    watch = KeyWatch(EdgeSettings(data_dir=edge, signing=signing), SiteId("plant"))
    assert watch.topic == topics.keys(SiteId("plant"))
    assert not await watch.take("another/topic", b"")
    for payload in (b"", b"nonsense", b"{}", keyring.announcement.read_bytes()):
        assert await watch.take(watch.topic, payload)
    assert (pinned / f"{made}.pem").exists() is follows
