from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from dyncal.adapters.keyring import Keyring
from dyncal.adapters.signing import open_signer
from dyncal.contracts import topics
from dyncal.domain.sensors import SiteId
from dyncal.domain.time import InstantNs
from dyncal.runtime.settings import SigningSettings
from dyncal.testing.bus import FakeBroker, FakeMessageBus
from services.calibrate import keys
from services.calibrate.keys import KeyTeller

SITE = SiteId("plant")
NOW = InstantNs(1_760_000_000_000_000_000)


async def here(call: Callable[[], bool]) -> bool:
    return call()


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not check():
            await asyncio.sleep(0.005)


async def test_what_is_announced_is_told_once_to_each_broker_and_a_new_key_taken_into_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "LOOK_S", 0.01)
    signer = open_signer(SigningSettings(), tmp_path)
    keyring = Keyring(SigningSettings(), tmp_path, SITE)
    broker = FakeBroker()
    told: list[bytes] = []
    async with FakeMessageBus(broker, "calibrate") as bus, FakeMessageBus(broker, "edge") as edge:
        await edge.subscribe([topics.keys(SITE)])

        async def listen() -> None:
            async for delivery in edge.deliveries():
                told.append(delivery.payload)
                delivery.ack()

        tasks = [
            asyncio.create_task(listen()),
            asyncio.create_task(KeyTeller(signer, keyring.announcement, SITE).run(bus, here)),
        ]
        try:
            await asyncio.sleep(0.1)
            assert told == []
            made = keyring.rotate(NOW)
            await until(lambda: len(told) == 1)
            assert signer.key_id != made
            keyring.activate(NOW)
            await until(lambda: signer.key_id == made and len(told) == 2)
            assert told[-1] == keyring.announcement.read_bytes()
            (tmp_path / "keys" / "signing.pem").write_text("no key any more")
            await asyncio.sleep(0.05)
            assert signer.key_id == made
            assert len(told) == 2
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
