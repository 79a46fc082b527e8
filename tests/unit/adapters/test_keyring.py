from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dyncal.adapters.keyring import FollowedKeys, Keyring
from dyncal.adapters.signing import Ed25519Signer, FileSigner, open_signer, open_verifier, trail_verifier
from dyncal.contracts.keys import KeyList, KeyMessage, KeyState, read_keys, seal_keys
from dyncal.domain.errors import Conflict, InvalidSetting, MalformedMessage, NotFound
from dyncal.domain.time import InstantNs
from dyncal.runtime.settings import SigningSettings

NOW = InstantNs(1_760_000_000_000_000_000)
SIGNING = SigningSettings()


class Site:
    """The machine that signs, and edges that pinned its first key."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "calibrate"
        self.signer = open_signer(SIGNING, self.home)
        self.keys = Keyring(SIGNING, self.home, "plant")
        self._directory = directory

    def edge(self, name: str) -> Edge:
        edge = Edge(self._directory / name)
        edge.pin(next((self.home / "keys" / "trusted").glob("*.pem")))
        return edge

    def announced(self) -> bytes:
        return self.keys.announcement.read_bytes()

    def signs(self) -> Ed25519Signer:
        return open_signer(SIGNING, self.home)


class Edge:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.restart()

    def restart(self) -> None:
        self.follows = FollowedKeys(SIGNING, self.home, "plant")
        self.verifier = open_verifier(SIGNING, self.home)

    def pin(self, file: Path) -> None:
        trusted = self.home / "keys" / "trusted"
        trusted.mkdir(parents=True)
        (trusted / file.name).write_bytes(file.read_bytes())

    def accepts(self, signer: Ed25519Signer) -> bool:
        return self.verifier.verify(signer.key_id, b"set", signer.sign(b"set"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def states(site: Site) -> list[str]:
    return sorted(held.state for held in site.keys.held())


def test_a_rotation_from_end_to_end(site: Site) -> None:
    edge, first = site.edge("line1"), Ed25519Signer(_private(site.signer))
    assert states(site) == ["current"]

    made = site.keys.rotate(NOW)
    assert states(site) == ["current", "next"]
    assert site.signs().key_id == first.key_id != made
    assert edge.follows.take(site.announced())
    assert made in edge.verifier.key_ids()
    assert edge.accepts(first)

    assert site.keys.activate(NOW) == made
    second = site.signs()
    assert second.key_id == made
    assert states(site) == ["current", "previous"]
    assert not edge.follows.take(site.announced())
    assert edge.accepts(first)
    assert edge.accepts(second)

    assert site.keys.retire(NOW) == first.key_id
    assert states(site) == ["current", "retired"]
    assert edge.follows.take(site.announced())
    assert not edge.accepts(first)
    assert edge.accepts(second)
    assert [held.private for held in site.keys.held() if held.state is KeyState.RETIRED] == [False]
    old = first.sign(b"set")
    assert trail_verifier(SIGNING, edge.home).verify(first.key_id, b"set", old)  # what it runs, it may go on with
    assert site.keys.rotate(NOW) != made  # and so on


def test_a_signer_takes_the_new_key_when_it_is_told_to(site: Site) -> None:
    signer = FileSigner(site.home / "keys" / "signing.pem")
    assert not signer.refresh()
    before = signer.key_id
    made = site.keys.rotate(NOW)
    assert not signer.refresh()
    site.keys.activate(NOW)
    assert signer.key_id == before
    assert signer.refresh()
    assert signer.key_id == made
    assert not signer.refresh()
    (site.home / "keys" / "signing.pem").write_text("no key")
    with pytest.raises(InvalidSetting):
        signer.refresh()
    assert signer.key_id == made


def test_an_edge_that_slept_through_all_of_it_follows_the_last_word(site: Site) -> None:
    edge = site.edge("line1")
    first = Ed25519Signer(_private(site.signer))
    for step in (site.keys.rotate, site.keys.activate, site.keys.retire):
        step(NOW)
    assert edge.follows.take(site.announced())
    assert edge.accepts(site.signs())
    assert not edge.accepts(first)


def test_an_edge_that_pinned_nothing_or_another_key_follows_nobody(site: Site, tmp_path: Path) -> None:
    site.keys.rotate(NOW)
    stranger = Site(tmp_path / "other").edge("line9")
    for edge in (Edge(tmp_path / "bare"), stranger):
        before = edge.verifier.key_ids()
        with pytest.raises(MalformedMessage, match="no trusted key has sealed"):
            edge.follows.take(site.announced())
        assert edge.verifier.key_ids() == before


@pytest.mark.parametrize("restarted", [False, True])
def test_an_older_list_sent_again_changes_nothing(site: Site, restarted: bool) -> None:
    edge = site.edge("line1")
    first = Ed25519Signer(_private(site.signer))
    site.keys.rotate(NOW)
    announced = site.announced()
    edge.follows.take(announced)
    site.keys.activate(NOW)
    site.keys.retire(NOW)
    edge.follows.take(site.announced())
    if restarted:
        edge.restart()
    with pytest.raises(MalformedMessage):
        edge.follows.take(announced)
    assert not edge.accepts(first)


def test_a_key_once_retired_is_never_trusted_again(site: Site) -> None:
    edge = site.edge("line1")
    first = Ed25519Signer(_private(site.signer))
    for step in (site.keys.rotate, site.keys.activate, site.keys.retire):
        step(NOW)
    edge.follows.take(site.announced())
    listed = read_keys(site.announced())
    forged = KeyList(1, "plant", listed.number + 5, NOW, [_as(key, KeyState.CURRENT) for key in listed.keys])
    edge.follows.take(_sealed(forged, site.signs()))
    assert not edge.accepts(first)


@pytest.mark.parametrize("where", ["body", "number", "state", "public", "site", "seal", "purpose"])
def test_a_list_that_somebody_changed_is_not_followed(site: Site, where: str) -> None:
    edge = site.edge("line1")
    site.keys.rotate(NOW)
    message = json.loads(site.announced())
    body = json.loads(message["body"])
    if where == "body":
        message["body"] += " "
    elif where == "number":
        body["number"] += 1
    elif where == "state":
        body["keys"][0]["state"] = "retired"
    elif where == "public":
        body["keys"][0]["public"] = "A" * 43 + "="
    elif where == "site":
        body["site"] = "works"
    elif where == "seal":
        for seal in message["seals"]:
            seal["signature"] = seal["signature"][::-1]
    else:  # signed for another purpose
        signature = base64.b64encode(site.signs().sign(message["body"].encode())).decode()
        message["seals"] = [{"key_id": site.signs().key_id, "signature": signature}]
    if where in ("number", "state", "public", "site"):
        message["body"] = json.dumps(body, separators=(",", ":"))
    before = edge.verifier.key_ids()
    with pytest.raises(MalformedMessage):
        edge.follows.take(json.dumps(message).encode())
    assert edge.verifier.key_ids() == before


def test_what_is_sealed_and_makes_no_sense_is_not_followed(site: Site) -> None:
    edge, signer = site.edge("line1"), site.signs()
    site.keys.rotate(NOW)
    listed = read_keys(site.announced())
    before = edge.verifier.key_ids()
    for wrong in (
        KeyList(1, "works", 7, NOW, listed.keys),
        KeyList(2, "plant", 7, NOW, listed.keys),
        KeyList(1, "plant", 7, NOW, [_as(key, KeyState.RETIRED) for key in listed.keys]),
        KeyList(1, "plant", 7, NOW, [_renamed(key) for key in listed.keys]),
    ):
        with pytest.raises(MalformedMessage):
            edge.follows.take(_sealed(wrong, signer))
    assert edge.verifier.key_ids() == before


def test_steps_out_of_order_are_refused(site: Site) -> None:
    with pytest.raises(NotFound, match="rotate"):
        site.keys.activate(NOW)
    with pytest.raises(NotFound):
        site.keys.retire(NOW)
    with pytest.raises(Conflict, match="signs"):
        site.keys.retire(NOW, site.signer.key_id)
    with pytest.raises(NotFound, match="ed25519-nobody"):
        site.keys.retire(NOW, "ed25519-nobody")
    made = site.keys.rotate(NOW)
    assert site.keys.rotate(NOW) == made  # again is no other
    site.keys.activate(NOW)
    with pytest.raises(Conflict, match="retire"):
        site.keys.rotate(NOW)
    assert site.keys.activate(NOW) == made


def test_a_next_key_that_is_not_wanted_any_more_can_be_retired(site: Site) -> None:
    made = site.keys.rotate(NOW)
    assert site.keys.retire(NOW, made) == made
    assert states(site) == ["current", "retired"]
    assert site.keys.rotate(NOW) != made


def test_private_keys_are_for_their_owner_alone(site: Site) -> None:
    site.keys.rotate(NOW)
    site.keys.activate(NOW)
    for name in ("signing.pem", "previous.pem"):
        assert (site.home / "keys" / name).stat().st_mode & 0o777 == 0o600


def _private(signer: Ed25519Signer) -> Ed25519PrivateKey:
    return signer._private


def _as(key: KeyMessage, state: KeyState) -> KeyMessage:
    return msgspec.structs.replace(key, state=state)


def _renamed(key: KeyMessage) -> KeyMessage:
    return msgspec.structs.replace(key, key_id="ed25519-0000000000000000")


def _sealed(keys: KeyList, signer: Ed25519Signer) -> bytes:
    return seal_keys(keys, [signer])
