"""Tokens of an OpenID provider: those that count, and every way in which they may not."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import ValidationError

from dyncal.domain.access import Role
from dyncal.domain.errors import Unavailable
from dyncal.domain.time import InstantNs, duration
from dyncal.runtime.clocks import SimulatedClock
from services.api.access.oidc import AGAIN_S, KEYS_KEPT_S, OidcTokens
from services.api.access.settings import AccessSection, OidcSection
from tests.unit.services.api.access.conftest import House

ISSUER = "https://login.plant.example/realms/plant"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())

SETTINGS = OidcSection(
    issuer=ISSUER,
    audience="dyncal",
    roles_claim="realm_access.roles",
    roles={"eng": Role.ENGINEER, "op": Role.OPERATOR},
)


def public(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    family = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**family.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **more}


class Issuer:
    """An OpenID provider in memory."""

    def __init__(self) -> None:
        self.keys = [public(RSA, "r1"), public(EC, "e1"), {"kty": "oct", "kid": "o1", "k": "c2VjcmV0"}]
        self.issuer = ISSUER
        self.n_asked = 0
        self.away = False

    async def fetch(self, address: str) -> bytes:
        self.n_asked += 1
        if self.away:
            raise httpx.ConnectError("nobody there")
        if address.endswith("/.well-known/openid-configuration"):
            return json.dumps({"issuer": self.issuer, "jwks_uri": "https://login.plant.example/keys"}).encode()
        assert address == "https://login.plant.example/keys"
        return json.dumps({"keys": self.keys}).encode()


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())  # noqa: TID251  the library knows no other clock
    made = {
        "iss": ISSUER,
        "aud": ["account", "dyncal"],
        "sub": "4711",
        "preferred_username": "anna",
        "iat": now - 10,
        "exp": now + 300,
        "realm_access": {"roles": ["op", "eng", "uma"]},
        **more,
    }
    return {name: value for name, value in made.items() if value is not None}


def token(key: Any = RSA, kid: str | None = "r1", alg: str = "RS256", **more: Any) -> str:
    return jwt.encode(claims(**more), key, alg, headers={} if kid is None else {"kid": kid})


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(InstantNs(time.time_ns()))  # noqa: TID251  as above


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def tokens(issuer: Issuer, clock: SimulatedClock) -> OidcTokens:
    return OidcTokens(SETTINGS, clock, issuer.fetch)


async def test_a_token_is_that_of_a_person_with_the_highest_role_of_their_groups(tokens: OidcTokens) -> None:
    found = await tokens.of_token(token())
    assert found is not None
    assert (found.name, found.role, found.confined) == ("oidc:anna 4711", Role.ENGINEER, False)
    other = await tokens.of_token(token(EC, "e1", "ES256", realm_access={"roles": "op"}, preferred_username=None))
    assert other is not None
    assert (other.name, other.role) == ("oidc:4711", Role.OPERATOR)


def unsigned(header: dict[str, Any], body: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(body).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def confused() -> str:
    """Sign with the public key as a secret, as if the provider did so."""
    pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = unsigned({"alg": "HS256", "kid": "r1", "typ": "JWT"}, claims()).rsplit(".", 1)[0]
    made = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(head.encode(), pem)
    return head + "." + base64.urlsafe_b64encode(made).rstrip(b"=").decode()


NOT_COUNTING: dict[str, Callable[[], str]] = {
    "expired": lambda: token(exp=int(time.time()) - 60),  # noqa: TID251
    "not yet": lambda: token(nbf=int(time.time()) + 600),  # noqa: TID251
    "from the future": lambda: token(iat=int(time.time()) + 600),  # noqa: TID251
    "without end": lambda: token(exp=None),
    "without subject": lambda: token(sub=None),
    "a number as subject": lambda: token(sub=4711),
    "another issuer": lambda: token(iss="https://evil.example"),
    "a longer issuer": lambda: token(iss=ISSUER + "/"),
    "another audience": lambda: token(aud="account"),
    "no audience": lambda: token(aud=None),
    "another key": lambda: token(OTHER),
    "an unknown key": lambda: token(kid="r2"),
    "no key id among several": lambda: token(kid=None),
    "the other kind of key": lambda: token(RSA, "e1"),
    "an algorithm not allowed": lambda: token(alg="RS512"),
    "alg none": lambda: unsigned({"alg": "none", "kid": "r1"}, claims()),
    "alg None": lambda: unsigned({"alg": "NONE", "kid": "r1"}, claims(), b"x"),
    "a secret": lambda: jwt.encode(claims(), "s" * 40, "HS256", headers={"kid": "o1"}),
    "the public key as a secret": confused,
    "critical extensions": lambda: jwt.encode(claims(), RSA, "RS256", headers={"kid": "r1", "crit": ["exp"]}),
    "no groups": lambda: token(realm_access={}),
    "foreign groups": lambda: token(realm_access={"roles": ["uma", "admin"]}),
    "groups elsewhere": lambda: token(realm_access=None, roles=["eng"]),
    "groups that are none": lambda: token(realm_access={"roles": {"eng": True}}),
    "changed": lambda: token()[:-4] + "AAAA",
    "nothing": lambda: "..",
    "no JSON": lambda: "a.b.c",
    "a head without bottom": lambda: unsigned([], {}).replace(  # type: ignore[arg-type]  # no object, on purpose
        "W10.", base64.urlsafe_b64encode(b"[" * 6000).decode() + "."
    ),
    "a number without end": lambda: unsigned({}, claims()).replace(
        "e30.", base64.urlsafe_b64encode(b'{"alg":"RS256","kid":' + b"9" * 5000 + b"}").decode().rstrip("=") + "."
    ),
    "an end in infinity": lambda: token(exp=float("inf")),
    "made in infinity": lambda: token(iat=float("inf")),
    "no number as end": lambda: token(exp=float("nan")),
}


@pytest.mark.parametrize("what", NOT_COUNTING)
async def test_what_does_not_count(tokens: OidcTokens, what: str) -> None:
    assert await tokens.of_token(NOT_COUNTING[what]()) is None, what


async def test_an_end_beyond_all_times_is_the_last_one(tokens: OidcTokens) -> None:
    found = await tokens.of_token(token(exp=1e300))
    assert found is not None
    assert found.ends_ns == 4 * 10**18


async def test_changed_claims_do_not_count(tokens: OidcTokens) -> None:
    head, _, signature = token().split(".")
    body = unsigned({}, claims(sub="admin")).split(".")[1]
    assert await tokens.of_token(f"{head}.{body}.{signature}") is None


async def test_a_key_that_is_new_is_looked_for_and_made_up_ones_only_now_and_then(
    tokens: OidcTokens, issuer: Issuer, clock: SimulatedClock
) -> None:
    assert await tokens.of_token(token()) is not None
    for k in range(20):
        assert await tokens.of_token(token(OTHER, f"made up {k}")) is None
    assert issuer.n_asked == 2
    issuer.keys = [public(OTHER, "r2")]
    clock.advance(duration(AGAIN_S + 1))
    assert await tokens.of_token(token(OTHER, "r2")) is not None
    assert await tokens.of_token(token()) is None, "a key that the provider withdrew"


async def test_a_provider_that_is_away_is_not_missed_at_once(
    tokens: OidcTokens, issuer: Issuer, clock: SimulatedClock
) -> None:
    assert await tokens.of_token(token()) is not None
    issuer.away = True
    clock.advance(duration(KEYS_KEPT_S + 60))
    found = tokens._keys
    await tokens._key("r1")
    assert tokens._keys is found
    clock.advance(duration(KEYS_KEPT_S))
    with pytest.raises(Unavailable):
        await tokens._key("r1")


async def test_a_provider_that_calls_itself_otherwise_has_no_keys(tokens: OidcTokens, issuer: Issuer) -> None:
    issuer.issuer = "https://evil.example"
    with pytest.raises(Unavailable):
        await tokens.of_token(token())


async def test_a_token_that_was_verified_ends_all_the_same(tokens: OidcTokens, clock: SimulatedClock) -> None:
    made = token()
    found = await tokens.of_token(made)
    assert found is not None
    assert found.ends_ns is not None
    assert found.ends_ns - clock.now() == pytest.approx(330e9, abs=5e9)
    clock.advance(duration(331))
    assert not tokens._lasts(found)


async def test_tokens_open_the_application_and_their_names_are_in_the_audit_trail(house: House, issuer: Issuer) -> None:
    house.clock.instant = InstantNs(time.time_ns())  # noqa: TID251  as above
    house.deps.entrance.oidc = OidcTokens(SETTINGS, house.clock, issuer.fetch)
    person = await house.client(token())
    assert (await person.get("/v1/session")).json()["by"] == "token"
    assert (await person.delete("/v1/sensors/tc-1/pairing?reason=why")).status_code == 204
    assert house.registry.audit()[-1].actor == "oidc:anna 4711"
    assert (await (await house.client(token(aud="x"))).get("/v1/sensors")).status_code == 401
    issuer.away = True
    house.deps.entrance.oidc = OidcTokens(SETTINGS, house.clock, issuer.fetch)
    assert (await person.get("/v1/sensors")).status_code == 503
    answer = await person.post("/v1/session", json={"key": token()})
    assert answer.status_code in (401, 403, 422, 503)


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://login.plant.example"},
        {"issuer": "ftp://x"},
        {"algorithms": ["HS256"]},
        {"algorithms": ["none"]},
        {"algorithms": []},
        {"roles": {"x": "edge"}},
        {"roles": {"x": "god"}},
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AccessSection(oidc=OidcSection(**({"issuer": ISSUER, "audience": "dyncal"} | wrong)))
