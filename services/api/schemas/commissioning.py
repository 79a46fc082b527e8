"""Shapes of what edges read, and of what they find."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from services.api.commissioning import EdgeSources
from services.api.schemas.base import InstantNs, Shape, example

_NODE = {"sensor": "TT-101", "node": "nsu=urn:plant;s=TT101", "unit": "Cel", "dt_s": 0.1}
_SERVER = {"url": "opc.tcp://192.0.2.10:4840"}


class SourcesBody(Shape):
    """All that an edge is to read beside what its own file says."""

    model_config = example(opcua=[{**_SERVER, "nodes": [_NODE]}], mqtt=[])

    opcua: list[dict[str, Any]] = Field(default_factory=list, max_length=1000)
    """OPC UA servers, each as `[[edge.opcua]]` in the edge's file. Passwords and keys only as files on the edge."""

    mqtt: list[dict[str, Any]] = Field(default_factory=list, max_length=1000)
    """Devices on MQTT, each as `[[edge.mqtt]]` in the edge's file."""


class SourcesReportOut(Shape):
    """What the edge did with it."""

    model_config = example(revision=3, outcome="applied", running=3, at_ns=1_769_860_800_000_000_000, reason="")

    revision: int
    """What it is about; 0 where the edge could not read even that."""
    outcome: Literal["applied", "rejected"]
    running: int
    """The revision in force; 0 for none."""
    at_ns: InstantNs
    reason: str
    """Why it was rejected."""


class SourcesOut(Shape):
    """What an edge is to read beside its own file, and what it said of that."""

    model_config = example(
        edge="edge1",
        revision=3,
        at_ns=1_769_860_800_000_000_000,
        opcua=[{**_SERVER, "nodes": [_NODE]}],
        mqtt=[],
        reported=None,
    )

    edge: str
    revision: int
    """Grows with every change; 0 where nothing was ever said."""
    at_ns: InstantNs
    opcua: list[dict[str, Any]]
    mqtt: list[dict[str, Any]]
    reported: SourcesReportOut | None
    """What the edge said last; null where it has said nothing."""

    @classmethod
    def of(cls, sources: EdgeSources) -> Self:
        """Return the shape of what an edge is to read."""
        return cls(
            edge=sources.address.edge,
            revision=sources.revision,
            at_ns=sources.at_ns,
            opcua=sources.opcua,
            mqtt=sources.mqtt,
            reported=None
            if sources.reported is None
            else SourcesReportOut.model_validate(sources.reported, from_attributes=True),
        )


class BrowseBody(Shape):
    """Where to look on an OPC UA server."""

    model_config = example(server=_SERVER, node="")

    server: dict[str, Any]
    """The server, as `[[edge.opcua]]` without nodes."""
    node: str = Field("", max_length=2000)
    """The node below which to look, as it was found before, or a browse path; Objects if empty."""


class NodeOut(Shape):
    """A node."""

    model_config = example(
        node="nsu=urn:plant;s=TT101", name="TT101", variable=True, numeric=True, array=False, data_type="Double",
        value="20.5", unit="°C", status="", source_ns=1_769_860_800_000_000_000,
    )  # fmt: skip

    node: str
    """What a source's `node` takes, and what to look below."""
    name: str
    variable: bool
    numeric: bool
    """Whether it is a number or an array of numbers: what can be a sensor."""
    array: bool
    data_type: str
    value: str
    unit: str
    """Engineering unit as the server says it."""
    status: str
    """Name of its status code where that is not Good."""
    source_ns: int | None


class NodesOut(Shape):
    """What lies below a node."""

    model_config = example(nodes=[], more=False)

    nodes: list[NodeOut]
    more: bool
    """Whether there is more than is shown."""


class TopicsBody(Shape):
    """Where to listen, to what, and how long."""

    model_config = example(broker=None, filter="devices/#", seconds=5)

    broker: dict[str, Any] | None = None
    """The broker, as `[edge.mqtt.broker]`; the edge's own if absent."""
    filter: str = Field("#", min_length=1, max_length=1000)
    """Topic filter."""
    seconds: float = Field(5.0, gt=0, le=30)


class FieldOut(Shape):
    """A place in a message."""

    model_config = example(place="/value", value="20.5", array=False)

    place: str
    """What a mapping's `value_at` or `time_at` takes: JSON pointer, or column number."""
    value: str
    array: bool


class TopicOut(Shape):
    """A topic that was heard."""

    model_config = example(
        topic="devices/TT101", n_messages=50, payload='{"value": 20.5}', format="json",
        numbers=[{"place": "/value", "value": "20.5", "array": False}], times=[],
    )  # fmt: skip

    topic: str
    n_messages: int
    payload: str
    """The beginning of the last one."""
    format: Literal["", "number", "json", "msgpack", "csv"]
    """What a mapping's `format` takes; empty where it cannot be read."""
    numbers: list[FieldOut]
    times: list[FieldOut]


class TopicsOut(Shape):
    """Topics that were heard, in order."""

    model_config = example(topics=[], more=False)

    topics: list[TopicOut]
    more: bool
    """Whether there were more than are shown."""
