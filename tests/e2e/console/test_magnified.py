"""Pages at 200 and 400 %, and on narrow screens (WCAG 2.2, 1.4.10): nothing is out of sight, nothing to complain of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.e2e.console import past
from tests.e2e.console.browser import complaints, picture, watched
from tests.integration.api.plant import Plant, running

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

# By size in CSS pixels: 1440 x 900 at 200 %, 1280 x 1024 at 400 %.
SIZES: dict[str, dict[str, Any]] = {
    "200": {"viewport": {"width": 720, "height": 450}, "device_scale_factor": 2},
    "400": {"viewport": {"width": 320, "height": 256}},
}
ROUTES = ("/", "/sensors/TT-101", "/alarms", "/losses", "/system", "/audit", "/commissioning", "/rollouts", "/access")

SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
OUT_OF_SIGHT = """() => [...document.querySelectorAll('header :is(a, button, [role=status])')].filter(each => {
  const box = each.getBoundingClientRect();
  return box.width > 0 && (box.left < 0 || box.right > innerWidth + 1 || box.bottom > innerHeight);
}).map(each => each.textContent)"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plant() -> AsyncIterator[Plant]:
    """Yield a plant with an alarm, at work."""
    async with running(5) as made:
        made.alarm("RTD-101")
        past.calibrations(made, "TT-101")
        past.outlook(made, "TT-101")
        past.losses(made)
        yield made


@pytest.mark.parametrize("size", SIZES)
async def test_nothing_is_out_of_sight(browser: Browser, plant: Plant, size: str) -> None:
    async with watched(browser, plant.service.address, "/", "light", **SIZES[size]) as page:
        await page.locator(".link.up").wait_for()
        for route in ROUTES:
            await page.goto(f"{plant.service.address}/?theme=light#{route}")
            await page.locator("#main").wait_for()
            await page.wait_for_timeout(700)
            assert await page.evaluate(SIDEWAYS) == 0, route
            assert await page.evaluate(OUT_OF_SIGHT) == [], route
            await picture(page, f"magnified-{size}{route.replace('/', '-')}")
            assert await complaints(page) == [], route
