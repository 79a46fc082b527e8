"""MQTT behind the `MessageBus` port: paho-mqtt as the client, amqtt as a broker for small plants."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dyncal.adapters.mqtt.bus import PahoMessageBus, open_bus
    from dyncal.adapters.mqtt.embedded import EmbeddedBroker
    from dyncal.adapters.mqtt.process import BrokerProcess

__all__ = ["BrokerProcess", "EmbeddedBroker", "PahoMessageBus", "open_bus"]

_PLACES: Final = {
    "BrokerProcess": "dyncal.adapters.mqtt.process",
    "EmbeddedBroker": "dyncal.adapters.mqtt.embedded",
    "PahoMessageBus": "dyncal.adapters.mqtt.bus",
    "open_bus": "dyncal.adapters.mqtt.bus",
}


def __getattr__(name: str) -> Any:
    # The edge imports this package and must not need amqtt, nor the broker's process paho.
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
