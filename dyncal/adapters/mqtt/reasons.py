"""Why a broker does not take a message (MQTT 5.0, 3.4.2.1, and what brokers say besides)."""

from __future__ import annotations

from typing import Final

REFUSED: Final = 0x80
"""A reason of this and more is a refusal."""

_NOT_AUTHORIZED: Final = 0x87
_TOPIC_NAME_INVALID: Final = 0x90
_PACKET_TOO_LARGE: Final = 0x95  # not of a PUBACK by the standard, but mosquitto's answer beyond message_size_limit
_PAYLOAD_FORMAT_INVALID: Final = 0x99
_NAMES: Final = {
    0x80: "unspecified error",
    0x83: "implementation specific error",
    _NOT_AUTHORIZED: "not authorized",
    _TOPIC_NAME_INVALID: "topic name invalid",
    0x91: "packet identifier in use",
    _PACKET_TOO_LARGE: "packet too large",
    0x97: "quota exceeded",
    _PAYLOAD_FORMAT_INVALID: "payload format invalid",
}
_OF_THE_MESSAGE: Final = frozenset({_NOT_AUTHORIZED, _TOPIC_NAME_INVALID, _PACKET_TOO_LARGE, _PAYLOAD_FORMAT_INVALID})


def name(reason: int) -> str:
    """Return a reason in words; none is unknown, for brokers say what they like."""
    return _NAMES.get(reason, f"reason 0x{reason:02x}")


def of_the_message(reason: int) -> bool:
    """Tell whether it is for this message, whatever becomes of others, that the broker refuses it."""
    return reason in _OF_THE_MESSAGE
