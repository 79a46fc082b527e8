"""Signing of coefficient sets."""

from __future__ import annotations

from typing import Protocol


class Signer(Protocol):
    """Signs with one key."""

    @property
    def key_id(self) -> str:
        """Name of the key, by which a verifier finds its public part."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`."""
        ...


class Verifier(Protocol):
    """Knows the public keys that are trusted."""

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` is that of a trusted `key_id` over `message`; never raises for bad input."""
        ...
