"""Settings of the edge agent: what it reads, from where, and how it keeps and sends it.

The smallest useful file: one OPC UA server, one broker, one sensor and its reference::

    site = "plant"
    [broker]
    host = "broker.example"
    [edge]
    name = "edge1"
    [[edge.opcua]]
    url = "opc.tcp://192.0.2.10:4840"
    nodes = [
      { sensor = "TT1", node = "ns=2;s=TT1", unit = "Cel", dt_s = 0.1, reference = "TT1R", model = "first_order" },
      { sensor = "TT1R", node = "ns=2;s=TT1R", unit = "Cel", dt_s = 0.1 },
    ]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from dyncal.domain.samples import MAX_BLOCK_SAMPLES
from dyncal.runtime.settings import LIVE, Name, ProgramSettings, Section, SigningSettings
from edge_agent.source_settings import MAX_S, MqttSensorMapping, MqttSourceSettings, OpcuaSettings, SensorSettings
from edge_agent.spool.policy import WhenFull


class SpoolSettings(Section):
    """What is kept on disk until the store has it."""

    max_bytes: int = Field(1 << 30, ge=1 << 20)
    """Most that it may take on disk [bytes]."""

    policy: WhenFull = "oldest"
    """What is given up when it is full: the oldest records, the newest, or, of everything, three blocks in four
    ("thin"; the oldest once that was done four times over); gap records say so."""

    alarm_at: float = Field(0.5, ge=0.05, le=1, json_schema_extra=LIVE)
    """Share of it from which on the alarm `spool_filling` is raised; it clears below 0.8 times that."""

    segment_bytes: int = Field(4 << 20, ge=1 << 16, le=1 << 28)
    """Size of a file [bytes]; at most a quarter of `max_bytes`."""

    fsync_s: float = Field(1.0, ge=0, le=60)
    """Interval between forced writes to the disk [s]; 0 forces every write. A killed process loses nothing either way;
    a machine that loses power may lose this much, but uses no sequence number twice for it."""

    commit_timeout_s: float = Field(30.0, gt=0, le=3600, json_schema_extra=LIVE)
    """Wait for the store to have what was sent before it is sent again [s]; doubled up to 16 times without answer."""

    replay_per_s: float = Field(3000.0, gt=0, le=1e6, json_schema_extra=LIVE)
    """Most records of the backlog sent a second, beside live ones; fewer where the store takes fewer."""

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if self.segment_bytes * 4 > self.max_bytes:
            raise ValueError(f"segment_bytes {self.segment_bytes} is more than a quarter of max_bytes {self.max_bytes}")
        return self


class CorrectionSettings(Section):
    """What a coefficient set must keep to before it is applied."""

    max_noise_gain: float = Field(1e3, gt=0)
    """Largest noise gain."""

    max_pole_radius: float = Field(0.99999, gt=0, lt=1)
    """Largest radius of a pole of its recursive sections."""

    max_latency_s: float = Field(3600.0, gt=0, le=MAX_S)
    """Longest latency [s]."""

    require_signature: bool = True
    """Whether only sets with a trusted signature are applied; `false` is for the laboratory."""

    history_samples: int = Field(4096, ge=16, le=1 << 20)
    """Raw samples remembered for each sensor, to start a new filter without a step."""


class ClockSettings(Section):
    """How this machine's clock is watched, whose time stamps are those of arrival."""

    sources: tuple[Literal["ptp", "chrony", "ntpd", "timesyncd", "kernel"], ...] = (
        "ptp", "chrony", "ntpd", "timesyncd", "kernel",
    )  # fmt: skip
    """Who is asked; the first in this order that says that the clock is synchronised counts."""

    interval_s: float = Field(16.0, ge=1, le=3600)
    """Time between two questions [s]."""

    holdover_ppm: float = Field(10.0, ge=0, le=1e5)
    """Standard uncertainty of its frequency while nobody disciplines it [1e-6]: 10 of an ordinary quartz that was."""

    u_limit_s: float = Field(0.1, gt=0, le=MAX_S)
    """Standard uncertainty above which it is degraded [s]: its sensors are in "check function"."""

    u_unknown_s: float = Field(1.0, gt=0, le=MAX_S)
    """Standard uncertainty of a clock that nothing is known of, neither measured nor declared [s]."""


