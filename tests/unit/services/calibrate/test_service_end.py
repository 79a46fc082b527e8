"""A service that fails while its worker is busy waits for it, and the event loop turns meanwhile: signals are heard."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from dyncal.domain.errors import BusUnavailable
from dyncal.runtime.clocks import SimulatedClock
from dyncal.testing.bus import FakeBroker
from services.calibrate.service import CalibrateService
from services.calibrate.settings import CalibrateSettings

from .test_service_timers import NOW


async def test_one_that_fails_while_a_fit_runs_leaves_the_event_loop_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise BusUnavailable("gone")

    monkeypatch.setattr(CalibrateService, "_run", fails)
    service = CalibrateService(
        CalibrateSettings(data_dir=tmp_path), SimulatedClock(NOW), lambda: FakeBroker().bus("calibrate")
    )
    fit_ends = threading.Event()
    in_vain = threading.Timer(5.0, fit_ends.set)  # a loop that stands still never comes to set it
    in_vain.start()
    service._pool.submit(fit_ends.wait)
    running = asyncio.create_task(service.run(asyncio.Event()))
    await asyncio.sleep(0.05)
    turned = not fit_ends.is_set() and not running.done()
    fit_ends.set()
    in_vain.cancel()
    with pytest.raises(BusUnavailable):
        await running
    assert turned
