"""What a third party sees on the broker: when a device's samples come, when they are out again, corrected.

Both are heard on connections of their own, so that the way through the broker is in neither more than in the other.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Final, Self

import msgspec
import numpy as np
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from dyncal.contracts import coefficients, samples, topics
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.coefficients import Outcome
from dyncal.domain.samples import SampleBlock
from dyncal.domain.sensors import SensorId
from simulators.surfaces.addresses import topic

_CONNECT_S: Final = 10.0
_KEPT: Final = 4096


class _Sent(msgspec.Struct, frozen=True):
    time: int


class Probes:
    """Listens to some channels and to all sets, as a context manager.

    Attributes
    ----------
    passed_s : list of (float, float)
        When a block was heard, and how long after the device's message that it is made of [s], by a monotonic clock.
    corrected : int
        Of these, blocks with corrected values.
    applied_s : dict
        From the publication of a set to the word that it is applied [s], by set.
    """

    def __init__(self, port: int, edge: EdgeAddress, watched: Collection[str]) -> None:
        self.passed_s: list[tuple[float, float]] = []
        self.corrected = 0
        self.applied_s: dict[str, float] = {}
        self._came: dict[str, dict[int, float]] = defaultdict(dict)
        self._published: dict[str, float] = {}
        self._lock = threading.Lock()
        self._edge, self._watched = edge, list(watched)
        devices = [topic(name) for name in watched]
        blocks = [edge.samples(SensorId(name)) for name in watched]
        every = SensorId("+")
        sets = [edge.desired(every), edge.reported(every)]
        self._clients = [
            _client(port, devices, self._device),
            _client(port, blocks, self._block),
            _client(port, sets, self._set),
        ]

    def __enter__(self) -> Self:
        """Listen."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        for client in self._clients:
            client.disconnect()
            client.loop_stop()

    def _device(self, where: str, payload: bytes, retained: bool, at_s: float) -> None:
        name = where.split("/")[1]
        first_ns = msgspec.json.decode(payload, type=_Sent).time
        with self._lock:
            came = self._came[name]
            came[first_ns] = at_s
            if len(came) > _KEPT:
                del came[next(iter(came))]

    def _block(self, where: str, payload: bytes, retained: bool, at_s: float) -> None:
        record = samples.decode(payload)
        if not isinstance(record, SampleBlock):
            return
        first_ns = int(record.axis.t_ns[0])
        with self._lock:
            came_s = self._came[record.sensor].pop(first_ns, None)
        if came_s is None:
            return
        self.passed_s.append((at_s, at_s - came_s))
        self.corrected += record.corrected is not None and bool(np.any(np.isfinite(record.corrected.value)))

    def _set(self, where: str, payload: bytes, retained: bool, at_s: float) -> None:
        if retained:  # of before
            return
        if topics.parse(where).kind == "reported":
            report = coefficients.decode_report(payload)
            with self._lock:
                published_s = self._published.get(report.set_id)
                if report.outcome is Outcome.APPLIED and published_s is not None:
                    self.applied_s.setdefault(report.set_id, at_s - published_s)
        elif payload:
            known = coefficients.open_set(coefficients.read_envelope(payload).set)
            with self._lock:
                self._published.setdefault(known.id, at_s)

    @property
    def n_published(self) -> int:
        """Sets whose publication was heard."""
        return len(self._published)


def _client(port: int, filters: list[str], take: Callable[[str, bytes, bool, float], None]) -> Client:
    client = Client(CallbackAPIVersion.VERSION2)
    ready = threading.Event()

    def connected(*_: object) -> None:
        client.subscribe([(one, 0) for one in filters])

    def subscribed(*_: object) -> None:
        ready.set()

    def came(_client: Client, _data: object, message: MQTTMessage) -> None:
        take(message.topic, bytes(message.payload), message.retain, time.monotonic())

    client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, came
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert ready.wait(_CONNECT_S), "the broker does not answer a probe"
    return client
