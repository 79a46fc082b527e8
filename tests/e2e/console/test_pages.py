"""Every page, for who looks and who decides, in both themes: no error, nothing from elsewhere, nothing that axe finds.

And a picture to look at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from dyncal.domain.access import Role
from tests.e2e.console import past
from tests.e2e.console.browser import complaints, picture, watched
from tests.e2e.console.people import signed_in
from tests.integration.api.plant import Plant, running

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]


class Screen(NamedTuple):
    """A page, and what is there when it has been drawn."""

    name: str
    route: str
    drawn: str


SCREENS = [
    Screen("sensors", "/", "#row-TT-101 .drift"),
    Screen("sensor", "/sensors/TT-101", ".charts .u-over >> nth=4"),
    Screen("sensor-without-set", "/sensors/FT-101", ".panels"),
    Screen("alarms", "/alarms", "table[aria-label=Active] tbody tr"),
    Screen("losses", "/losses", ".losses .body .row"),
    Screen("holds", "/holds", ".holds .empty"),
    Screen("system", "/system", ".system table"),
    Screen("audit", "/audit", ".audit tbody tr"),
    Screen("rollouts", "/rollouts", "main h1"),
    Screen("commissioning", "/commissioning", ".commissioning .lead"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plant() -> AsyncIterator[Plant]:
    """Yield a plant with an alarm, at work."""
    async with running(5, access={"mode": "closed"}) as made:
        made.alarm("RTD-101")
        past.calibrations(made, "TT-101")
        past.outlook(made, "TT-101")
        past.losses(made)
        past.lost_edge(made)
        past.lost_clock(made)
        channel = next(each for each in made.channels if each.id == "TT-101")
        made.gap(channel, 4.0)
        yield made


async def settled(page: Page) -> None:
    """Return when the page is connected and has drawn what it asked for."""
    await page.locator(".link.up").wait_for()
    await page.wait_for_load_state("load")
    await page.wait_for_timeout(300)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
async def test_a_page_has_nothing_to_complain_about(browser: Browser, plant: Plant, screen: Screen, role: Role) -> None:
    known = signed_in(plant, role)
    async with watched(browser, plant.service.address, screen.route, "dark", storage_state=known) as page:
        await page.locator(screen.drawn).first.wait_for()
        await settled(page)
        for theme in ("dark", "light"):
            await expect(page.locator("html")).to_have_attribute("data-theme", theme)
            await picture(page, f"{screen.name}-{role}-{theme}", whole=True)
            assert await complaints(page) == []
            await page.keyboard.press("t")


async def test_the_page_on_the_system_says_whose_clock_is_lost(browser: Browser, plant: Plant) -> None:
    known = signed_in(plant, Role.VIEWER)
    async with watched(browser, plant.service.address, "/system", storage_state=known) as page:
        row = page.get_by_role("row", name="edge-c")
        told = "Not synchronised any more, u = 250 ms (chrony: PTP0)"
        await expect(row.locator(".wrong")).to_contain_text(told)
        await expect(row.get_by_role("cell").last).to_have_text("1")


async def test_the_page_for_those_whom_nobody_knows_has_nothing_to_complain_about(
    browser: Browser, plant: Plant
) -> None:
    for theme in ("dark", "light"):
        async with watched(browser, plant.service.address, "/alarms", theme) as page:
            await page.get_by_role("heading", name="Sign in").wait_for()
            await picture(page, f"sign-in-{theme}")
            assert await complaints(page) == []


async def test_what_is_wrong_with_a_page_is_found(browser: Browser, plant: Plant) -> None:
    known = signed_in(plant, Role.VIEWER)
    async with watched(browser, plant.service.address, "/alarms", storage_state=known) as page:
        await settled(page)
        await page.evaluate(
            "() => { const p = document.createElement('p'); p.textContent = 'hardly there'; p.className = 'planted'; "
            "p.style.color = '#333'; document.querySelector('main').append(p, document.createElement('button')) }"
        )
        rules = {line.split(":")[0] for line in await complaints(page)}
        assert rules >= {"color-contrast", "button-name"}
