"""Signing in and out at the console, and what it offers to whom."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from dyncal.domain.access import Role
from dyncal.ports.records import Act
from tests.e2e.console.browser import watched
from tests.e2e.console.people import PASSWORD, known, signed_in
from tests.integration.api.plant import Plant, running

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plant() -> AsyncIterator[Plant]:
    """Yield a plant that lets nobody in unasked, with an alarm."""
    async with running(5, access={"mode": "closed"}) as made:
        made.alarm("RTD-101")
        yield made


async def test_a_user_signs_in_where_they_wanted_to_go_and_signs_out(browser: Browser, plant: Plant) -> None:
    name = known(plant, Role.OPERATOR)
    async with watched(browser, plant.service.address, "/alarms", refused=True) as page:
        await page.get_by_label("Name", exact=True).fill(name)
        await page.get_by_label("Password", exact=True).fill("wrong wrong wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("no such user")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.locator("h1")).to_have_text("Alarms")
        await expect(page.locator("header .who")).to_contain_text(f"{name} · operator")
        await expect(page.locator(".link.up")).to_have_count(1)
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert await page.evaluate("() => document.cookie") == ""


async def test_a_key_opens_the_console_too(browser: Browser, plant: Plant) -> None:
    async with watched(browser, plant.service.address, "/", refused=True) as page:
        await page.get_by_role("button", name="Key").click()
        await page.get_by_label("Key", exact=True).fill("dyn_aaaaaaaa_" + "x" * 43)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("opens nothing")
        await page.get_by_label("Key", exact=True).fill(plant.first_key)
        await page.keyboard.press("Enter")
        await page.locator("#row-TT-101").wait_for()
        await expect(page.locator("header .who")).to_contain_text("administrator")


async def test_who_looks_has_no_commands_and_is_told_why(browser: Browser, plant: Plant) -> None:
    state = signed_in(plant, Role.VIEWER)
    async with watched(browser, plant.service.address, "/alarms", storage_state=state) as page:
        row = page.locator("table[aria-label=Active] tbody tr").first
        await row.wait_for()
        await expect(page.locator(".needs")).to_contain_text("role operator")
        await expect(page.get_by_role("button", name="Acknowledge", exact=True)).to_have_count(0)
        await row.focus()
        await page.keyboard.press("a")
        await expect(page.get_by_role("status").filter(has_text="role operator")).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog").locator(".needs")).to_be_visible()
        await expect(page.get_by_role("dialog").get_by_role("button", name="Shelve")).to_have_count(0)
        await page.keyboard.press("Escape")
        await page.goto(f"{plant.service.address}/#/commissioning")
        await expect(page.locator(".needs")).to_contain_text("role engineer")
    assert not [change for change in plant.registry.alarm_changes() if change.actor.startswith("user:")]


async def test_an_operator_acknowledges_under_their_own_name(browser: Browser, plant: Plant) -> None:
    state = signed_in(plant, Role.OPERATOR)
    async with watched(browser, plant.service.address, "/alarms", storage_state=state) as page:
        row = page.locator("table[aria-label=Active] tbody tr").first
        await row.wait_for()
        await row.focus()
        await page.keyboard.press("a")
        await expect(page.locator("table[aria-label=History]").first).to_contain_text("user:some-operator")


async def test_a_session_that_ends_takes_the_values_off_the_screen(browser: Browser, plant: Plant) -> None:
    state = signed_in(plant, Role.ENGINEER)
    (session,) = [each for each in plant.registry.sessions() if each.holder == "user:some-engineer"]
    async with watched(browser, plant.service.address, "/", refused=True, storage_state=state) as page:
        await page.locator(".link.up").wait_for()
        plant.registry.close_session(session.digest, Act("test", plant.clock.now()))
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=10_000)
        await expect(page.locator("#row-TT-101")).to_have_count(0)
