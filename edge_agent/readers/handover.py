"""What the next life of an agent must know to go on with a subscription that this one leaves behind.

A process that is killed takes its connection with it, and one that stops ends its session, but not the subscription:
the server keeps that for minutes, with what it has queued and what was not acknowledged, to be transferred to whoever
asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from dyncal.domain.sensors import SensorId
from dyncal.runtime.logging import logger
from edge_agent.source_settings import OpcuaSettings, SensorSettings

_SHAPES_IT: Final = {"url", "publishing_s", "nodes", "browse", "namespaces"}


class Kept(msgspec.Struct, frozen=True):
    """A subscription, which sensor each client handle is of, the settings it was made with, and its server's start."""

    settings: str
    server_started: str
    subscription: int
    stale_s: float
    handles: dict[str, str]

    def sensors(self) -> dict[int, SensorId]:
        """Return the sensor of each client handle."""
        return {int(handle): SensorId(sensor) for handle, sensor in self.handles.items()}


class Handover:
    """A file for each server. What cannot be read or written is as if it were not there.

    Parameters
    ----------
    directory : Path
        Made when it is first needed.
    settings : OpcuaSettings
        A subscription that was made with other nodes is not gone on with.
    declared : iterable of SensorSettings
        Sensors that patterns may find, with which it is the same.
    """

    def __init__(self, directory: Path, settings: OpcuaSettings, declared: Iterable[SensorSettings] = ()) -> None:
        self._path = directory / f"{hashlib.sha256(settings.url.encode()).hexdigest()[:16]}.json"
        self._declared = [sensor.model_dump_json() for sensor in declared]
        self._settings = ""
        self.become(settings)

    def become(self, settings: OpcuaSettings) -> None:
        """Have what is kept from now on be of these settings."""
        shapes = [settings.model_dump_json(include=_SHAPES_IT)]
        if settings.browse:
            shapes += self._declared
        self._settings = hashlib.sha256("\n".join(shapes).encode()).hexdigest()

    def load(self) -> Kept | None:
        """Return what an earlier life has left, if it is of use."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=Kept)
            kept.sensors()
        except (OSError, ValueError, msgspec.MsgspecError):
            return None
        return kept if kept.settings == self._settings else None

    def keep(self, server_started: str, subscription: int, stale_s: float, sensors: Mapping[int, SensorId]) -> None:
        """Write down a subscription whose items are made."""
        handles = {str(handle): str(sensor) for handle, sensor in sensors.items()}
        kept = Kept(self._settings, server_started, subscription, stale_s, handles)
        draft = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(msgspec.json.encode(kept))
            draft.replace(self._path)
        except OSError as error:  # a killed agent will find holes then, which it fills or records
            logger("edge.opcua").warning("handover_not_kept", path=str(self._path), error=str(error))

    def forget(self) -> None:
        """Leave nothing: the subscription is gone."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            logger("edge.opcua").warning("handover_not_removed", path=str(self._path), error=str(error))
