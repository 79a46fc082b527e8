"""Where channels are found on the plant's surfaces."""

from __future__ import annotations

from typing import Final

TOPIC_FILTER: Final = "devices/+/data"
"""Topics of the MQTT devices."""


def node_id(channel_id: str) -> str:
    """Return the OPC UA node id of a channel as text."""
    return f"ns=2;s={channel_id}"


def topic(channel_id: str) -> str:
    """Return the MQTT topic of a channel."""
    return f"devices/{channel_id}/data"
