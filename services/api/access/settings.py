"""Settings of who gets in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from dyncal.domain.access import Role
from dyncal.runtime.settings import Section

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]


class OidcSection(Section):
    """Bearer tokens of an OpenID provider."""

    issuer: str = Field(pattern=r"^https?://[^\s?#]+$", max_length=500)
    """Issuer, such as `https://login.plant.example/realms/plant`; what it publishes below `/.well-known` is read."""

    audience: str = Field(min_length=1, max_length=500)
    """What tokens must be made out for (`aud`)."""

    algorithms: tuple[Algorithm, ...] = Field(("RS256", "ES256"), min_length=1)
    """Signatures that count; what a token says of itself does not."""

    roles_claim: str = Field("groups", pattern=r"^[^.\s]+(\.[^.\s]+)*$", max_length=200)
    """Claim that holds the groups of a person; with dots for a claim within one, such as `realm_access.roles`."""

    roles: dict[str, Role] = Field(default_factory=dict)
    """Which role each group has, such as `{ "plant-engineers" = "engineer" }`; the highest counts."""

    name_claim: str = Field("preferred_username", pattern=r"^\S+$", max_length=100)
    """Claim that names the person in the audit trail, besides `sub`, which always does."""

    leeway_s: int = Field(30, ge=0, le=300)
    """How far the provider's clock may be from ours [s]."""

    ca_file: Path | None = None
    """PEM file of the authorities that may have signed the provider's certificate; default those of the system."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.issuer.startswith("http:") and not self.issuer.startswith(("http://127.0.0.1", "http://[::1]")):
            raise ValueError(f"issuer = {self.issuer!r}: keys are fetched over https")
        if Role.EDGE in self.roles.values():
            raise ValueError("roles: nobody becomes an edge by a group; edges have keys")
        return self


class AccessSection(Section):
    """Who gets in, and how often."""

    mode: Literal["closed", "open"] = "closed"
    """`closed`: who calls signs in or sends a key. `open`: who reaches the address is an engineer, for trying out."""

    session_idle_s: float = Field(8 * 3600, ge=60, le=30 * 86_400)
    """A console nobody uses is signed out after this time [s]; an open page that shows live values is in use."""

    session_s: float = Field(24 * 3600, ge=60, le=90 * 86_400)
    """Longest time between signing in and having to do it again [s]."""

    sessions_each: int = Field(20, ge=1, le=1000)
    """Sessions that one user or key has at once; beyond, the oldest end."""

    secure_cookie: bool | None = None
    """Whether browsers send the session over https alone; default: if the service itself has a certificate."""

    requests_hz: float = Field(200.0, gt=0, le=1e6)
    """Requests that one user, key or edge may send for long [1/s]."""

    requests_burst: float = Field(2000.0, ge=10, le=1e7)
    """Requests that one user, key or edge may send at once."""

    requests_at_once: int = Field(1000, ge=1, le=100_000)
    """Requests of one user, key or edge that may be open at once, streams and long-polls among them."""

    streams_each: int = Field(50, ge=1, le=10_000)
    """Live streams that one user or key may have open at once; `max_clients` is for all together."""

    failures: float = Field(10.0, ge=1, le=1000)
    """Attempts to get in that may fail at once, from one address, and for one name."""

    failure_s: float = Field(6.0, gt=0, le=3600)
    """Time after which one more attempt may fail [s]."""

    oidc: OidcSection | None = None
    """Whose tokens count as signing in."""