class EdgeSection(Section):
    """The edge agent."""

    name: Name = "edge1"
    """Name of this edge, unique in the site; a level of its topics."""

    sensors: list[SensorSettings] = Field(default_factory=list)
    """Sensors whose mapping takes their id from the topic, or does not declare them."""

    opcua: list[OpcuaSettings] = Field(default_factory=list)
    """OPC UA servers."""

    mqtt: list[MqttSourceSettings] = Field(default_factory=list)
    """Devices on MQTT."""

    flush_s: float = Field(0.1, gt=0, le=60)
    """Longest that a sample waits for others of its block [s]."""

    block_samples: int = Field(4096, ge=1, le=MAX_BLOCK_SAMPLES)
    """Most samples in a block."""

    max_skew_s: float = Field(86_400.0, gt=0, le=MAX_S)
    """Largest difference between a sample's source time and its arrival [s]; beyond it the sample is refused."""

    u_clock_s: float | None = Field(None, ge=0, le=MAX_S)
    """Standard uncertainty of this machine's clock [s], beside what is measured of it; alone where nothing is."""

    clock: ClockSettings = ClockSettings()

    quarantine_files: int = Field(1000, ge=0, le=1_000_000)
    """Most unreadable messages kept in quarantine; the oldest give way."""

    quarantine_bytes: int = Field(64 << 20, ge=0, le=1 << 40)
    """Most bytes kept in quarantine; the oldest give way."""

    spool: SpoolSettings = SpoolSettings()
    correction: CorrectionSettings = CorrectionSettings()

    metrics_port: int | None = Field(None, ge=1, le=65_535)
    """Port of the Prometheus metrics on 127.0.0.1; none if absent."""

    metrics_host: str = "127.0.0.1"
    """Address of the Prometheus metrics."""

    @model_validator(mode="after")
    def _known_sensors(self) -> Self:
        declared = Counter(str(settings.sensor) for settings in self.all_sensors())
        twice = sorted(name for name, count in declared.items() if count > 1)
        if twice:
            raise ValueError(f"sensor {', '.join(twice)} is declared more than once")
        for mapping in self.mappings():
            if mapping.sensor is not None and mapping.sensor not in declared:
                raise ValueError(
                    f"sensor {mapping.sensor} of the mapping for {mapping.topic!r} has no unit and dt_s: give them "
                    "there or in edge.sensors"
                )
        return self

    def mappings(self) -> Iterator[MqttSensorMapping]:
        """Iterate over all mappings of all brokers."""
        for source in self.mqtt:
            yield from source.mappings

    def all_sensors(self) -> Iterator[SensorSettings]:
        """Iterate over the sensors, wherever they are declared."""
        yield from self.sensors
        for server in self.opcua:
            yield from server.nodes
        for mapping in self.mappings():
            declaration = mapping.declaration()
            if declaration is not None:
                yield declaration


class EdgeSettings(ProgramSettings):
    """Everything that `dyncal run edge` reads."""

    edge: EdgeSection = EdgeSection()
    signing: SigningSettings = SigningSettings()

    @property
    def spool_dir(self) -> Path:
        """Directory of the spool."""
        return self.data_dir / "edge" / self.edge.name / "spool"

    @property
    def sets_dir(self) -> Path:
        """Directory of the last-known-good coefficient sets."""
        return self.data_dir / "edge" / self.edge.name / "coefficients"

    @property
    def pki_dir(self) -> Path:
        """Directory of our certificate for OPC UA, and of the list of those that are trusted."""
        return self.data_dir / "edge" / self.edge.name / "pki"

    @property
    def commissioned_file(self) -> Path:
        """File of what the edge was told to read beside what its settings say."""
        return self.data_dir / "edge" / self.edge.name / "sources.json"

    @property
    def secrets_dir(self) -> Path:
        """Directory of the passwords and keys that a commissioned source may use."""
        return self.data_dir / "edge" / self.edge.name / "secrets"

    @property
    def subscriptions_dir(self) -> Path:
        """Directory of what the next life must know of subscriptions at OPC UA servers."""
        return self.data_dir / "edge" / self.edge.name / "subscriptions"

    @property
    def quarantine_dir(self) -> Path:
        """Directory of messages that could not be read."""
        return self.data_dir / "quarantine" / "edge" / self.edge.name
