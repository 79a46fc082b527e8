"""What a connection is told, and the paho client that is made of it: it connects, subscribes and keeps alive."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from dyncal.adapters.mqtt.delivery import HoldLimits
from dyncal.adapters.mqtt.wire import Wire
from dyncal.ports.message_bus import Will

CONNECT_TIMEOUT_S: Final = 4.0

Protocol_ = Literal["5", "3.1.1"]


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """All that a connection needs to know; `window` bounds publishes in flight, `hold` what arrives.

    `renew` reads password and certificates again, for the next connection; it may raise `InvalidSetting`.
    """

    host: str
    port: int
    client_id: str
    clean: bool
    keepalive_s: int
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    renew: Callable[[], tuple[str | None, ssl.SSLContext | None]] | None = None
    will: Will | None = None
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    window: int = 1_000
    receive_maximum: int = 1_000
    hold: HoldLimits = field(default_factory=HoldLimits)


def make_client(options: LinkOptions, protocol: Protocol_) -> paho.Client:
    """Return a client for one connection, whose socket is a `Wire`."""
    client = _Client(
        CallbackAPIVersion.VERSION2,
        client_id=options.client_id,
        clean_session=None if protocol == "5" else options.clean,
        protocol=paho.MQTTv5 if protocol == "5" else paho.MQTTv311,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.connect_timeout = CONNECT_TIMEOUT_S
    client.max_inflight_messages_set(65_535)  # the bus keeps its own window, which the broker may narrow
    if options.username is not None:
        client.username_pw_set(options.username, options.password)
    if options.tls is not None:
        client.tls_set_context(options.tls)
    if options.will is not None:
        client.will_set(options.will.topic, options.will.payload, qos=1, retain=options.will.retain)
    return client


class _Client(paho.Client):
    """paho, with a `Wire` for its socket."""

    def _create_socket(self) -> Wire:
        return Wire(cast(socket.socket, super()._create_socket()))
