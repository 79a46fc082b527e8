"""Many waits at once, but not too many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def each(function: Callable[[T], Awaitable[None]], items: Iterable[T], at_once: int) -> None:
    """Await `function` of every item, `at_once` of them at a time.

    The first error ends all, and is raised as it is, without a group around it.
    """
    waiting = iter(items)

    async def work() -> None:
        for item in waiting:
            await function(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
