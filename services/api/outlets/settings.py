"""Settings of the outlets."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

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

    to: tuple[str, ...] = Field(min_length=1, max_length=50)
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

    digest_s: float = Field(300.0, ge=0, le=86_400)
    """Least time between two messages to one recipient [s]; what comes meanwhile goes together. 0: at once."""

    link: str = ""
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


def names_differ(*names: str) -> None:
    """Raise `ValueError` if two targets have one name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"more than one target is called {', '.join(map(repr, twice))}")
