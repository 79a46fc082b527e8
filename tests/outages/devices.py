"""Devices that send seeded samples over MQTT and keep each message until their broker has it."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

import msgspec
import numpy as np
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import Int64Array
from dyncal.runtime.clocks import SystemClock

CONNECT_TIMEOUT_S: Final = 10.0
N_SENSORS: Final = 8
BLOCK: Final = 100
_UNANSWERED: Final = 5000  # messages that may wait for the broker's word
_LEAD_NS: Final = 200_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What the devices send: `n_sensors` × `n_blocks` messages of `block` samples at intervals of `dt_ns`.

    All of it follows from `seed` and `t0_ns`, so that whoever finds a sample in a database can say whether, where and
    with which value it was made. The time is divided in equal parts; in each after the first the devices' clocks are
    ahead by one of `jumps_s`.
    """

    seed: int
    t0_ns: int
    n_sensors: int
    n_blocks: int
    block: int
    dt_ns: int
    jumps_s: tuple[float, ...] = ()

    @classmethod
    def of(cls, n_samples: int, rate_hz: float, *, seed: int, jumps_s: tuple[float, ...] = ()) -> Self:
        """Return a plan of `n_samples` or a few more, at `rate_hz` in all; it begins at 0, see `from_now`."""
        n_blocks = -(-n_samples // (N_SENSORS * BLOCK))
        return cls(seed, 0, N_SENSORS, n_blocks, BLOCK, round(1e9 * N_SENSORS / rate_hz), jumps_s)

    def from_now(self) -> Self:
        """Return the same plan that begins in a moment."""
        return replace(self, t0_ns=SystemClock().now() + _LEAD_NS)

    @property
    def sensors(self) -> tuple[SensorId, ...]:
        """Names of the sensors."""
        return tuple(SensorId(f"S{k:02d}") for k in range(self.n_sensors))

    @property
    def n_samples(self) -> int:
        """All samples of all sensors."""
        return self.n_sensors * self.n_blocks * self.block

    @property
    def seconds(self) -> float:
        """How long the devices take, when nothing holds them up [s]."""
        return self.n_blocks * self.block * self.dt_ns / 1e9

    def instants(self) -> Int64Array:
        """Return the instants of each sensor's samples, by the devices' clocks, in the order of sending."""
        parts = len(self.jumps_s) + 1
        part = np.repeat(np.arange(self.n_blocks) * parts // self.n_blocks, self.block)
        ahead_ns = np.round(np.array([0.0, *self.jumps_s]) * 1e9).astype(np.int64)
        return self.t0_ns + self.dt_ns * np.arange(self.n_blocks * self.block, dtype=np.int64) + ahead_ns[part]

    def block_values(self, sensor: SensorId, k: int) -> FloatArray:
        """Return what a sensor sends in its k-th message: full 53-bit numbers, a few of them awkward, but sane."""
        rng = np.random.default_rng([self.seed, self.sensors.index(sensor), k])
        values = rng.normal(100.0, 5.0, self.block)
        values[: self.block // 50] *= 10.0 ** rng.integers(-300, 90, self.block // 50)
        return values

    def values(self, sensor: SensorId) -> FloatArray:
        """Return all that a sensor sends."""
        return np.concatenate([self.block_values(sensor, k) for k in range(self.n_blocks)])


class Devices:
    """Devices that send all of a plan while inside, each block when its last sample is made.

    Leaving waits until all is sent and the broker has it, or raises what kept it from that; after an error, or `stop`,
    no more is sent.
    """

    def __init__(self, plan: Plan, port: int) -> None:
        self._plan, self._port = plan, port
        self._stopping = threading.Event()
        self._sender = ThreadPoolExecutor(1, "devices")
        self._sent: Future[None] | None = None
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, "devices", protocol=paho.MQTTv311, clean_session=False, manual_ack=False
        )
        self._client.max_inflight_messages_set(500)
        self._client.max_queued_messages_set(0)

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while not self._client.is_connected():
            assert time.monotonic() < deadline, "the devices' broker does not answer"
            time.sleep(0.01)
        self._sent = self._sender.submit(self._send)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.stop()
        try:
            if self._sent is not None:
                self._sent.result()
        finally:
            self._sender.shutdown()
            self._client.disconnect()
            self._client.loop_stop()

    def stop(self) -> None:
        """Send no more than is on its way."""
        self._stopping.set()

    @property
    def busy(self) -> bool:
        """True while there is something left to send."""
        return self._sent is not None and not self._sent.done()

    def _send(self) -> None:
        plan, began = self._plan, time.monotonic()
        instants = plan.instants()
        last: deque[paho.MQTTMessageInfo] = deque(maxlen=_UNANSWERED)
        for k in range(plan.n_blocks):
            if self._stopping.wait(max(0.0, began + (k + 1) * plan.block * plan.dt_ns / 1e9 - time.monotonic())):
                break
            for sensor in plan.sensors:
                values = plan.block_values(sensor, k)
                text = msgspec.json.encode({"time": int(instants[k * plan.block]), "value": values.tolist()})
                if len(last) == _UNANSWERED:
                    _taken(last[0])
                last.append(self._client.publish(f"devices/{sensor}", text, qos=1))
        for message in last:
            _taken(message)


def _taken(message: paho.MQTTMessageInfo) -> None:
    message.wait_for_publish(CONNECT_TIMEOUT_S)
    assert message.is_published(), "the devices' broker does not take messages"
