"""MQTT behind the `MessageBus` port: paho-mqtt as the client, amqtt as a broker inside the process."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dyncal.adapters.mqtt.bus import PahoMessageBus, open_bus

if TYPE_CHECKING:
    from dyncal.adapters.mqtt.embedded import EmbeddedBroker

__all__ = ["EmbeddedBroker", "PahoMessageBus", "open_bus"]


def __getattr__(name: str) -> Any:
    # The edge imports this package and must not need amqtt.
    if name == "EmbeddedBroker":
        return importlib.import_module("dyncal.adapters.mqtt.embedded").EmbeddedBroker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
