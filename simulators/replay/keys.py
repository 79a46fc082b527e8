"""A signing key made from a seed, and who trusts it: a replay needs no files, and signs alike each time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dyncal.adapters.signing import Ed25519Signer


def seeded_signer(seed: int) -> Ed25519Signer:
    """Return the signer of the key that belongs to a seed; it is no secret, and of no use outside a replay."""
    raw = hashlib.blake2b(b"dyncal replay key %d" % seed, digest_size=32).digest()
    return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(raw))


@dataclass(frozen=True, slots=True)
class Trusts:
    """Trusts one signer (`dyncal.ports.signing.Verifier`)."""

    signer: Ed25519Signer

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` is the signer's over `message`."""
        if key_id != self.signer.key_id:
            return False
        try:
            self.signer.public.verify(signature, message)
        except InvalidSignature:
            return False
        return True
