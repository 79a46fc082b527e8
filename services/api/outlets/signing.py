"""Signatures of webhooks by the scheme of Standard Webhooks: HMAC-SHA256 over id, time stamp and body.

Source: Standard Webhooks 1.0.0, "Signature scheme" (symmetric).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from pathlib import Path
from typing import Final

from dyncal.domain.errors import InvalidSetting

PREFIX: Final = "whsec_"
LEAST_BYTES: Final = 24
MOST_BYTES: Final = 64


def read_keys(file: Path, key: str) -> tuple[bytes, ...]:
    """Return the keys in a file: one or, while they are being exchanged, several, each ``whsec_`` and base64.

    Raises
    ------
    InvalidSetting
        If the file cannot be read or holds anything else; says so under the name of the setting, `key`.
    """
    try:
        words = file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{key} = {str(file)!r}: cannot read it: {error}") from error
    if not words:
        raise InvalidSetting(f"{key} = {str(file)!r}: is empty")
    return tuple(_key(word, f"{key} = {str(file)!r}") for word in words)


def _key(word: str, where: str) -> bytes:
    expected = f"{where}: expected {PREFIX!r} and {LEAST_BYTES} to {MOST_BYTES} bytes in base64"
    if not word.startswith(PREFIX):
        raise InvalidSetting(expected)
    try:
        key = base64.b64decode(word.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise InvalidSetting(expected) from error
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise InvalidSetting(f"{expected}, not {len(key)}")
    return key


def headers(keys: tuple[bytes, ...], message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """Return the headers that identify and sign a message sent at `at_s` [s since 1970], by every key."""
    signed = f"{message_id}.{at_s}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
