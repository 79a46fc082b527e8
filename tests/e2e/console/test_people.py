"""What people do without a mouse, at night, and with what they have kept: keys, themes, focus, policy."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from dyncal.contracts.edges import SensorMessage, StatusMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import NS_PER_S
from services.api.middleware import CSP
from tests.e2e.console.browser import complaints, picture, watched
from tests.integration.api.plant import SITE, Plant, running

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plant() -> AsyncIterator[Plant]:
    """Yield a plant at work."""
    async with running(5) as made:
        yield made


async def focused(page: Page) -> str:
    return str(await page.evaluate("() => document.activeElement.textContent.trim()"))


async def test_the_keys_that_the_help_names_work(browser: Browser, plant: Plant) -> None:
    async with watched(browser, plant.service.address) as page:
        await page.locator("#row-TT-101").wait_for()
        for letter, title in (("a", "Alarms"), ("l", "Losses"), ("y", "System"), ("u", "Audit"), ("s", "Sensors")):
            await page.keyboard.press("g")
            await page.keyboard.press(letter)
            await expect(page.locator("h1")).to_have_text(title)
            await expect(page).to_have_title(f"{title} · dyncal")
            await expect(page.locator("header nav [aria-current=page]")).to_contain_text(title)
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_contain_text("dark or light theme")
        await picture(page, "help-dark")
        assert await complaints(page) == []
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.keyboard.press("t")
        await expect(page.locator("html")).to_have_attribute("data-theme", "light")


async def test_tab_reaches_the_content_first_and_shows_where_it_is(browser: Browser, plant: Plant) -> None:
    async with watched(browser, plant.service.address) as page:
        await page.locator("#row-TT-101").wait_for()
        await page.evaluate("() => document.activeElement.blur()")
        await page.keyboard.press("Tab")
        assert await focused(page) == "Skip to the content"
        await picture(page, "skip-dark")
        await page.keyboard.press("Enter")
        assert await page.evaluate("() => document.activeElement.id") == "main"
        seen = set()
        for _ in range(30):
            await page.keyboard.press("Tab")
            outline = await page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
            role = await page.evaluate(
                "() => document.activeElement.getAttribute('role') ?? document.activeElement.localName"
            )
            assert outline not in {"none", ""} or role == "body", role
            seen.add(role)
        assert seen >= {"treeitem", "input", "select", "button", "row"}


async def test_rows_take_the_focus_one_at_a_time(browser: Browser, plant: Plant) -> None:
    async with watched(browser, plant.service.address) as page:
        await page.locator("#row-TT-101").wait_for()
        assert await page.locator(".body .row[tabindex='0']").count() == 1
        await page.locator(".body .row[tabindex='0']").focus()
        before = await page.evaluate("() => document.activeElement.id")
        await page.keyboard.press("ArrowDown")
        after = await page.evaluate("() => document.activeElement.id")
        assert after.startswith("row-")
        assert after != before
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_have_text(after.removeprefix("row-"))
        await page.keyboard.press("Escape")
        await expect(page.locator(".row.selected")).to_have_attribute("id", after)


@pytest.mark.parametrize(
    ("name", "unit"), [("toString", "__proto__"), ("constructor", "constructor"), ("a" * 128, "m" * 150)]
)
async def test_names_and_units_of_any_kind_are_shown_as_they_are(
    browser: Browser, plant: Plant, name: str, unit: str
) -> None:
    address = EdgeAddress(SITE, EdgeId("valueOf"))
    sensors = [SensorMessage(SensorId(name), unit, NS_PER_S, "<b>bold</b>", None)]
    birth = StatusMessage(1, "online", plant.clock.now(), "0.1.0", 1, None, sensors)
    plant.broker.publish(address.status, msgspec.json.encode(birth), retain=True)
    async with watched(browser, plant.service.address) as page:
        await page.locator(f"#row-{name}").wait_for(timeout=10_000)
        await expect(page.locator(f"#row-{name}")).to_contain_text(unit)
        await page.locator(f"#row-{name}").click()
        await expect(page.locator("h1")).to_have_text(name)
        await expect(page.locator("main")).to_contain_text("<b>bold</b>")


async def test_the_theme_that_was_chosen_is_kept(browser: Browser, plant: Plant) -> None:
    context = await browser.new_context(color_scheme="dark")
    try:
        page = await context.new_page()
        await page.goto(plant.service.address)
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.get_by_role("button", name="Light theme").click()
        await page.reload()
        await expect(page.locator("html")).to_have_attribute("data-theme", "light")
        await page.close()
    finally:
        await context.close()


async def test_the_policy_is_served_and_holds(browser: Browser, plant: Plant) -> None:
    assert "script-src 'self';" in CSP
    assert "style-src 'self';" in CSP
    assert "unsafe" not in CSP
    page = await browser.new_page()
    answer = await page.goto(plant.service.address)
    assert answer is not None
    assert answer.headers["content-security-policy"] == CSP
    await page.locator("#row-TT-101").wait_for()
    ran = await page.evaluate(
        """() => new Promise(done => {
          addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
          const script = document.createElement('script');
          script.textContent = 'window.ran = true';
          document.body.append(script);
          setTimeout(() => done('nothing was refused'), 1000);
        })"""
    )
    assert ran.startswith("script-src")
    assert not await page.evaluate("() => 'ran' in window")
    await page.close()


async def test_the_trend_is_zoomed_from_a_year_to_milliseconds_by_keyboard(browser: Browser, plant: Plant) -> None:
    async with watched(browser, plant.service.address, "/sensors/VT-101") as page:
        chart = page.locator(".chart")
        await chart.locator("canvas").first.wait_for()
        asked: list[float] = []

        def note(url: str) -> None:
            if "/samples?" in url:
                query = dict(part.split("=") for part in url.split("?")[1].split("&"))
                asked.append((int(query["to"]) - int(query["from"])) / 1e9)

        page.on("request", lambda request: note(request.url))
        await page.get_by_role("button", name="1 y").click()
        await page.wait_for_timeout(600)
        assert asked[-1] == pytest.approx(31_557_602, rel=1e-3)
        await picture(page, "trend-year-dark")
        await page.get_by_role("button", name="10 s").click()
        await page.wait_for_timeout(600)
        await page.get_by_role("button", name="Live", exact=True).click()
        await chart.focus()
        for _ in range(9):
            await page.keyboard.press("+")
            await page.wait_for_timeout(30)
        await page.wait_for_timeout(800)
        assert asked[-1] < 0.1
        await picture(page, "trend-milliseconds-dark")
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("-")
        await page.keyboard.press("0")
        await expect(page.get_by_role("button", name="Live", exact=True)).to_have_attribute("aria-pressed", "true")
