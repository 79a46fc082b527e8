"""Why a broker does not take a message (MQTT 5.0, 3.4.2.1, and what brokers say besides)."""

from __future__ import annotations

from typing import Final

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

REFUSED: Final = 0x80
"""A reason of this and more is a refusal."""

_NOT_AUTHORIZED: Final = 0x87
_TOPIC_NAME_INVALID: Final = 0x90
_PACKET_TOO_LARGE: Final = 0x95  # not of a PUBACK by the standard, but mosquitto's answer beyond message_size_limit
_PAYLOAD_FORMAT_INVALID: Final = 0x99
_OF_THE_MESSAGE: Final = frozenset({_NOT_AUTHORIZED, _TOPIC_NAME_INVALID, _PACKET_TOO_LARGE, _PAYLOAD_FORMAT_INVALID})


def name(reason: int) -> str:
    """Return a reason in words; none is unknown, for brokers say what they like."""
    for packet in (PacketTypes.PUBACK, PacketTypes.DISCONNECT):  # which has those that mosquitto adds
        try:
            return str(ReasonCode(packet, identifier=reason))
        except (KeyError, ValueError):  # not of this packet, or of none
            continue
    return f"reason 0x{reason:02x}"


def of_the_message(reason: int) -> bool:
    """Tell whether it is for this message, whatever becomes of others, that the broker refuses it."""
    return reason in _OF_THE_MESSAGE
