"""Waiting for changes of the registry, which another process may write."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from dyncal.ports.registry import Registry


class Revision(NamedTuple):
    """State of the registry: of sensors and pairings, and of coefficient sets."""

    sensors: int
    sets: int


class Watcher:
    """Knows the registry's revision, and wakes those who wait for the next. The service's loop keeps it current."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._revision: Revision | None = None
        self._changed = asyncio.Event()
        self.running = False

    def look(self) -> Revision:
        """Ask the registry; blocks."""
        return Revision(self._registry.revision(), self._registry.sets_revision())

    @property
    def known(self) -> Revision | None:
        """The revision last seen while the loop is running; None where only asking would tell."""
        return self._revision if self.running else None

    async def current(self) -> Revision:
        """Return the revision: the one last seen where the loop is running, otherwise by asking."""
        if (known := self.known) is not None:
            return known
        revision = await asyncio.to_thread(self.look)
        self.see(revision)
        return revision

    def see(self, revision: Revision) -> bool:
        """Take a revision just read; wake the waiting and return True if it is another."""
        if revision == self._revision:
            return False
        self._revision = revision
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        return True

    async def wait(self, seen: Revision, timeout_s: float) -> Revision:
        """Return the revision as soon as it differs from `seen`, or after `timeout_s`."""
        changed = self._changed
        if self._revision is None or self._revision == seen:
            try:
                async with asyncio.timeout(timeout_s):
                    await changed.wait()
            except TimeoutError:
                return seen
        return self._revision or seen

    def close(self) -> None:
        """Wake all who wait."""
        self._changed.set()
