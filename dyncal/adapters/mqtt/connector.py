"""The thread that makes connections to the broker, one after the other."""

from __future__ import annotations

import dataclasses
import threading
import time
from dataclasses import dataclass
from typing import Final

from dyncal.adapters.mqtt.client import LinkOptions, Protocol_
from dyncal.adapters.mqtt.link import Link, LinkEvents
from dyncal.domain.errors import InvalidSetting
from dyncal.ports.chance import Chance
from dyncal.runtime.logging import logger

STOOD_S: Final = 5.0
"""A connection that ends sooner did not stand: a broker that ends one after the other is not to be asked at once."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waiting times between attempts: growing from `first_s` to `longest_s`, each drawn from its upper half.

    A growth by a quarter makes a wait about a fifth of the time that the broker has been away.
    """

    first_s: float = 0.05
    longest_s: float = 30.0
    growth: float = 1.25

    def delay_s(self, attempt: int, rng: Chance) -> float:
        """Return the wait after `attempt` failures in a row (0 after a connection that had stood) [s]."""
        ceiling = min(self.longest_s, self.first_s * self.growth ** min(attempt, 100))
        return float(ceiling * rng.uniform(0.5, 1.0))


class Connector:
    """The thread that keeps a link up until it is closed."""

    def __init__(self, options: LinkOptions, events: LinkEvents, backoff: Backoff, rng: Chance) -> None:
        self._options = options
        self._events = events
        self._backoff = backoff
        self._rng = rng
        self._log = logger("mqtt").bind(client_id=options.client_id)
        self._closing = threading.Event()
        self._link: Link | None = None
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{options.client_id}", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Take leave of the broker and wait for the thread to end, at most `timeout_s`."""
        self._closing.set()
        link = self._link
        if link is not None:
            link.end("closed")
        self._thread.join(timeout_s)

    def _run(self) -> None:
        attempt = 0
        protocol: Protocol_ = "3.1.1" if self._options.protocol == "3.1.1" else "5"
        while not self._closing.is_set():
            self._link = link = Link(self._options, protocol, self._events)
            if self._closing.is_set():
                break
            began_s = time.monotonic()
            link.run()
            stood = link.was_up and time.monotonic() - began_s >= STOOD_S
            attempt = 0 if stood else attempt + 1
            if self._options.protocol == "auto" and link.try_other_protocol:
                protocol = "3.1.1" if protocol == "5" else "5"
            self._closing.wait(self._backoff.delay_s(attempt, self._rng))
            self._renew()

    def _renew(self) -> None:
        """Read password and certificates again; while what is there cannot be used, those of before stay in use."""
        if self._options.renew is None:
            return
        try:
            password, tls = self._options.renew()
        except InvalidSetting as error:
            self._log.warning("credentials_not_renewed", error=str(error))
        else:
            self._options = dataclasses.replace(self._options, password=password, tls=tls)
