"""A line between the edge's broker and ingest's that repeats and reorders messages, as bridges and networks may."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from types import TracebackType
from typing import Final, Self

import numpy as np
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

_BACK: Final = ("dyncal/v1/+/+/committed",)
_FORTH: Final = ("dyncal/v1/+/+/samples/+", "dyncal/v1/+/+/status", "dyncal/v1/+/+/events")


class Disorder:
    """Takes messages of one broker to another: some twice, each after a random while, so in any order.

    A message is acknowledged when the other broker has it. What ingest commits goes back in order.

    Parameters
    ----------
    near, far : int
        Ports of the edge's broker and of ingest's.
    seed : int
    twice : float
        Share of messages sent twice.
    up_to_s : float
        Longest that a message is held back [s].
    """

    def __init__(self, near: int, far: int, *, seed: int, twice: float = 0.2, up_to_s: float = 2.0) -> None:
        self._ports, self._twice, self._up_to_s = (near, far), twice, up_to_s
        self._random = np.random.default_rng(seed)
        self._held: list[tuple[float, int, paho.MQTTMessage, bool]] = []
        self._number = itertools.count()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._near, self._far = (_client(f"bridge-{end}") for end in ("near", "far"))
        self._near.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in _FORTH])
        self._far.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in _BACK])
        self._near.on_message, self._far.on_message = self._hold, self._give_back
        self._thread = threading.Thread(target=self._pass_on, name="disorder")
        self.n_passed = self.n_twice = 0

    def __enter__(self) -> Self:
        for client, port in zip((self._near, self._far), self._ports, strict=True):
            client.connect_async("127.0.0.1", port)
            client.loop_start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        for client in (self._near, self._far):
            client.disconnect()
            client.loop_stop()

    def _hold(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        """Keep a message for a while, and perhaps a second copy of it for another one; the last copy acknowledges."""
        copies = 2 if self._random.random() < self._twice else 1
        delays = sorted(self._random.uniform(0, self._up_to_s) for _ in range(copies))
        with self._lock:
            for delay in delays:
                due, is_last = time.monotonic() + delay, delay == delays[-1]
                heapq.heappush(self._held, (due, next(self._number), message, is_last))

    def _give_back(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        self._near.publish(message.topic, message.payload, 1, retain=True).wait_for_publish(5)
        self._far.ack(message.mid, message.qos)

    def _pass_on(self) -> None:
        sent: list[tuple[paho.MQTTMessageInfo, paho.MQTTMessage, bool]] = []
        while not self._ending.is_set():
            time.sleep(0.01)
            now = time.monotonic()
            with self._lock:
                while self._held and self._held[0][0] <= now:
                    _, _, message, is_last = heapq.heappop(self._held)
                    self.n_passed += is_last
                    self.n_twice += not is_last
                    retain = message.topic.endswith("/status")
                    sent.append((self._far.publish(message.topic, message.payload, 1, retain), message, is_last))
            waiting = []
            for info, message, is_last in sent:
                if not info.is_published():
                    waiting.append((info, message, is_last))
                elif is_last:
                    self._near.ack(message.mid, message.qos)
            sent = waiting


def _client(name: str) -> paho.Client:
    client = paho.Client(
        CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv311, clean_session=False, manual_ack=True
    )
    client.max_inflight_messages_set(1000)
    client.max_queued_messages_set(0)
    client.reconnect_delay_set(1, 2)
    return client
