"""Digests of contents, not of files: the same for the same numbers, whoever wrote them with whatever library.

A trial's digest is SHA-256 over its arrays as little-endian bytes, each with its name and size, and over its words as
JSON with sorted keys; a member's is SHA-256 over those of its trials. A commitment is SHA-256 over a random salt and
the digest of the truth: it gives nothing away, and nobody can find another truth for it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from simulators.datasets.trials import Trial


def observed_digest(trial: Trial) -> str:
    """Return the digest of what is observed and stated, hexadecimal."""
    return _digest({"t_ns": trial.t_ns, **trial.channels, **trial.points}, trial.stated)


def truth_digest(trial: Trial) -> str:
    """Return the digest of the truth, hexadecimal."""
    return _digest({"measurand": trial.measurand}, trial.truth)


def together(digests: Iterable[str]) -> str:
    """Return the digest of a member from those of its trials in order, hexadecimal."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def commitment(name: str, salt: bytes, truth: str) -> str:
    """Return what is published of a truth that is not: `salt` of 32 bytes, `truth` the digest of its member."""
    return hashlib.sha256(b"\0".join((b"dyncal truth", name.encode(), salt.hex().encode(), truth.encode()))).hexdigest()


def salt_of(secret: bytes, name: str) -> bytes:
    """Return the salt of a member, 32 bytes: only who has the secret can make it."""
    return hmac.new(secret, f"salt/{name}".encode(), hashlib.sha256).digest()


def canonical(words: Mapping[str, Any]) -> bytes:
    """Return JSON with sorted keys and without spaces; numbers as Python writes them, which reads back the same."""
    return json.dumps(words, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _digest(arrays: Mapping[str, npt.NDArray[np.generic]], words: Mapping[str, Any]) -> str:
    found = hashlib.sha256()
    for name in sorted(arrays):
        values = arrays[name]
        kind = "<i8" if values.dtype.kind == "i" else "<f8"
        found.update(f"{name}\0{kind}\0{values.size}\0".encode())
        found.update(np.ascontiguousarray(values.astype(kind, copy=False)).tobytes())
    found.update(canonical(words))
    return found.hexdigest()
