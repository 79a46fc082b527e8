"""What the edge is told over the bus: watermarks, and the sets that are to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dyncal.contracts import codec
from dyncal.contracts.edges import VERSION, CommittedMessage
from dyncal.contracts.topics import EdgeAddress, parse
from dyncal.domain.errors import MalformedMessage
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from edge_agent.aside import Unreadable
from edge_agent.events import Committed, DesiredSet, Event, ShadowSet


def filters(address: EdgeAddress, sensors: Iterable[SensorId]) -> list[str]:
    """Return the topics to subscribe to."""
    return [address.committed, *of_sensors(address, sensors)]


def of_sensors(address: EdgeAddress, sensors: Iterable[SensorId]) -> list[str]:
    """Return the topics about these sensors."""
    return [topic for sensor in sensors for topic in (address.desired(sensor), address.shadow(sensor))]


def read(
    topic: str, payload: bytes, address: EdgeAddress, now: InstantNs, set_aside: Callable[[Unreadable], None]
) -> list[Event]:
    """Return the events in a message; what cannot be read is set aside."""
    try:
        return _read(topic, payload, address, now)
    except MalformedMessage as error:
        set_aside(Unreadable(topic, payload, str(error), now))
        return []


def _read(topic: str, payload: bytes, address: EdgeAddress, now: InstantNs) -> list[Event]:
    parsed = parse(topic)
    if parsed.address != address:
        raise MalformedMessage("not for this edge")
    if parsed.kind == "desired" and parsed.sensor is not None:
        if not payload:  # the retained message was cleared; a set in use is not taken back by an unsigned word
            return []
        return [DesiredSet(parsed.sensor, payload, now)]
    if parsed.kind == "shadow" and parsed.sensor is not None:
        return [ShadowSet(parsed.sensor, payload, now)]
    if parsed.kind != "committed":
        raise MalformedMessage(f"nothing to do for a message of kind {parsed.kind}")
    if not payload:
        return []
    message = codec.from_json(payload, CommittedMessage)
    if message.v != VERSION:
        raise MalformedMessage(f"watermarks of version {message.v}; this program reads {VERSION}")
    upto = {SensorId(sensor): sequence for sensor, sequence in message.upto.items() if -1 <= sequence < 1 << 62}
    return [Committed(message.epoch, upto, now, message.since_ns, message.at_ns)]
