"""The console in Debian's Chromium: it shows what is there, moves, and has nothing to complain about."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.e2e.console.browser import chromium, watched
from tests.integration.api.plant import Plant, running

pytestmark = pytest.mark.chromium


@contextlib.asynccontextmanager
async def page_of(browser: Browser, plant: Plant, route: str, theme: str = "dark") -> AsyncIterator[Page]:
    """Yield a page; fail if its console has an error, or a request goes elsewhere."""
    async with watched(browser, plant.service.address, route, theme) as page:
        yield page


async def pixels(page: Page) -> bytes:
    return await page.locator(".chart canvas").first.screenshot()


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_the_fleet_table_shows_every_sensor_and_is_moved_through_by_keyboard(theme: str) -> None:
    async with chromium() as browser, running(5) as plant, page_of(browser, plant, "/", theme) as page:
        rows = page.locator(".body .row")
        await rows.nth(9).wait_for()
        assert await rows.count() == len(plant.channels)
        row = page.locator("#row-TT-101")
        value = row.locator(".c-value")
        await expect(value).to_contain_text("±")
        assert "°C" in await row.inner_text()
        before = await value.inner_text()
        await expect(value).not_to_have_text(before)
        await page.keyboard.press("/")
        await page.keyboard.type("rtd normal")
        await expect(rows).to_have_count(1)
        await page.keyboard.press("Escape")
        await page.locator(".rows").focus()
        await page.keyboard.press("End")
        await page.keyboard.press("Home")
        await page.keyboard.press("Enter")
        await page.locator(".chart canvas").first.wait_for()
        await page.keyboard.press("Escape")
        await rows.first.wait_for()


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_the_trend_of_a_sensor_moves_and_its_facts_are_there(theme: str) -> None:
    async with chromium() as browser, running(5) as plant, page_of(browser, plant, "/sensors/TT-101", theme) as page:
        await page.locator(".chart canvas").first.wait_for()
        await page.get_by_text("Time constant τ").wait_for()
        await page.get_by_role("cell", name="As left").wait_for()
        await page.wait_for_timeout(1500)
        first = await pixels(page)
        await page.wait_for_timeout(1000)
        assert await pixels(page) != first
        await page.get_by_role("button", name="Live", exact=True).click()
        await page.wait_for_timeout(400)
        still = await pixels(page)
        await page.wait_for_timeout(600)
        assert await pixels(page) == still
        await page.locator(".chart .u-over").hover(position={"x": 500, "y": 150})
        await expect(page.locator(".readout")).to_contain_text("°C")


async def test_an_alarm_shows_at_once_with_words_and_shape() -> None:
    async with chromium() as browser, running(5) as plant, page_of(browser, plant, "/alarms") as page:
        await page.get_by_text("No alarm is active.").wait_for()
        plant.alarm("RTD-101")
        row = page.locator("table[aria-label=Active] tbody tr")
        await row.wait_for(timeout=5000)
        words = await row.inner_text()
        assert "Medium" in words
        assert "Unacknowledged" in words
        assert "Drift · Time constant τ" in words
        assert await row.locator("svg").count() == 1
        await page.get_by_role("link", name="Sensors").click()
        await page.locator("#row-RTD-101 .state-maintenance_required").wait_for(timeout=5000)


async def test_an_alarm_between_the_first_answer_and_the_beginning_of_the_stream_shows() -> None:
    async with chromium() as browser, running(5) as plant:
        page = await browser.new_page()
        begin = asyncio.Event()

        async def hold(route: Route) -> None:
            await begin.wait()
            await route.continue_()

        await page.add_init_script("delete window.SharedWorker")  # requests of workers do not pass the routes
        await page.route("**/v1/stream*", hold)
        async with page.expect_response("**/v1/alarms?*"):
            await page.goto(f"{plant.service.address}/#/alarms")
        await page.get_by_text("No alarm is active.").wait_for()
        plant.alarm("RTD-101")
        begin.set()
        await page.locator("table[aria-label=Active] tbody tr").wait_for(timeout=5000)
        await page.close()


async def test_an_answer_older_than_the_stream_hides_no_alarm() -> None:
    async with chromium() as browser, running(5) as plant:
        page = await browser.new_page()

        async def hold(route: Route) -> None:
            before = await route.fetch()
            plant.alarm("RTD-101")
            await page.locator("header .count").wait_for()
            await route.fulfill(response=before)

        await page.route("**/v1/alarms?*", hold)
        async with page.expect_response("**/v1/alarms?*"):
            await page.goto(f"{plant.service.address}/#/alarms")
        await page.locator("table[aria-label=History]").wait_for()
        await asyncio.sleep(0.5)  # two renderings
        assert await page.locator("table[aria-label=Active] tbody tr").count() == 1
        await page.close()


async def test_values_that_stop_are_said_to_be_stale() -> None:
    async with chromium() as browser, running(2, feed=False) as plant, page_of(browser, plant, "/") as page:
        await page.locator("#row-TT-101 .stale-mark").wait_for(timeout=15_000)
        assert await page.locator("#row-TT-101 .value.dead").count() == 1


async def test_a_lost_connection_is_said_at_once_and_mends_by_itself() -> None:
    async with chromium() as browser:
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        async with running(3, history_s=5) as plant:
            port = int(plant.service.address.rsplit(":", 1)[1])
            await page.goto(f"{plant.service.address}/#/")
            await page.locator(".link.up").wait_for()
            await page.locator("#row-TT-101 .value:not(.dead)").wait_for()
        await page.locator(".banner.lost").wait_for(timeout=5000)
        assert await page.locator("#row-TT-101 .value.dead").count() == 1
        async with running(3, history_s=5, port=port):
            await page.locator(".link.up").wait_for(timeout=15_000)
            await page.locator(".banner.lost").wait_for(state="detached")
            await page.locator("#row-TT-101 .value:not(.dead)").wait_for(timeout=15_000)
        await page.close()
