"""Messages that arrived and are not acknowledged yet: their count and their bytes are bounded here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """How much may be held unacknowledged: number of messages and sum of their payloads [bytes]."""

    messages: int = 8_192
    n_bytes: int = 64 << 20


class Holding:
    """Counts what one connection holds; used from the network's thread and the consumer's.

    A broker that speaks MQTT 5 is told to keep below these limits (receive maximum). One that does not listen finds
    its surplus not taken: the connection then takes nothing more, and is made anew when all that it holds is
    acknowledged, so that the broker delivers the surplus again.
    """

    def __init__(self, limits: HoldLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._n_messages = 0
        self._n_bytes = 0
        self._overflowed = False

    @property
    def overflowed(self) -> bool:
        """True once something could not be taken."""
        return self._overflowed

    @property
    def empty(self) -> bool:
        """True while nothing is held."""
        return self._n_messages == 0

    def take(self, n_bytes: int) -> bool:
        """Count one more message; False, and nothing counted, if it is too much."""
        with self._lock:
            full = self._n_messages >= self._limits.messages or self._n_bytes + n_bytes > self._limits.n_bytes
            if self._overflowed or (full and self._n_messages > 0):
                self._overflowed = True
                return False
            self._n_messages += 1
            self._n_bytes += n_bytes
            return True

    def give_back(self, n_bytes: int) -> None:
        """Count one message less."""
        with self._lock:
            self._n_messages -= 1
            self._n_bytes -= n_bytes


class PahoDelivery:
    """One message that arrived, as `dyncal.ports.message_bus.Delivery`; `acknowledge` is called once, with it."""

    __slots__ = ("_acknowledge", "mid", "payload", "qos", "retained", "topic")

    def __init__(
        self,
        topic: str,
        payload: bytes,
        mid: int,
        qos: int,
        *,
        retained: bool,
        acknowledge: Callable[[PahoDelivery], None],
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.mid = mid
        self.qos = qos
        self.retained = retained
        self._acknowledge = [acknowledge]

    def ack(self) -> None:
        """Send PUBACK, once, if the connection that it came by still stands; never raises."""
        try:
            acknowledge = self._acknowledge.pop()  # a list gives it to one thread only
        except IndexError:
            return
        acknowledge(self)
