"""What edges that pull over HTTP say, on their topics; and the keys that sign for a site, for them to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dyncal.contracts import coefficients, residuals
from dyncal.contracts.keys import read_keys
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.coefficients import Report
from dyncal.domain.errors import BusUnavailable, MalformedMessage
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.sensors import SiteId
from dyncal.domain.time import InstantNs
from dyncal.ports.message_bus import MessageBus

MAX_SITES = 100


class EdgeVoice:
    """Speaks for edges that have said who they are, as they would themselves: all who listen to edges hear it."""

    def __init__(self) -> None:
        self._bus: MessageBus | None = None

    @contextmanager
    def through(self, bus: MessageBus) -> Iterator[None]:
        """Speak through `bus` meanwhile."""
        self._bus = bus
        try:
            yield
        finally:
            self._bus = None

    async def residuals(self, edge: EdgeAddress, found: Sequence[ResidualReport], now: InstantNs) -> None:
        """Say what an edge found of its sets. Raises `BusUnavailable`."""
        for payload in residuals.encode(found, now):
            await self._say(edge.residuals, payload, retain=False)

    async def report(self, edge: EdgeAddress, report: Report) -> None:
        """Say what an edge did with a set. Raises `BusUnavailable`."""
        await self._say(edge.reported(report.sensor), coefficients.encode_report(report), retain=True)

    async def _say(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if self._bus is None or not self._bus.connected:
            raise BusUnavailable("the broker does not answer")
        await self._bus.publish(topic, payload, retain=retain)


class KeyLists:
    """The lists of keys as they were announced last, by site; whoever reads one checks who has sealed it."""

    def __init__(self) -> None:
        self._of: dict[SiteId, bytes] = {}

    def put(self, site: SiteId, payload: bytes) -> None:
        """Take what was announced; an empty one withdraws it. Raises `MalformedMessage`."""
        if not payload:
            self._of.pop(site, None)
            return
        if read_keys(payload).site != site:
            raise MalformedMessage(f"keys of another site than {site}")
        if site not in self._of and len(self._of) >= MAX_SITES:
            raise MalformedMessage("there are more sites than this service keeps")
        self._of[site] = payload

    def of(self, site: SiteId) -> bytes | None:
        """Return the bytes that were announced; None if none were."""
        return self._of.get(site)
