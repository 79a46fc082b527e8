"""Settings of the ingest service."""

from __future__ import annotations

from pydantic import Field

from dyncal.runtime.settings import ProgramSettings, Section, StoreSettings


class IngestSection(Section):
    """From the broker to the time-series store."""

    client_id: str = Field("", max_length=64)
    """Name of the session in the broker; default `dyncal-ingest-` and the site. Keep it: the session belongs to it."""

    batch_records: int = Field(2000, ge=1, le=100_000)
    """Most records in one write."""

    batch_bytes: int = Field(8 << 20, ge=1 << 16, le=1 << 30)
    """Most payload in one write [bytes]."""

    linger_s: float = Field(0.05, ge=0, le=5)
    """Longest wait of a record for others to share its write [s]."""

    quiet_s: float = Field(0.01, ge=0, le=5)
    """Silence after which a write begins before `linger_s` is over [s]: the broker's window may be full."""

    pending_records: int = Field(20_000, ge=1, le=1_000_000)
    """Most records held while a write is under way; more stay with the broker."""

    pending_bytes: int = Field(64 << 20, ge=1 << 20, le=1 << 32)
    """Most payload held while a write is under way [bytes]; more stays with the broker."""

    committed_interval_s: float = Field(0.2, ge=0, le=10)
    """Least interval between two announcements to one edge of what is committed [s]."""

    ledger_interval_s: float = Field(10.0, ge=0.1, le=3600)
    """Interval between two reports of the ledger: what became of each sensor's records [s]."""

    retry_first_s: float = Field(0.25, gt=0, le=60)
    """Wait before the first repetition of a failed write [s]; doubles each time, with jitter."""

    retry_longest_s: float = Field(15.0, gt=0, le=600)
    """Longest wait before a repetition [s]."""

    quarantine_files: int = Field(1000, ge=0, le=1_000_000)
    """Most payloads kept in quarantine; the oldest give way."""

    quarantine_bytes: int = Field(64 << 20, ge=0, le=1 << 40)
    """Most bytes kept in quarantine; the oldest give way."""

    metrics_host: str = "127.0.0.1"
    """Address at which Prometheus metrics are served."""

    metrics_port: int = Field(0, ge=0, le=65535)
    """TCP port of the metrics; 0 serves none."""


class IngestSettings(ProgramSettings):
    """Everything that the ingest service is told."""

    store: StoreSettings = StoreSettings()
    ingest: IngestSection = IngestSection()
