"""Secrets: how they are made, and what is kept of them.

Keys and session tokens are 256 random bits. A key reads ``dyn_ID_SECRET``: its id is public and finds the record, which
holds an Argon2id hash of the secret. Of a session's token the SHA-256 is kept: nothing slower makes 256 random bits any
safer. Passwords are hashed with Argon2id too, by the parameters of RFC 9106's second recommendation.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import secrets
from typing import Final, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.profiles import RFC_9106_LOW_MEMORY

MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 200

_SECRET_BYTES: Final = 32
_KEY: Final = re.compile(r"dyn_([a-z2-7]{8})_([A-Za-z0-9_-]{43})")
# The secret of a key cannot be guessed, so that hashing it need not be as slow: hundreds may come at once.
_keys: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_passwords: Final = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


@functools.cache
def _nobody() -> str:
    """Return a hash that no password has; made when it is first needed, since that is slow."""
    return _passwords.hash(secrets.token_urlsafe(_SECRET_BYTES))


class NewKey(NamedTuple):
    """A key just made: the text is shown once and kept nowhere."""

    id: str
    text: str
    hash: str


class KeyText(NamedTuple):
    """A key as it was sent: its public id, and its secret."""

    id: str
    secret: str


def new_key() -> NewKey:
    """Return a new key."""
    key_id = base64.b32encode(secrets.token_bytes(5)).decode().lower()
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return NewKey(key_id, f"dyn_{key_id}_{secret}", _keys.hash(secret))


def read_key(text: str) -> KeyText | None:
    """Return the parts of what was sent as a key, or None if it cannot be one."""
    found = _KEY.fullmatch(text)
    return None if found is None else KeyText(found[1], found[2])


def key_fits(key_hash: str, secret: str) -> bool:
    """Tell whether a secret is the one that was hashed; takes milliseconds, on purpose."""
    return _fits(_keys, key_hash, secret)


def hash_password(password: str) -> str:
    """Return what is kept of a password."""
    return _passwords.hash(password)


def password_fits(password_hash: str | None, password: str) -> bool:
    """Tell whether a password is the one that was hashed; without a hash False, after the same time."""
    fits = _fits(_passwords, password_hash or _nobody(), password)
    return fits and password_hash is not None


def _fits(hasher: PasswordHasher, hashed: str, secret: str) -> bool:
    try:
        return hasher.verify(hashed, secret)
    except (Argon2Error, InvalidHashError):
        return False


def password_fault(password: str, name: str) -> str:
    """Say what is wrong with a new password ('' if nothing): length counts, not kinds of characters (NIST 800-63B)."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        return f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters"
    if len(set(password)) < 5 or (name and name.lower() in password.lower()):
        return "this password is too easy to guess"
    return ""


def new_session_token() -> str:
    """Return a token for a new session."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def digest(token: str) -> str:
    """Return the SHA-256 (hexadecimal) of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
