"""Ten thousand sensors: what is in sight exists, and nothing that people do waits."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from services.api.service import ApiService
from tests.e2e.console.browser import chromium, complaints, picture, watched
from tests.e2e.console.quickness import COLUMNS, FILTERS, filters_ms, first_rows_ms, sorts_ms
from tests.e2e.console.thousands import N_EDGES, SITES, N, thousands

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

FIRST_MS = 1000
TABLE_MS = 50
TRIALS = 5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service() -> AsyncIterator[ApiService]:
    """Yield a service with ten thousand sensors."""
    async with thousands() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Yield one browser for all pages."""
    async with chromium() as made:
        yield made


async def test_the_first_load_and_the_table_are_quick(browser: Browser, service: ApiService) -> None:
    # The best of several: what other programs do on the machine is not measured here.
    loads: list[float] = []
    while len(loads) < TRIALS and min(loads, default=FIRST_MS + 1) > FIRST_MS:
        async with watched(browser, service.address) as page:
            loads.append(await first_rows_ms(page))
            await expect(page.locator("main [role=status]")).to_contain_text(f"{N} sensors")
    assert min(loads) <= FIRST_MS, loads
    async with watched(browser, service.address) as page:
        await first_rows_ms(page)
        await page.locator(".link.up").wait_for()
        await page.wait_for_timeout(3500)  # until everything has been loaded again, with the stream
        best = [float("inf")] * (len(FILTERS) + 2 * len(COLUMNS))
        for _ in range(TRIALS):
            found = [*await filters_ms(page), *await sorts_ms(page)]
            best = [min(pair) for pair in zip(best, found, strict=True)]
            if max(best) <= TABLE_MS:
                break
        assert max(best) <= TABLE_MS, best
        assert await page.locator(".body .row").count() < 60


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_the_plant_tree_leads_to_a_sensor_by_keyboard(browser: Browser, service: ApiService, theme: str) -> None:
    async with watched(browser, service.address, theme=theme) as page:
        await first_rows_ms(page)
        nodes = page.locator("[role=treeitem]")
        await expect(nodes).to_have_count(len(SITES) + 1)
        await nodes.first.focus()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowRight")
        await expect(nodes).to_have_count(len(SITES) + 1 + N_EDGES // len(SITES))
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(page.locator("main [role=status]")).to_contain_text(f"{N // N_EDGES} of {N} sensors")
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("End")
        await expect(page.locator("[role=treeitem]:focus")).to_contain_text(SITES[-1])
        await page.keyboard.press("Home")
        for _ in range(3):
            await page.keyboard.press("ArrowDown")
        leaf = page.locator("[role=treeitem]:focus")
        name = (await leaf.inner_text()).strip()
        await picture(page, f"thousands-{theme}")
        assert await complaints(page) == []
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_have_text(name)


async def test_a_view_is_saved_and_found_again(browser: Browser, service: ApiService) -> None:
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        async with watched(context, service.address) as page:
            await first_rows_ms(page)
            await page.keyboard.press("/")
            await page.keyboard.type("unit 42")
            await expect(page.locator("main [role=status]")).to_contain_text(f" of {N} sensors")
            found = await page.locator("main [role=status]").inner_text()
            await page.locator(".c-id button").click()
            await page.get_by_role("button", name="Save view").click()
            await page.get_by_label("Name of the view").fill("Unit 42 by name")
            await picture(page, "dialog-dark")
            assert await complaints(page) == []
            await page.keyboard.press("Enter")
            await expect(page.get_by_label("View", exact=True)).to_have_value("own:Unit 42 by name")
        async with watched(context, service.address) as page:
            await first_rows_ms(page)
            await page.get_by_label("View", exact=True).select_option(label="Unit 42 by name")
            await expect(page.locator("main [role=status]")).to_have_text(found)
            await page.get_by_role("button", name="Delete view").click()
            assert await page.evaluate("() => localStorage.getItem('dyncal.views')") == "[]"
    finally:
        await context.close()
