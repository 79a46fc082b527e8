"""The calibration service as built from settings, on a real broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dyncal.adapters.mqtt import open_bus
from dyncal.contracts import coefficients
from dyncal.domain.sensors import SensorId
from services.calibrate.service import build
from services.calibrate.settings import CalibrateSettings
from tests.servers_mosquitto import Mosquitto

from .conftest import ADDRESS, Stage, make_plant, running

S1 = SensorId("s1")


@pytest.mark.mosquitto
async def test_a_set_reaches_an_edge_that_comes_later(tmp_path: Path, mosquitto: Mosquitto) -> None:
    stage = Stage.set_up(tmp_path / "var", make_plant(20))
    settings = CalibrateSettings.model_validate(
        {"data_dir": tmp_path / "var", "broker": {"port": mosquitto.port}, "calibrate": {"poll_s": 0.1}}
    )
    async with running(build(settings, stage.clock)), open_bus(settings.broker, "edge") as edge:
        await edge.wait_connected()
        await stage.feed(edge.publish, 0, 20)
        async with asyncio.timeout(30), open_bus(settings.broker, "late", clean=True) as late:
            await late.wait_connected()
            await late.subscribe([ADDRESS.desired(S1)])
            delivery = await anext(late.deliveries())
            delivery.ack()
    made = coefficients.open_set(coefficients.read_envelope(delivery.payload).set)
    assert made.sensor == S1
    assert made.parameters.as_dict()["tau_s"] == pytest.approx(0.4, rel=0.05)
