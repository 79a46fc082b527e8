"""Whose certificates are trusted: `dyncal.adapters.opcua.trust`, under the name that the readers know it by."""

from __future__ import annotations

from dyncal.adapters.opcua.trust import TrustList, Untrusted

__all__ = ["TrustList", "Untrusted"]
