"""Settings of the ingest service."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from dyncal.domain.errors import InvalidData
from dyncal.domain.retention import Policy, policy_of
from dyncal.domain.time import DurationNs, duration
from dyncal.runtime.settings import LIVE, ProgramSettings, RegistrySettings, Section, StoreSettings


class AggregateSettings(Section):
    """What stands for older samples."""

    every_s: int = Field(ge=1, le=86_400)
    """Length of the intervals of which mean, extremes, counts and uncertainty are kept [s]."""

    days: float | None = Field(None, gt=1, le=36_500)
    """How old they become [d]; then the next ones stand for them, or nothing does. Default: for ever."""


class RetentionSection(Section):
    """How long samples are kept, and what is kept of them then (docs/retention.md)."""

    raw_days: float | None = Field(None, ge=1, le=36_500)
    """How long samples are kept as they came [d]; default for ever. Longer than `calibrate.max_catch_up_s`."""

    aggregates: tuple[AggregateSettings, ...] = Field(
        (AggregateSettings(every_s=1, days=365), AggregateSettings(every_s=60)), max_length=6
    )
    """What stands for them then, each a multiple of the one before; none: nothing does."""

    again_s: float = Field(3600.0, ge=1, le=86_400)
    """Interval between two searches for what has become too old [s]."""

    share: float = Field(0.2, gt=0, le=1)
    """Most of its time for which the thread that writes may be busy with it."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        try:
            _ = self.policy
        except InvalidData as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def policy(self) -> Policy:
        """What becomes of samples, and when."""
        keep = None if self.raw_days is None else _days(self.raw_days)
        widths = [(duration(one.every_s), None if one.days is None else _days(one.days)) for one in self.aggregates]
        return policy_of(keep, widths)


def _days(days: float) -> DurationNs:
    return duration(days * 86_400.0)


class IngestSection(Section):
    """From the broker to the time-series store."""

    client_id: str = Field("", max_length=64)
    """Name of the session in the broker; default `dyncal-ingest-` and the site. Keep it: the session belongs to it."""

    batch_records: int = Field(2000, ge=1, le=100_000, json_schema_extra=LIVE)
    """Most records in one write."""

    batch_bytes: int = Field(8 << 20, ge=1 << 16, le=1 << 30, json_schema_extra=LIVE)
    """Most payload in one write [bytes]."""

    linger_s: float = Field(0.05, ge=0, le=5, json_schema_extra=LIVE)
    """Longest wait of a record for others to share its write [s]."""

    quiet_s: float = Field(0.01, ge=0, le=5, json_schema_extra=LIVE)
    """Silence after which a write begins before `linger_s` is over [s]: the broker's window may be full."""

    pending_records: int = Field(20_000, ge=1, le=1_000_000, json_schema_extra=LIVE)
    """Most records held while a write is under way; more stay with the broker."""

    pending_bytes: int = Field(64 << 20, ge=1 << 20, le=1 << 32, json_schema_extra=LIVE)
    """Most payload held while a write is under way [bytes]; more stays with the broker."""

    committed_interval_s: float = Field(0.2, ge=0, le=10, json_schema_extra=LIVE)
    """Least interval between two announcements to one edge of what is committed [s]."""

    ledger_interval_s: float = Field(10.0, ge=0.1, le=3600, json_schema_extra=LIVE)
    """Interval between two reports of the ledger: what became of each sensor's records [s]."""

    retry_first_s: float = Field(0.25, gt=0, le=60, json_schema_extra=LIVE)
    """Wait before the first repetition of a failed write [s]; doubles each time, with jitter."""

    retry_longest_s: float = Field(15.0, gt=0, le=600, json_schema_extra=LIVE)
    """Longest wait before a repetition [s]."""

    quarantine_files: int = Field(1000, ge=0, le=1_000_000)
    """Most payloads kept in quarantine; the oldest give way."""

    quarantine_bytes: int = Field(64 << 20, ge=0, le=1 << 40)
    """Most bytes kept in quarantine; the oldest give way."""

    retention: RetentionSection = RetentionSection()
    """How long samples are kept, and what is kept of them then."""

    metrics_host: str = "127.0.0.1"
    """Address at which Prometheus metrics are served."""

    metrics_port: int = Field(0, ge=0, le=65535)
    """TCP port of the metrics; 0 serves none."""


class IngestSettings(ProgramSettings):
    """Everything that the ingest service is told."""

    store: StoreSettings = StoreSettings()
    registry: RegistrySettings = RegistrySettings()
    ingest: IngestSection = IngestSection()

    @model_validator(mode="after")
    def _one_retention(self) -> Self:
        if self.store.retention_days is not None and self.ingest.retention.raw_days is not None:
            raise ValueError(
                "store.retention_days and ingest.retention.raw_days exclude each other: the first knows no holds"
            )
        return self
