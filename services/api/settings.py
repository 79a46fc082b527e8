"""Settings of the API service."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from dyncal.domain.alarms import Priority
from dyncal.runtime.settings import LIVE, ProgramSettings, RegistrySettings, Section, SigningSettings, StoreSettings
from services.api.access.settings import AccessSection
from services.api.outlets.settings import MailSettings, OpcuaServerSettings, WebhookSettings, names_differ


class AlarmSection(Section):
    """The alarm system as a whole; how alarms of a kind behave is in the registry, and changed over HTTP."""

    n_operators: float = Field(1.0, gt=0, le=1000)
    """Operators at work: the limits below, and figures of performance, are for each."""

    flood_begin: float = Field(10.0, ge=1, le=1000)
    """A flood begins with more annunciations than this in 10 min for each operator."""

    flood_end: float = Field(5.0, gt=0, le=1000)
    """A flood ends when fewer than this are left in the last 10 min; at most `flood_begin`."""

    flood_keeps: Priority = Priority.HIGH
    """Least priority of the alarms that are called out one by one in a flood."""

    history_days: float = Field(0.0, ge=0, le=36_500)
    """How long the history of alarms is kept [d]; 0: for ever. The audit trail is kept whatever is said here."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.flood_end > self.flood_begin:
            raise ValueError(f"flood_end = {self.flood_end:g} must be at most flood_begin = {self.flood_begin:g}")
        return self


class TlsSection(Section):
    """The service's own certificate; files that change are read again."""

    cert_file: Path
    """PEM file of the certificate, with those between it and its authority."""

    key_file: Path
    """PEM file of its private key."""


class CertificateSection(Section):
    """Digital calibration certificates (DCC) that laboratories send."""

    trusted_file: Path | None = None
    """PEM file of the authorities whose laboratories' signatures count; without it none is verified."""

    required: bool = False
    """Take nothing but certificates whose signature is verified; points as JSON, which have none, are refused then."""

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.required and self.trusted_file is None:
            raise ValueError("required = true: give trusted_file too, or nothing can be verified")
        return self


class ApiSection(Section):
    """The HTTP interface and the console."""

    host: str = "127.0.0.1"
    """Address to listen on, such as `127.0.0.1`, `::1` or, with `allow_remote`, `0.0.0.0`."""

    port: int = Field(8080, ge=0, le=65535)
    """TCP port; 0 takes a free one."""

    allow_remote: bool = False
    """Say `true` to listen on an address that other machines reach without TLS, or with `access.mode = "open"`."""

    allowed_hosts: tuple[str, ...] = ()
    """Host names by which browsers may call besides the loopback ones, such as `dyncal.plant.example`."""

    max_body_bytes: int = Field(1 << 20, ge=1024, le=1 << 28)
    """Longest request body that is read [bytes]."""

    max_file_bytes: int = Field(32 << 20, ge=1024, le=1 << 30)
    """Longest file that is read where files are sent: inventories, laboratories' calibrations [bytes]."""

    max_points: int = Field(20_000, ge=100, le=1_000_000)
    """Most rows that one request for samples returns; more are decimated, extremes kept."""

    frame_interval_s: float = Field(0.1, ge=0.02, le=5, json_schema_extra=LIVE)
    """Interval at which live samples are sent in one frame [s]."""

    values_interval_s: float = Field(0.5, ge=0.1, le=60)
    """Interval at which the latest values of all sensors that changed are sent [s]."""

    frame_points: int = Field(40, ge=4, le=2000)
    """Most samples of one sensor in one live frame; more are decimated, extremes kept."""

    ring_events: int = Field(2000, ge=10, le=100_000)
    """Events that are kept for clients that come back with Last-Event-ID."""

    client_frames: int = Field(50, ge=2, le=10_000)
    """Frames that wait for one slow client before the oldest are dropped."""

    client_alarms: int = Field(10_000, ge=10, le=1_000_000)
    """Alarm events that wait for one slow client before it is cut off, to come back and reload; none is dropped."""

    max_clients: int = Field(200, ge=1, le=10_000)
    """Live streams open at once."""

    heartbeat_s: float = Field(5.0, ge=0.2, le=60)
    """Longest silence on a live stream [s]."""

    access: AccessSection = AccessSection()
    """Who gets in, and how often."""

    tls: TlsSection | None = None
    """Certificate by which the service answers over https."""

    certificates: CertificateSection = CertificateSection()
    """Whose signatures on calibration certificates count."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies that say truly whom they ask for (X-Forwarded-For, X-Forwarded-Proto)."""

    alarms: AlarmSection = AlarmSection()
    """When there is a flood of alarms, and for how many operators."""

    webhooks: tuple[WebhookSettings, ...] = ()
    """Who is told of alarms by webhook."""

    mail: MailSettings | None = None
    """Who is told of alarms by e-mail, and through which server."""

    opcua: OpcuaServerSettings = OpcuaServerSettings()
    """The OPC UA server."""

    watch_interval_s: float = Field(0.25, ge=0.05, le=60, json_schema_extra=LIVE)
    """Interval at which the registry is asked whether something changed [s]."""

    @model_validator(mode="after")
    def _remote_is_meant(self) -> Self:
        if self.allow_remote or self.loopback:
            return self
        reached = f"host = {self.host!r} can be reached from other machines"
        if self.access.mode == "open":
            raise ValueError(
                f"{reached}, and whoever reaches it is an engineer: take access.mode = 'closed', listen on 127.0.0.1, "
                "or set allow_remote = true knowingly"
            )
        if self.tls is None:
            raise ValueError(
                f"{reached}, and without TLS passwords and keys can be read on the way: give tls.cert_file and "
                "tls.key_file, listen on 127.0.0.1 behind a proxy with TLS, or set allow_remote = true knowingly"
            )
        return self

    @model_validator(mode="after")
    def _targets_differ(self) -> Self:
        recipients = () if self.mail is None else self.mail.recipients
        names_differ("opcua", *(webhook.name for webhook in self.webhooks), *(each.name for each in recipients))
        return self

    @property
    def loopback(self) -> bool:
        """True if only this machine can reach `host`."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class ApiSettings(ProgramSettings):
    """Settings of the API service: its own section, and the stores it reads."""

    store: StoreSettings = StoreSettings()
    registry: RegistrySettings = RegistrySettings()
    signing: SigningSettings = SigningSettings()
    api: ApiSection = ApiSection()

    @property
    def keeps_files(self) -> bool:
        """True unless both databases are elsewhere, and nothing is kept for third parties."""
        outlets = bool(self.api.webhooks) or self.api.mail is not None or self.api.opcua.enabled
        return self.registry.url is None or self.store.kind == "sqlite" or outlets
