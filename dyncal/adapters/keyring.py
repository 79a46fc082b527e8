"""The signing keys of a site as files: made, taken into use and retired by an operator, with an overlap.

    key_file           signs                           keys/signing.pem
    next.pem           is announced, signs nothing yet
    previous.pem       signed before; still trusted
    announcement.json  the sealed list that edges get (`dyncal.contracts.keys`)
    trusted/, retired/ public parts

Each step is finished by running it again, wherever it was broken off.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dyncal.adapters import signing
from dyncal.adapters.signing import Ed25519Signer, TrustedKeys, key_id_of
from dyncal.contracts.keys import VERSION, KeyList, KeyMessage, KeyState, open_keys, read_keys, seal_keys
from dyncal.domain.errors import Conflict, InvalidSetting, MalformedMessage, NotFound
from dyncal.domain.time import InstantNs
from dyncal.runtime.logging import logger
from dyncal.runtime.settings import SigningSettings

ANNOUNCEMENT: Final = "announcement.json"
FOLLOWED: Final = "followed.json"

_log = logger("keys")


@dataclass(frozen=True, slots=True)
class Held:
    """A key: what it is good for here, and whether its private part is here too."""

    key_id: str
    state: KeyState
    private: bool


class Keyring:
    """The keys below `data_dir`, on the machine that signs."""

    def __init__(self, settings: SigningSettings, data_dir: Path, site: str) -> None:
        self._site = site
        self._current = settings.key_file or data_dir / "keys" / "signing.pem"
        self._next, self._previous = self._current.with_name("next.pem"), self._current.with_name("previous.pem")
        self.announcement = self._current.with_name(ANNOUNCEMENT)
        self._trusted = settings.trusted_dir or data_dir / "keys" / "trusted"
        self._retired = self._trusted.parent / signing.RETIRED

    def rotate(self, now: InstantNs) -> str:
        """Make the next key, and announce it; return its name.

        Raises
        ------
        NotFound
            If there is no key yet.
        Conflict
            If the last rotation is not finished.
        InvalidSetting
            If a key cannot be read.
        """
        if self._previous.exists():
            raise Conflict(f"{signer_of(self._previous).key_id} is not retired yet: dyncal keys retire")
        self._must_exist()
        if not self._next.exists():
            signing.make_private(self._next)
        made = signer_of(self._next)
        signing.trust(made.public, self._trusted)
        self._announce(now)
        return made.key_id

    def activate(self, now: InstantNs) -> str:
        """Sign with the next key from now on; return its name. The one before stays trusted until it is retired.

        Raises
        ------
        NotFound
            If none is announced.
        InvalidSetting
            If a key cannot be read.
        """
        self._must_exist()
        if not self._next.exists():
            if self._previous.exists():  # broken off before the announcement
                self._announce(now)
                return signer_of(self._current).key_id
            raise NotFound("no next key is announced: dyncal keys rotate")
        if not self._previous.exists():
            os.link(self._current, self._previous)
        self._next.replace(self._current)
        self._announce(now)
        return signer_of(self._current).key_id

    def retire(self, now: InstantNs, key_id: str | None = None) -> str:
        """Trust a key no more: the previous one, or any but the current; return its name.

        Raises
        ------
        NotFound
            If there is no such key.
        Conflict
            If it is the one that signs.
        """
        self._must_exist()
        previous = signer_of(self._previous).key_id if self._previous.exists() else None
        chosen = key_id or previous
        if chosen is None:
            raise NotFound("no previous key waits to be retired; name one: dyncal keys retire KEY")
        if chosen == signer_of(self._current).key_id:
            raise Conflict(f"{chosen} signs: let another take over first (dyncal keys rotate, then activate)")
        known = dict(_publics(self._trusted)) | dict(_publics(self._retired))
        if chosen not in known:
            raise NotFound(f"no key {chosen!r} in {self._trusted}")
        lay_aside(known[chosen], self._trusted, self._retired)
        self._announce(now)
        for path in (self._previous, self._next):
            if path.exists() and signer_of(path).key_id == chosen:
                path.unlink()
        return chosen

    def held(self) -> list[Held]:
        """Return all keys that are known here."""
        private = {signer_of(path).key_id: state for path, state in self._private()}
        found = [
            Held(key_id, private.get(key_id, KeyState.PREVIOUS), key_id in private)
            for key_id, _ in _publics(self._trusted)
        ]
        return found + [Held(key_id, KeyState.RETIRED, key_id in private) for key_id, _ in _publics(self._retired)]

    def _private(self) -> Iterator[tuple[Path, KeyState]]:
        for path, state in (
            (self._previous, KeyState.PREVIOUS),
            (self._next, KeyState.NEXT),
            (self._current, KeyState.CURRENT),  # last: the others may be links to it for a moment
        ):
            if path.exists():
                yield path, state

    def _must_exist(self) -> None:
        if not self._current.exists():
            raise NotFound(f"{self._current}: there is no signing key; calibrate makes one when it first starts")

    def _announce(self, now: InstantNs) -> None:
        """Write the list anew, sealed by every key whose private part is here, one that is being retired too."""
        states = {held.key_id: held.state for held in self.held()}
        retired = dict(_publics(self._retired))
        publics = dict(_publics(self._trusted)) | retired
        keys = [
            KeyMessage(key_id, base64.b64encode(_raw(public)).decode(), states[key_id])
            for key_id, public in sorted(publics.items())
        ]
        number = 1
        if self.announcement.exists():
            number += read_keys(self.announcement.read_bytes()).number
        signers = {signer.key_id: signer for signer in (signer_of(path) for path, _ in self._private())}
        content = seal_keys(KeyList(VERSION, self._site, number, now, keys), list(signers.values()))
        signing.replace_file(self.announcement, content, 0o644)


class FollowedKeys:
    """What an edge makes of announced keys: it pins what is new, and lays aside what is retired."""

    def __init__(self, settings: SigningSettings, data_dir: Path, site: str) -> None:
        self._site = site
        self._trusted = settings.trusted_dir or data_dir / "keys" / "trusted"
        self._retired = self._trusted.parent / signing.RETIRED
        self._file = self._trusted.parent / FOLLOWED
        self._verifier = TrustedKeys(self._trusted)
        self._number = -1

    def take(self, payload: bytes) -> bool:
        """Follow a list; tell whether anything has changed. Blocks for the disk.

        Raises
        ------
        MalformedMessage
            If it is not to be followed: not sealed by a trusted key, for another site, or older than what was followed.
        OSError
            If the disk does not take it: what is on it is still whole, and the same list may come again.
        """
        listed = open_keys(payload, self._verifier)
        if listed.site != self._site:
            raise MalformedMessage(f"keys of site {listed.site}")
        if listed.number < self._last():
            raise MalformedMessage(f"list {listed.number} of keys is older than {self._last()}, which was followed")
        publics = [(_public_of(key), key.state) for key in listed.keys]
        if all(state is KeyState.RETIRED for _, state in publics):
            raise MalformedMessage("a list that retires all keys")
        retired = {key_id for key_id, _ in _publics(self._retired)}
        changed = False
        for public, state in publics:  # new ones first: an edge that is cut off here can still read the list again
            key_id = key_id_of(public)
            if state is not KeyState.RETIRED and key_id not in retired and signing.trust(public, self._trusted):
                _log.info("key_trusted", key_id=key_id)
                changed = True
        for public, state in publics:
            if state is KeyState.RETIRED:
                changed |= lay_aside(public, self._trusted, self._retired)
        if listed.number > self._last():
            signing.replace_file(self._file, payload, 0o644)
            self._number = listed.number
        return changed

    def _last(self) -> int:
        if self._number < 0:
            try:
                self._number = read_keys(self._file.read_bytes()).number
            except (FileNotFoundError, MalformedMessage):
                self._number = 0
        return self._number


def lay_aside(public: Ed25519PublicKey, trusted: Path, retired: Path) -> bool:
    """Move a key to the retired ones, so that it is never trusted again; tell whether it was. Raises `OSError`."""
    key_id = key_id_of(public)
    signing.trust(public, retired)  # the directory of those that are not: first, so that it is not forgotten
    found = [path for found_id, path, _ in _files(trusted) if found_id == key_id]
    for path in found:
        path.unlink()
    if found:
        _log.info("key_retired", key_id=key_id)
    return bool(found)


def signer_of(path: Path) -> Ed25519Signer:
    """Return the signer of a private key file. Raises `InvalidSetting`."""
    try:
        return Ed25519Signer(signing.read_private(path))
    except OSError as error:
        raise InvalidSetting(f"{path}: {error.strerror}") from error


def _files(directory: Path) -> Iterator[tuple[str, Path, Ed25519PublicKey]]:
    for path in sorted(directory.glob("*.pem")):
        public = signing.read_public(path)
        if public is not None:
            yield key_id_of(public), path, public


def _publics(directory: Path) -> list[tuple[str, Ed25519PublicKey]]:
    return [(key_id, public) for key_id, _, public in _files(directory)]


def _raw(public: Ed25519PublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _public_of(key: KeyMessage) -> Ed25519PublicKey:
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.public, validate=True))
    except ValueError as error:
        raise MalformedMessage(f"key {key.key_id[:80]!r}: no public key of Ed25519: {error}") from error
    if key_id_of(public) != key.key_id:
        raise MalformedMessage(f"key {key.key_id[:80]!r} is {key_id_of(public)}")
    return public
