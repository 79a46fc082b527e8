"""One browser for all tests of the console; each page has a context, and so cookies and storage, of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from tests.e2e.console.browser import chromium


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Yield the browser; what uses it runs in the session's loop too."""
    async with chromium() as made:
        yield made
