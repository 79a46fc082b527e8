"""Settings of the outlets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dyncal.domain.alarms import AlarmKind, AlarmState, Priority
from dyncal.runtime.settings import Name, Section
from services.api.outlets.news import Filter


class FilterSettings(Section):
    """Which changes of alarms are wanted: those that meet every condition."""

    priority: Priority = Priority.LOW
    """Least priority."""

    kinds: tuple[AlarmKind, ...] = ()
    """Kinds of alarms, such as `["drift", "out_of_tolerance"]`; default all."""

    states: tuple[AlarmState, ...] = ()
    """States that an alarm comes into, such as `["unacknowledged"]`; default all."""

    sources: tuple[str, ...] = ()
    """Names of sensors, edges or services; default all."""

    @property
    def filter(self) -> Filter:
        """The filter that is meant."""
        return Filter(self.priority, frozenset(self.kinds), frozenset(self.states), frozenset(self.sources))


class WebhookSettings(FilterSettings):
    """A receiver of webhooks."""

    name: Name
    """Name for logs, metrics and the queue; another name is another target, which begins anew."""

    url: str = Field(pattern=r"^https?://[^\s#]+$", max_length=2000)
    """Address that is posted to, such as `https://cmms.plant.example/dyncal`."""

    secret_file: Path
    """File with the key of the signatures: `whsec_` and 24 to 64 bytes in base64; several while they are exchanged."""

    ca_file: Path | None = None
    """PEM file of the authorities that may have signed the receiver's certificate, in place of the system's."""

    token_file: Path | None = None
    """File that holds a token, sent as `Authorization: Bearer`, and nothing else."""

    timeout_s: float = Field(10.0, gt=0, le=120)
    """Longest time for one attempt [s]."""

    give_up_h: float = Field(72.0, gt=0, le=2160)
    """How long one change is tried before it is given up, and counted [h]; while no receiver answers, none is."""

    at_once: int = Field(4, ge=1, le=32)
    """Most attempts at the same time; of one alarm there is only one."""


class MailRecipientSettings(FilterSettings):
    """Who gets e-mail."""

    name: Name
    """Name for logs, metrics and the queue; another name is another recipient, who begins anew."""

    to: tuple[Annotated[str, Field(pattern=r"^[^\s@<>,;]+@[^\s@<>,;]+$")], ...] = Field(min_length=1, max_length=50)
    """Addresses, such as `["shift@plant.example"]`."""


class MailSettings(Section):
    """E-mail by SMTP."""

    host: str = "127.0.0.1"
    """Server that takes the messages."""

    port: int = Field(25, ge=1, le=65535)
    """TCP port: 25, 587 with `starttls`, 465 with `tls`."""

    security: Literal["starttls", "tls", "none"] = "starttls"
    """`starttls`: encrypted or not at all; `tls`: from the first byte; `none`: only where the network is trusted."""

    ca_file: Path | None = None
    """PEM file of the authorities that may have signed the server's certificate, in place of the system's."""

    username: str | None = None
    """User, where the server asks for one."""

    password_file: Path | None = None
    """File that holds the password, and nothing else."""

    sender: str = Field("dyncal@localhost", pattern=r"^[^\s@<>]+@[^\s@<>]+$")
    """Address of the sender."""

    timeout_s: float = Field(20.0, gt=0, le=120)
    """Longest time for one message [s]."""

    digest_s: float = Field(300.0, ge=1, le=86_400)
    """Least time between two messages about several alarms to one recipient [s]."""

    singly: int = Field(5, ge=0, le=1000)
    """Most messages about one alarm each that one recipient gets within `digest_s`; what is more goes together."""

    link: str = Field("", pattern=r"^(https?://[^\s<>\"]+)?$")
    """Address of the console for people to click, such as `https://dyncal.plant.example`."""

    recipients: tuple[MailRecipientSettings, ...] = ()
    """Who gets what."""

    @model_validator(mode="after")
    def _secret_is_safe(self) -> Self:
        if self.username is not None and self.security == "none":
            raise ValueError('a password over an open connection: set security = "starttls" or "tls"')
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file belong together")
        return self


class OpcuaUserSettings(Section):
    """Who may log in to the OPC UA server."""

    name: str = Field(min_length=1, max_length=100)
    """User name; commands stand under `opcua:` and it in the audit trail."""

    password_file: Path
    """File that holds the password, and nothing else."""

    operates: bool = False
    """Whether this user may acknowledge, comment and shelve alarms; to look is allowed to all users."""


class OpcuaServerSettings(Section):
    """The OPC UA server of corrected values and alarms."""

    enabled: bool = False
    """Whether there is one."""

    url: str = Field("opc.tcp://127.0.0.1:4841/dyncal", pattern=r"^opc\.tcp://[^\s/:]+:[0-9]+(/[^\s]*)?$")
    """Endpoint: host to listen on, port, and a path."""

    hosts: tuple[str, ...] = ()
    """Names and addresses besides those in `url` by which clients reach it, for its certificate."""

    security_policies: tuple[Literal["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"], ...] = (
        "Basic256Sha256",
        "Aes128_Sha256_RsaOaep",
        "Aes256_Sha256_RsaPss",
    )
    """Security policies that are offered."""

    security_modes: tuple[Literal["Sign", "SignAndEncrypt"], ...] = ("SignAndEncrypt",)
    """Message security modes that are offered."""

    allow_none: bool = False
    """Whether sessions without security are taken too; whoever reaches the port may then read everything."""

    anonymous: bool = True
    """Whether clients that do not log in may look; they never give commands."""

    users: tuple[OpcuaUserSettings, ...] = ()
    """Who may log in."""

    interval_s: float = Field(0.5, ge=0.05, le=60)
    """Least interval between two values of a variable that a client has subscribed to [s]."""

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        secured = bool(self.security_policies and self.security_modes)
        if not secured and not self.allow_none:
            raise ValueError("no security policy and mode is offered, and allow_none is false: nobody could connect")
        if not secured and self.users:
            raise ValueError("users need a security policy and mode: passwords are not taken in the clear")
        if not self.anonymous and not self.users:
            raise ValueError("anonymous is false and there are no users: nobody could log in")
        names_differ(*(user.name for user in self.users))
        return self


def names_differ(*names: str) -> None:
    """Raise `ValueError` if two targets have one name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"more than one target is called {', '.join(map(repr, twice))}")
