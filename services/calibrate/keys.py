"""Tell edges which keys sign, and take a new one into use: what `dyncal keys` lays down is followed while at work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

from dyncal.adapters.signing import FileSigner
from dyncal.contracts import topics
from dyncal.domain.errors import BusUnavailable, InvalidSetting
from dyncal.domain.sensors import SiteId
from dyncal.ports.message_bus import MessageBus
from dyncal.runtime.logging import logger

LOOK_S: Final = 1.0

_log = logger("keys")


class CountingBus(MessageBus, Protocol):
    """A bus that counts its connections."""

    @property
    def connections(self) -> int:
        """How many times the broker has accepted a connection so far."""
        ...


class KeyTeller:
    """Publishes the announcement of keys whenever it is another one, and to each broker that forgot it."""

    def __init__(self, signer: FileSigner, announcement: Path, site: SiteId) -> None:
        self._signer, self._file = signer, announcement
        self._topic = topics.keys(site)
        self._told: tuple[int, bytes] = (0, b"")
        self._trouble = ""

    async def run(self, bus: CountingBus, where_it_signs: Callable[[Callable[[], bool]], Awaitable[bool]]) -> None:
        """Look at the files every second, until cancelled; a key is taken into use in the thread that signs."""
        while True:
            await self._look(bus, where_it_signs)
            await asyncio.sleep(LOOK_S)

    async def _look(self, bus: CountingBus, where_it_signs: Callable[[Callable[[], bool]], Awaitable[bool]]) -> None:
        try:
            content = await asyncio.to_thread(self._announced)
            if content and bus.connected and self._told != (bus.connections, content):
                connection = bus.connections
                await bus.publish(self._topic, content, retain=True)
                self._told = connection, content
            if await where_it_signs(self._signer.refresh):  # after edges were told of it
                _log.info("signs_with", key_id=self._signer.key_id)
            self._trouble = ""
        except (InvalidSetting, OSError, BusUnavailable) as error:
            if str(error) != self._trouble:
                _log.warning("keys_not_followed", error=str(error))
            self._trouble = str(error)

    def _announced(self) -> bytes:
        try:
            return self._file.read_bytes()
        except FileNotFoundError:
            return b""
