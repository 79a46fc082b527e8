"""What every test gets: it fails if it leaves an asyncio task or a thread behind."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

# How fast examples are made depends on what else the machine does.
settings.register_profile("dyncal", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dyncal")

pytest_plugins = ["tests.servers_mosquitto", "tests.servers_postgresql"]

GRACE_S = 3.0
# Threads of pools that belong to the loop or to a library and end with them; one that loads kernels, once a process.
POOLS = ("asyncio_", "AnyIO", "influx-kernels", "pytest_timeout", "pydevd")


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test if threads or, in an asynchronous test, tasks outlive it."""
    before = set(threading.enumerate())
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("no_leaked_tasks")
    yield
    leaked = _own_threads(before)
    deadline = time.monotonic() + GRACE_S
    while leaked and time.monotonic() < deadline:
        time.sleep(0.02)
        leaked = _own_threads(before)
    if leaked:
        pytest.fail(f"threads outlive the test: {', '.join(sorted(thread.name for thread in leaked))}")


@pytest.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    """Fail if tasks outlive the test and its fixtures."""
    before = asyncio.all_tasks()
    yield
    me = asyncio.current_task()
    deadline = time.monotonic() + GRACE_S
    while (leaked := [t for t in asyncio.all_tasks() if t not in before and t is not me and not t.done()]) and (
        time.monotonic() < deadline
    ):
        await asyncio.sleep(0.01)
    if leaked:
        pytest.fail(f"tasks outlive the test: {'; '.join(repr(task) for task in leaked)}")


def _own_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t not in before and t.is_alive() and not t.name.startswith(POOLS)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write what a test printed so that it can be told by one process to another: tests print hostile bytes too."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
