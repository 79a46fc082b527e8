"""Which of the variables that patterns find are sensors of this edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncua.client.ua_session import UaSession

from dyncal.domain.errors import Unavailable
from dyncal.domain.sensors import SensorId
from edge_agent.readers.addresses import parse_pattern
from edge_agent.readers.browsing import namespaces
from edge_agent.readers.discovery import Found, find
from edge_agent.readers.limits import Limits
from edge_agent.source_settings import BrowseSettings, NodeSettings, OpcuaSettings, SensorSettings


class Finds:
    """Looks for sensors on one server; each is found once, in the first place where it is.

    Parameters
    ----------
    declared : mapping of sensor to SensorSettings
        Those that may be found.

    Attributes
    ----------
    passed_over : str
        What was found, and is no sensor, or could not be looked for; empty if nothing.
    """

    def __init__(self, settings: OpcuaSettings, declared: Mapping[SensorId, SensorSettings]) -> None:
        self._settings = settings
        self._declared = declared
        self._known: dict[SensorId, Any] = {SensorId(node.sensor): None for node in settings.nodes}
        self.passed_over = ""

    async def more(self, session: UaSession, limits: Limits) -> list[NodeSettings]:
        """Return sensors that were not found before. Raises as `discovery.find` if the connection is gone."""
        self.passed_over = ""
        if not self._settings.browse:
            return []
        indices = await namespaces(session)
        nodes: list[NodeSettings] = []
        for browse in self._settings.browse:
            try:
                found = await find(session, limits, indices, parse_pattern(browse.path, self._settings.namespaces))
            except (Unavailable, ValueError) as error:
                self.passed_over = f"{browse.path}: {error}"
                continue
            nodes += self._sensors(browse, found)
        return nodes

    def _sensors(self, browse: BrowseSettings, found: list[Found]) -> list[NodeSettings]:
        nodes: list[NodeSettings] = []
        others: list[str] = []
        for variable in found:
            sensor = SensorId(browse.sensor.replace("{name}", variable.name).replace("{parent}", variable.parent))
            node_id = variable.node_id.to_string()
            if sensor not in self._declared or self._known.get(sensor, node_id) != node_id:
                others.append(f"{sensor} ({node_id})")
            elif sensor not in self._known:
                self._known[sensor] = node_id
                nodes.append(_node(self._declared[sensor], browse, node_id))
        if others:
            self.passed_over = (
                f"{len(others)} of {len(found)} variables of {browse.path} are no sensors of edge.sensors, or another "
                f"has their id, such as {others[0]}"
            )
        return nodes


def _node(sensor: SensorSettings, browse: BrowseSettings, node_id: str) -> NodeSettings:
    how = {"array": browse.array, "sampling_s": browse.sampling_s, "queue_size": browse.queue_size}
    return NodeSettings(**sensor.model_dump(), **how, node=node_id)
