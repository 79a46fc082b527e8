"""Pacing: publications at the instants they are due, never early, without drift, and without losing any when late."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs
from dyncal.ports.clock import Clock
from simulators.plant import Channel, Publication

COALESCE_NS: Final = DurationNs(20_000_000)
"""What is due within this span is published at one waking."""

MAX_BURST: Final = 500  # publications between two turns of the event loop while catching up

Publish = Callable[[Channel, Publication], Awaitable[None]]


@dataclass(slots=True)
class Tally:
    """What was made: samples generated and samples handed to the surface by channel, and the greatest lateness."""

    generated: Counter[str] = field(default_factory=Counter)
    published: Counter[str] = field(default_factory=Counter)
    max_late_ns: int = 0


@dataclass(order=True, slots=True)
class _Due:
    due_ns: int
    index: int
    overtaken: int
    publication: Publication = field(compare=False)


class Schedule:
    """Merges the channels' publications by the instant that each is due.

    A channel's own order is kept but for publications that later ones overtake.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = channels
        self._heap: list[_Due] = []
        self._n_overtaken = 0
        for index in range(len(channels)):
            self._push(index, 0)

    def next_due(self) -> InstantNs:
        """Return when the next publication is due."""
        return InstantNs(self._heap[0].due_ns)

    def pop_due(self, now: InstantNs) -> tuple[Channel, Publication] | None:
        """Return the earliest publication that is due at `now`, or None."""
        if self._heap[0].due_ns > now:
            return None
        first = heapq.heappop(self._heap)
        if not first.publication.overtaken:
            self._push(first.index, first.due_ns)
        return self._channels[first.index], first.publication

    def pop_overtaken(self) -> list[tuple[Channel, Publication]]:
        """Return, earliest first, what waits though later ones of its channel went: it goes in the end."""
        late = [item for item in self._heap if item.publication.overtaken]
        self._heap = [item for item in self._heap if not item.publication.overtaken]
        heapq.heapify(self._heap)
        return [(self._channels[item.index], item.publication) for item in sorted(late)]

    def _push(self, index: int, not_before_ns: int) -> None:
        while (publication := self._channels[index].next_publication()).overtaken:  # it waits beside the next
            self._n_overtaken += 1
            heapq.heappush(self._heap, _Due(publication.due_ns, index, self._n_overtaken, publication))
        heapq.heappush(self._heap, _Due(max(publication.due_ns, not_before_ns), index, 0, publication))


async def pace(
    channels: Sequence[Channel],
    publish: Publish,
    clock: Clock,
    stop: asyncio.Event,
    tally: Tally,
    *,
    together_ns: DurationNs = COALESCE_NS,
) -> None:
    """Hand every publication to `publish` once it is due, until `stop`; all that is due at that instant still goes.

    What is due within `together_ns` goes at one waking: devices of their own would not wait for each other. What is
    late goes as fast as it can, in order: nothing is skipped.
    """
    schedule = Schedule(channels)
    while not stop.is_set():
        await _publish_due(schedule, publish, clock.now(), tally)
        wait_ns = max(schedule.next_due() - clock.now(), together_ns)
        try:
            async with asyncio.timeout(wait_ns / NS_PER_S):
                await stop.wait()
        except TimeoutError:
            continue
    await _publish_due(schedule, publish, clock.now(), tally)
    for channel, publication in schedule.pop_overtaken():
        await _publish(channel, publication, publish, tally)


async def _publish_due(schedule: Schedule, publish: Publish, now: InstantNs, tally: Tally) -> None:
    count = 0
    while (item := schedule.pop_due(now)) is not None:
        channel, publication = item
        tally.max_late_ns = max(tally.max_late_ns, now - publication.due_ns)
        await _publish(channel, publication, publish, tally)
        count += 1
        if count % MAX_BURST == 0:
            await asyncio.sleep(0)


async def _publish(channel: Channel, publication: Publication, publish: Publish, tally: Tally) -> None:
    tally.generated[channel.id] += publication.value.size
    for _ in range(publication.copies):
        await publish(channel, publication)
    if publication.copies:
        tally.published[channel.id] += publication.value.size
