"""Devices of one edge: a sensor that lags behind its measurand and the reference beside it, over MQTT, on time."""

from __future__ import annotations

import threading
from typing import Final

import msgspec
import numpy as np
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.runtime.clocks import SystemClock

DT_NS: Final = 20_000_000
BLOCK: Final = 5
TAU_S: Final = 0.3
_OVER: Final = 20  # steps of the simulation a sample
_BAND_HZ: Final = 2.0
_LEAD_NS: Final = 200_000_000


def signals(seconds: float, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return measurand, indication and reference at each sample; the lag is solved exactly between fine steps."""
    rng = np.random.default_rng(seed)
    n, dt_s = round(seconds * 1e9 / DT_NS), DT_NS / 1e9 / _OVER
    lines = np.fft.rfftfreq(n * _OVER, dt_s)
    shape = 1 / np.sqrt(1 + (lines / _BAND_HZ) ** 8)
    measurand = np.fft.irfft(np.fft.rfft(rng.normal(size=n * _OVER)) * shape, n * _OVER)
    measurand *= 4.0 / measurand.std()
    lag = 1 / (1 + 2j * np.pi * lines * TAU_S)
    indication = np.fft.irfft(np.fft.rfft(measurand) * lag, n * _OVER)
    at = slice(None, None, _OVER)
    noise = rng.normal(size=(2, n))
    return 60 + measurand[at], 60 + indication[at] + 0.03 * noise[0], 60 + measurand[at] + 0.1 * noise[1]


class Devices:
    """A sensor and its reference, sent in blocks when their last sample is made, until `stop`."""

    def __init__(self, sensor: str, port: int, seconds: float, seed: int) -> None:
        self.names = sensor, f"{sensor}-ref"
        self._port = port
        self.truth, *self._values = signals(seconds, seed)
        self.n_sent = 0
        self.t0_ns = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, name=f"devices-{sensor}", daemon=True)
        self._failed: BaseException | None = None

    def start(self) -> None:
        """Connect, in the network of whoever calls, and begin to send."""
        self._client = paho.Client(CallbackAPIVersion.VERSION2, f"devices-{self.names[0]}", clean_session=False)
        self._client.max_queued_messages_set(0)
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        self.t0_ns = SystemClock().now() + _LEAD_NS
        self._thread.start()

    def stop(self) -> None:
        """Send no more; return when their broker has what was sent."""
        self._stop.set()
        self._thread.join(30)
        self._client.disconnect()
        self._client.loop_stop()
        if self._failed is not None:
            raise self._failed

    @property
    def instants(self) -> Int64Array:
        """Instants of the samples that were sent."""
        return self.t0_ns + DT_NS * np.arange(self.n_sent, dtype=np.int64)

    def values(self, name: str) -> FloatArray:
        """Return the values that were sent of one of the two."""
        return np.asarray(self._values[self.names.index(name)][: self.n_sent])

    def _send(self) -> None:
        try:
            last: list[paho.MQTTMessageInfo] = []
            for k in range(0, self.truth.size, BLOCK):
                due_ns = self.t0_ns + (k + BLOCK) * DT_NS
                if self._stop.wait(max(0.0, (due_ns - SystemClock().now()) / 1e9)):
                    break
                for name, values in zip(self.names, self._values, strict=True):
                    text = {"time": self.t0_ns + k * DT_NS, "value": values[k : k + BLOCK].tolist()}
                    last = [*last[-1:], self._client.publish(f"devices/{name}", msgspec.json.encode(text), qos=1)]
                self.n_sent = k + BLOCK
            for message in last:
                message.wait_for_publish(10)
        except BaseException as error:  # noqa: BLE001  # told where it is waited for
            self._failed = error
