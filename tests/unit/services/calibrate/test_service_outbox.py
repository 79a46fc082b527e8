"""Coefficient sets go out before everything else that waits: edges, and rollouts, wait for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dyncal.domain.errors import BusUnavailable
from dyncal.runtime.clocks import SimulatedClock
from dyncal.testing.bus import FakeBroker
from services.calibrate.keeping import Message
from services.calibrate.service import CalibrateService
from services.calibrate.settings import CalibrateSettings

HEALTH = [Message(f"dyncal/v1/plant/sensors/s{k}/health", b"h") for k in range(5)]
DESIRED = Message("dyncal/v1/plant/e1/coefficients/s1/desired", b"set")


class Slow:
    """A bus that hands more to the service while it publishes, and is gone once."""

    def __init__(self, service: CalibrateService) -> None:
        self.service, self.sent = service, list[str]()

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        assert retain
        if len(self.sent) == 3 and payload != b"again":
            self.sent.append("gone")
            raise BusUnavailable("gone")
        self.sent.append(topic.rsplit("/", maxsplit=1)[-1] if topic.endswith("desired") else topic.split("/")[-2])
        if len(self.sent) == 2:
            self.service._post([DESIRED, Message(HEALTH[0].topic, b"again")])


async def test_sets_pass_what_waited_before_them_and_nothing_is_lost(tmp_path: Path) -> None:
    service = CalibrateService(CalibrateSettings(data_dir=tmp_path), SimulatedClock(), lambda: FakeBroker().bus("c"))
    service._post(list(HEALTH))
    bus: Any = Slow(service)
    assert not await service._flush(bus)
    assert await service._flush(bus)
    assert bus.sent == ["s0", "s1", "desired", "gone", "s2", "s3", "s4", "s0"]
