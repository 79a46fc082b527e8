"""The display's clock is wrong, or is set meanwhile: nothing old is shown as live, and what is live stays so."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.integration.api.plant import Plant, running

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

HOUR_MS = 3_600_000
# The wall clock is off by `window.off`; the stream stands and brings nothing while `window.mute`.
CLOCK = """
delete window.SharedWorker;
window.off = OFF;
const now = Date.now;
Date.now = () => now() + window.off;
const Source = window.EventSource;
window.EventSource = class extends Source {
  addEventListener(name, heard) { super.addEventListener(name, event => window.mute || heard(event)); }
};
"""
LIVE, DEAD = ".body .value:not(.dead)", ".body .value.dead"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plant() -> AsyncIterator[Plant]:
    """Yield a plant at work."""
    async with running(3) as made:
        yield made


@contextlib.asynccontextmanager
async def looking(browser: Browser, plant: Plant, off_ms: int) -> AsyncIterator[Page]:
    page = await browser.new_page()
    await page.add_init_script(CLOCK.replace("OFF", str(off_ms)))
    await page.goto(plant.service.address)
    await page.locator("#row-TT-101 .value:not(.dead)").wait_for(timeout=10_000)
    try:
        yield page
    finally:
        await page.close()


@pytest.mark.parametrize("off_ms", [-HOUR_MS, HOUR_MS])
async def test_a_clock_that_is_wrong_is_not_believed(browser: Browser, plant: Plant, off_ms: int) -> None:
    async with looking(browser, plant, off_ms) as page:
        await page.wait_for_timeout(3000)
        await expect(page.locator("#row-TT-101 .value:not(.dead)")).to_have_count(1)


async def test_a_clock_that_is_set_back_hides_no_silence(browser: Browser, plant: Plant) -> None:
    async with looking(browser, plant, 0) as page:
        await page.wait_for_timeout(1500)
        await page.evaluate(f"() => {{ window.mute = true; window.off = -{HOUR_MS} }}")
        await expect(page.locator(LIVE)).to_have_count(0, timeout=16_000)
        await page.locator(".banner.lost").wait_for(timeout=16_000)


@pytest.mark.parametrize("off_ms", [-HOUR_MS, HOUR_MS])
async def test_a_clock_that_is_set_is_got_over_in_seconds(browser: Browser, plant: Plant, off_ms: int) -> None:
    async with looking(browser, plant, 0) as page:
        await page.wait_for_timeout(1500)
        await page.evaluate(f"() => {{ window.off = {off_ms} }}")
        await page.wait_for_timeout(500)
        await expect(page.locator("#row-TT-101 .value:not(.dead)")).to_have_count(1, timeout=8_000)
        await page.wait_for_timeout(2000)
        await expect(page.locator("#row-TT-101 .value:not(.dead)")).to_have_count(1)


async def test_what_a_machine_showed_before_it_slept_is_not_live_when_it_wakes(browser: Browser, plant: Plant) -> None:
    async with looking(browser, plant, 0) as page:
        await page.wait_for_timeout(1500)
        await page.evaluate(f"() => {{ window.mute = true; window.off = {HOUR_MS} }}")  # as the wall clock has it
        await expect(page.locator(LIVE)).to_have_count(0, timeout=2_500)
