"""Our certificate towards OPC UA servers: `dyncal.adapters.opcua.pki`, under the name that the readers know it by."""

from __future__ import annotations

from dyncal.adapters.opcua.pki import OwnCertificate, Pki

__all__ = ["OwnCertificate", "Pki"]
