"""MQTT topics, built and parsed in this one place."""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

from dyncal.domain.errors import InvalidData, MalformedMessage
from dyncal.domain.sensors import EdgeId, SensorId, SiteId, edge_id, sensor_id, site_id

ROOT: Final = "dyncal/v1"


class EdgeAddress(NamedTuple):
    """An edge within its site."""

    site: SiteId
    edge: EdgeId

    @property
    def prefix(self) -> str:
        """The topic levels above everything of this edge."""
        return f"{ROOT}/{self.site}/{self.edge}"

    @property
    def status(self) -> str:
        """Birth and will, retained."""
        return f"{self.prefix}/status"

    @property
    def events(self) -> str:
        """Overflows, revised sampling, quarantined inputs."""
        return f"{self.prefix}/events"

    @property
    def committed(self) -> str:
        """Watermark of what the store has, retained."""
        return f"{self.prefix}/committed"

    @property
    def ledger(self) -> str:
        """What became of its records, retained."""
        return f"{self.prefix}/ledger"

    @property
    def sources_desired(self) -> str:
        """What it is to read beside what its file says, signed, retained."""
        return f"{self.prefix}/sources/desired"

    @property
    def sources_reported(self) -> str:
        """What it did with that, retained."""
        return f"{self.prefix}/sources/reported"

    @property
    def requests(self) -> str:
        """Questions what there is to be read, signed."""
        return f"{self.prefix}/requests"

    @property
    def replies(self) -> str:
        """Answers to them."""
        return f"{self.prefix}/replies"

    @property
    def residuals(self) -> str:
        """What it finds of the sets that it runs, and runs beside them."""
        return f"{self.prefix}/residuals"

    def samples(self, sensor: SensorId) -> str:
        """Records of one sensor."""
        return f"{self.prefix}/samples/{sensor}"

    def desired(self, sensor: SensorId) -> str:
        """The signed set that the sensor should run, retained."""
        return f"{self.prefix}/coefficients/{sensor}/desired"

    def shadow(self, sensor: SensorId) -> str:
        """The signed set that is to run beside the one in force, retained; nothing ends it."""
        return f"{self.prefix}/coefficients/{sensor}/shadow"

    def reported(self, sensor: SensorId) -> str:
        """What the edge did with it, retained."""
        return f"{self.prefix}/coefficients/{sensor}/reported"


def alarm(site: SiteId, source: str, alarm_kind: str) -> str:
    """Return the topic of one alarm's state for third parties, retained."""
    return f"{ROOT}/{site}/alarms/{source}/{alarm_kind}"


def condition(site: SiteId, source: str, alarm_kind: str) -> str:
    """Return the topic of a condition that a program found, retained."""
    return f"{ROOT}/{site}/conditions/{source}/{alarm_kind}"


def reporter(site: SiteId, name: str) -> str:
    """Return the topic of all conditions that hold by one reporter, retained."""
    return f"{ROOT}/{site}/reporters/{name}"


def keys(site: SiteId) -> str:
    """Return the topic of the keys that sign for a site, retained."""
    return f"{ROOT}/{site}/keys"


def health(site: SiteId, sensor: SensorId) -> str:
    """Return the topic of what calibration says of one sensor, retained."""
    return f"{ROOT}/{site}/sensors/{sensor}/health"


ALL_SAMPLES: Final = f"{ROOT}/+/+/samples/+"
ALL_STATUS: Final = f"{ROOT}/+/+/status"
ALL_EVENTS: Final = f"{ROOT}/+/+/events"
ALL_COMMITTED: Final = f"{ROOT}/+/+/committed"
ALL_LEDGERS: Final = f"{ROOT}/+/+/ledger"
ALL_REPORTED: Final = f"{ROOT}/+/+/coefficients/+/reported"
ALL_RESIDUALS: Final = f"{ROOT}/+/+/residuals"
ALL_SOURCES_REPORTED: Final = f"{ROOT}/+/+/sources/reported"
ALL_REPLIES: Final = f"{ROOT}/+/+/replies"
ALL_ALARMS: Final = f"{ROOT}/+/alarms/+/+"
ALL_CONDITIONS: Final = f"{ROOT}/+/conditions/+/+"
ALL_REPORTERS: Final = f"{ROOT}/+/reporters/+"
ALL_KEYS: Final = f"{ROOT}/+/keys"
ALL_HEALTH: Final = f"{ROOT}/+/sensors/+/health"


_OF_EDGES: Final = ("status", "events", "committed", "ledger", "residuals", "requests", "replies")


class EdgeTopic(NamedTuple):
    """A parsed topic below an edge: its kind (``samples``, ``status``, …) and, where there is one, its sensor."""

    address: EdgeAddress
    kind: str
    sensor: SensorId | None


@functools.lru_cache(maxsize=16_384)
def parse(topic: str) -> EdgeTopic:
    """Return the parts of a topic below an edge.

    Raises
    ------
    MalformedMessage
        If the topic is none of this protocol's or a name in it may not be one.
    """
    parts = topic.split("/")
    if parts[:2] != ROOT.split("/"):
        raise MalformedMessage(f"{topic[:200]!r} is not a topic of {ROOT}")
    try:
        match parts[2:]:
            case [site, edge, kind] if kind in _OF_EDGES:
                return EdgeTopic(EdgeAddress(site_id(site), edge_id(edge)), kind, None)
            case [site, edge, "sources", ("desired" | "reported") as kind]:
                return EdgeTopic(EdgeAddress(site_id(site), edge_id(edge)), f"sources_{kind}", None)
            case [site, edge, "samples", sensor]:
                return EdgeTopic(EdgeAddress(site_id(site), edge_id(edge)), "samples", sensor_id(sensor))
            case [site, edge, "coefficients", sensor, ("desired" | "reported" | "shadow") as kind]:
                return EdgeTopic(EdgeAddress(site_id(site), edge_id(edge)), kind, sensor_id(sensor))
            case _:
                raise MalformedMessage(f"{topic[:200]!r} is not a topic of this protocol")
    except InvalidData as error:
        raise MalformedMessage(str(error)) from error
