"""Shapes of sessions, keys and users."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from dyncal.domain.access import PEOPLE, Role
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.ports.access import KeyRecord, UserRecord
from services.api.access.principal import Principal
from services.api.access.secrets import MAX_PASSWORD
from services.api.schemas.base import Shape, example

UserName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._@-]{0,63}$", description="Small letters, digits, `._@-`.")]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Names = Annotated[list[Name], Field(max_length=1000)]
Password = Annotated[SecretStr, Field(max_length=MAX_PASSWORD)]


class SignInBody(Shape):
    """Who signs in: a name with a password, or a key."""

    model_config = example(name="anna", password="correct horse battery staple")  # noqa: S106  an example

    name: Annotated[str, Field(max_length=64)] = ""
    password: Password = SecretStr("")
    key: Annotated[SecretStr, Field(max_length=200)] = SecretStr("")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        by_name = bool(self.name and self.password.get_secret_value())
        if by_name == bool(self.key.get_secret_value()):
            raise ValueError("give a name with a password, or a key")
        return self


class SessionOut(Shape):
    """Who asks, as the service sees it."""

    model_config = example(
        mode="closed", signed_in=True, name="user:anna", role="operator", edge=None, confined=False, by="session",
        may=["viewer", "operator"], ends_ns=1_700_000_000_000_000_000,
    )  # fmt: skip

    mode: Literal["closed", "open"]
    """`open`: nobody signs in here, and whoever reaches the service is an engineer."""

    signed_in: bool
    name: str
    """As in the audit trail; empty for nobody."""

    role: Role | None
    edge: str | None
    """The edge that it is bound to."""

    confined: bool
    """True if it may not see every sensor."""

    by: Literal["nothing", "open", "session", "key", "token"]
    """What says so."""

    may: list[Role]
    """Roles whose rights it has."""

    ends_ns: int | None
    """When it ends in any case [ns since 1970, UTC]."""

    @classmethod
    def of(cls, principal: Principal | None, mode: Literal["closed", "open"]) -> Self:
        """Return the shape of a principal."""
        if principal is None:
            return cls(
                mode=mode, signed_in=False, name="", role=None, edge=None, confined=False, by="nothing", may=[],
                ends_ns=None,
            )  # fmt: skip
        by: Literal["open", "session", "key", "token"] = (
            "open" if mode == "open" else "session" if principal.session else "key" if principal.key_id else "token"
        )
        return cls(
            mode=mode,
            signed_in=mode == "closed",
            name=principal.name,
            role=principal.role,
            edge=principal.edge,
            confined=principal.confined,
            by=by,
            may=[role for role in (*PEOPLE, Role.EDGE) if principal.may(role)],
            ends_ns=principal.ends_ns,
        )


class PasswordBody(Shape):
    """A new password for oneself."""

    model_config = example(old="correct horse battery staple", new="staple battery horse correct")

    old: Password
    new: Password


class KeyBody(Shape):
    """A key that is to be made."""

    model_config = example(label="historian", role="viewer", expires_s=31_536_000)

    label: Annotated[str, Field(min_length=1, max_length=200)]
    """What it is for."""

    role: Role
    edge: Name | None = None
    """For the role `edge`: the edge that it is bound to."""

    edges: Names | None = None
    """Confine it to these edges and their sensors."""

    sensors: Names | None = None
    """Confine it to these sensors."""

    expires_s: Annotated[float, Field(gt=0, le=10 * 366 * 86_400)] | None = None
    """Time after which it opens nothing any more [s]; null for never."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (self.role is Role.EDGE) != (self.edge is not None):
            raise ValueError("edge: for the role edge, and for no other")
        if self.role in (Role.EDGE, Role.ADMIN) and (self.edges is not None or self.sensors is not None):
            raise ValueError(f"edges, sensors: a key of the role {self.role} cannot be confined by them")
        return self


class KeyOut(Shape):
    """A key, without its secret."""

    model_config = example(
        id="k7f3a9xq", label="historian", role="viewer", edge=None, edges=None, sensors=None,
        created_ns=1_700_000_000_000_000_000, created_by="user:anna", expires_ns=None, revoked_ns=None, used_ns=None,
        opens=True,
    )  # fmt: skip

    id: str
    label: str
    role: Role
    edge: str | None
    edges: list[str] | None
    sensors: list[str] | None
    created_ns: int
    created_by: str
    expires_ns: int | None
    revoked_ns: int | None
    used_ns: int | None
    """When it was last used, to the minute or so."""

    opens: bool
    """True if it is neither revoked nor expired."""

    @classmethod
    def of(cls, key: KeyRecord, now_ns: int, used_ns: int | None) -> Self:
        """Return the shape of a key."""
        return cls(
            id=key.id,
            label=key.label,
            role=key.role,
            edge=key.edge,
            edges=_sorted(key.edges),
            sensors=_sorted(key.sensors),
            created_ns=key.created_ns,
            created_by=key.created_by,
            expires_ns=key.expires_ns,
            revoked_ns=key.revoked_ns,
            used_ns=used_ns,
            opens=key.opens(now_ns),
        )


class NewKeyOut(Shape):
    """A key just made."""

    text: str
    """The key: shown this once, and kept nowhere."""

    key: KeyOut


class KeyList(Shape):
    """All keys, oldest first."""

    items: list[KeyOut]


class NewUserBody(Shape):
    """A user who is to be added."""

    model_config = example(name="anna", role="operator", password="correct horse battery staple")  # noqa: S106  likewise

    name: UserName
    role: Role
    password: Password

    @model_validator(mode="after")
    def _is_a_person(self) -> Self:
        if self.role is Role.EDGE:
            raise ValueError("role: edges have keys, and are no users")
        return self


class UserBody(Shape):
    """A user as they are to be."""

    model_config = example(role="engineer", disabled=False)

    role: Role
    disabled: bool = False
    password: Password | None = None
    """A new password; null leaves it as it is."""

    @model_validator(mode="after")
    def _is_a_person(self) -> Self:
        if self.role is Role.EDGE:
            raise ValueError("role: edges have keys, and are no users")
        return self


class UserOut(Shape):
    """A user, without the password."""

    model_config = example(
        name="anna", role="operator", disabled=False, created_ns=1_700_000_000_000_000_000,
        changed_ns=1_700_000_000_000_000_000, n_sessions=1,
    )  # fmt: skip

    name: str
    role: Role
    disabled: bool
    created_ns: int
    changed_ns: int
    n_sessions: int
    """Sessions that are open."""

    @classmethod
    def of(cls, user: UserRecord, n_sessions: int) -> Self:
        """Return the shape of a user."""
        return cls(
            name=user.name,
            role=user.role,
            disabled=user.disabled,
            created_ns=user.created_ns,
            changed_ns=user.changed_ns,
            n_sessions=n_sessions,
        )


class UserList(Shape):
    """All users, in order of name."""

    items: list[UserOut]


def _sorted(names: frozenset[EdgeId] | frozenset[SensorId] | None) -> list[str] | None:
    return None if names is None else sorted(names)
