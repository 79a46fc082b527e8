"""Many waits at once, but not too many."""

from __future__ import annotations

import asyncio

import pytest

from edge_agent.readers.together import each


class Work:
    def __init__(self, fails_at: int | None = None) -> None:
        self.under_way = self.most = 0
        self.done: list[int] = []
        self.fails_at = fails_at

    async def __call__(self, k: int) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0.001 * (k % 3))
            if k == self.fails_at:
                raise ConnectionError("gone")
            self.done.append(k)
        finally:
            self.under_way -= 1


@pytest.mark.parametrize("n", [0, 1, 4, 50])
async def test_everything_is_done_and_never_too_much_at_once(n: int) -> None:
    work = Work()
    await each(work, range(n), 4)
    assert sorted(work.done) == list(range(n))
    assert work.most == min(n, 4)


async def test_the_first_error_ends_all_and_is_raised_as_it_is() -> None:
    work = Work(fails_at=10)
    with pytest.raises(ConnectionError, match="gone"):
        await each(work, range(1000), 4)
    assert len(work.done) < 20
    assert work.under_way == 0


async def test_it_can_be_given_up() -> None:
    work = Work()
    task = asyncio.create_task(each(work, range(100_000), 4))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.under_way == 0
