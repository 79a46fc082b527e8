"""What parts of the registry share: who does something and why, sets as they are kept, lines of the trail."""

from __future__ import annotations

from dataclasses import dataclass

from dyncal.domain.coefficients import CoefficientSet, SetState
from dyncal.domain.time import InstantNs


@dataclass(frozen=True, slots=True)
class Act:
    """Who changes something, when, and why. Every change writes it to the audit trail, in its own transaction."""

    actor: str
    at_ns: InstantNs
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SetRecord:
    """A set with its signed envelope (the exact bytes that edges get) and where it stands."""

    coefficients: CoefficientSet
    envelope: bytes
    state: SetState
    reason: str
    changed_ns: InstantNs


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit trail; `digest` chains over the line before."""

    number: int
    at_ns: InstantNs
    actor: str
    action: str
    subject: str
    reason: str
    digest: str
