"""Whether a coefficient set may be applied, and what is kept of those that were. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from dyncal.contracts import codec
from dyncal.contracts.coefficients import open_any, read_envelope, signature_bytes
from dyncal.correction import safety
from dyncal.domain.coefficients import CoefficientSet
from dyncal.domain.errors import MalformedMessage, RejectedSet
from dyncal.domain.sensors import Sensor
from dyncal.ports.signing import Verifier

_REMEMBERED: Final = 32


@dataclass(frozen=True, slots=True)
class Policy:
    """What this edge asks of a set: a trusted signature (unless `verifier` is None), and limits.

    What it has accepted already may also be signed by a key that was retired since: `kept_verifier`.
    """

    verifier: Verifier | None
    limits: safety.SafetyLimits = safety.SafetyLimits()
    max_latency_ns: int = 3600 * 1_000_000_000
    kept_verifier: Verifier | None = None

    def of_kept(self) -> Policy:
        """Return what is asked of a set that was accepted before."""
        return self if self.kept_verifier is None else replace(self, verifier=self.kept_verifier)


def examine(envelope: bytes, sensor: Sensor, policy: Policy, *, shadow: bool = False) -> CoefficientSet:
    """Return the set in an envelope if it is whole, trusted, for this sensor and for this use, and harmless.

    Raises
    ------
    RejectedSet
        With `reason` ``malformed``, ``digest``, ``signature``, ``use``, ``sensor``, ``latency`` or one of
        `dyncal.correction.safety.check`.
    """
    try:
        outer = read_envelope(envelope)
        text = outer.set.encode()
        signature = signature_bytes(outer)
    except (MalformedMessage, UnicodeEncodeError) as error:
        raise RejectedSet("malformed", str(error)[:300]) from error
    if hashlib.sha256(text).hexdigest() != outer.sha256:
        raise RejectedSet("digest", "the SHA-256 of the set is not the one that its envelope states")
    if policy.verifier is not None and not policy.verifier.verify(outer.key_id, text, signature):
        raise RejectedSet("signature", f"no trusted key {outer.key_id[:80]!r} has signed this set")
    try:
        coefficients, only_beside = open_any(text)
    except (MalformedMessage, OverflowError) as error:
        raise RejectedSet("malformed", str(error)[:300]) from error
    if only_beside and not shadow:
        raise RejectedSet("use", "this set was signed to run beside another one, not to correct")
    if coefficients.sensor != sensor.id:
        raise RejectedSet("sensor", f"the set is for {coefficients.sensor}, not for {sensor.id}")
    safety.check(coefficients, policy.limits, dt_ns=sensor.dt_ns)
    if coefficients.correction.latency_ns > policy.max_latency_ns:
        raise RejectedSet(
            "latency", f"{coefficients.correction.latency_ns} ns, at most {policy.max_latency_ns} ns allowed"
        )
    return coefficients


class Kept(msgspec.Struct, frozen=True):
    """What is on disk for a sensor: the envelopes in use and before, the highest sequence ever applied, bad ids."""

    v: int = 1
    highest: int = 0
    current: str | None = None
    previous: str | None = None
    reverted: tuple[str, ...] = ()

    def applied(self, envelope: bytes, sequence: int) -> Kept:
        """Return this with `envelope` in use."""
        current = envelope.decode()
        previous = self.previous if current == self.current else self.current
        return Kept(self.v, max(self.highest, sequence), current, previous, self.reverted)

    def at_least(self, highest: int) -> Kept:
        """Return this with no lower a highest sequence than that."""
        return msgspec.structs.replace(self, highest=max(self.highest, highest))

    def fallen_back(self, bad_id: str) -> Kept:
        """Return this with the previous set in use and the present one never again."""
        return Kept(self.v, self.highest, self.previous, None, (*self.reverted, bad_id)[-_REMEMBERED:])


def encode_kept(kept: Kept) -> bytes:
    """Return the file's content."""
    return codec.to_json(kept)


def decode_kept(content: bytes) -> Kept:
    """Return what a file's content says. Raises `MalformedMessage`."""
    kept = codec.from_json(content, Kept)
    if kept.v != 1 or kept.highest < 0:
        raise MalformedMessage(f"kept sets of version {kept.v}, highest sequence {kept.highest}")
    return kept
