"""The page of alarms: what people do with them, and a flood of a thousand in ten seconds."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.e2e.console.browser import complaints, picture, watched
from tests.e2e.console.desk import Desk, alarm
from tests.e2e.console.quickness import crowding
from tests.integration.api.plant import Plant, running

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

ROWS = "table[aria-label=Active] tbody tr:not(.room)"
FLOOD, FLOOD_S = 1000, 10


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plant() -> AsyncIterator[Plant]:
    """Yield a plant at work."""
    async with running(5) as made:
        yield made


@contextlib.asynccontextmanager
async def opened(
    browser: Browser, plant: Plant, desk: Desk, route: str = "/alarms", theme: str = "dark"
) -> AsyncIterator[Page]:
    """Yield a page of alarms that a desk answers for."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        async with watched(context, plant.service.address, "/audit", theme) as page:
            await desk.attend(page)
            await page.goto(f"{plant.service.address}/?theme={theme}&again#{route}")
            await page.locator(".link.up").wait_for()
            yield page
    finally:
        await context.close()


def desk_of(plant: Plant, n: int = 3) -> Desk:
    """Return a desk with `n` alarms of each priority."""
    desk = Desk(plant.clock.now())
    for k in range(n):
        for priority in ("low", "medium", "high"):
            kind = "out_of_tolerance" if priority == "high" else "drift"
            at_ns = desk.now_ns - (k + 1) * 60_000_000_000
            desk.put(alarm(f"{priority.upper()}-{k}", kind, priority=priority, at_ns=at_ns, limit=0.05))
    return desk


async def test_the_gravest_stands_first_and_one_key_acknowledges_it(browser: Browser, plant: Plant) -> None:
    desk = desk_of(plant)
    async with opened(browser, plant, desk) as page:
        rows = page.locator(ROWS)
        await expect(rows).to_have_count(9)
        await expect(rows.first).to_contain_text("HIGH-0")
        await expect(rows.first).to_contain_text("+8.30 ± 0.80 % (tolerance ±5.00 %)")
        await expect(rows.nth(3)).to_contain_text("+8.30 ± 0.80 %")
        await rows.first.focus()
        await page.keyboard.press("a")
        await expect(page.locator(".said")).to_have_text("1 done")
        assert desk.commands == [{"command": "acknowledge", "alarms": ["HIGH-0:out_of_tolerance"], "upto": 3}]
        assert len(desk.keys[0]) == 32
        # What waits for nobody stands below what does.
        await expect(rows.last).to_contain_text("Acknowledged")


async def test_several_are_shelved_at_once_with_a_reason_and_come_back(browser: Browser, plant: Plant) -> None:
    desk = desk_of(plant)
    desk.refuse = "LOW-1:drift"
    async with opened(browser, plant, desk) as page:
        await page.locator("input[type=search]").fill("low-")
        await expect(page.locator(ROWS)).to_have_count(3)
        await page.get_by_role("button", name="Select all shown").click()
        await page.get_by_role("button", name="Shelve …").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("button", name="Shelve")).to_be_disabled()
        await dialog.get_by_label("4 h").check()
        await dialog.get_by_label("Reason").fill("cleaning of the line")
        await picture(page, "alarms-shelve-dark")
        assert await complaints(page) == []
        await dialog.get_by_role("button", name="Shelve").click()
        await expect(page.locator(".said")).to_contain_text("2 done, 1 refused: raised again since you looked")
        command = desk.commands[0]
        assert (command["duration_s"], command["reason"]) == (14_400, "cleaning of the line")
        await page.locator("input[type=search]").fill("")
        await page.get_by_role("button", name="Set aside").click()
        await expect(page.locator(ROWS)).to_have_count(2)
        await expect(page.locator(ROWS).first).to_contain_text("until 20")
        await page.locator(ROWS).first.get_by_role("checkbox").check()
        await page.get_by_role("button", name="Unshelve").click()
        await expect(page.locator(ROWS)).to_have_count(1)


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_one_alarm_says_what_to_do_and_what_was_said_of_it(browser: Browser, plant: Plant, theme: str) -> None:
    desk = desk_of(plant)
    async with opened(browser, plant, desk, theme=theme) as page:
        await page.locator(ROWS).nth(1).focus()
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("Corrected values rest on an older calibration")
        await expect(dialog).to_contain_text("No comments.")
        await dialog.get_by_role("button", name="Comment …").click()
        await page.get_by_role("dialog").get_by_role("textbox").fill("seen, on the list for Monday")
        await page.get_by_role("dialog").get_by_role("button", name="Comment").click()
        await expect(page.get_by_role("dialog").locator(".comments")).to_contain_text("seen, on the list for Monday")
        await page.wait_for_timeout(300)
        await picture(page, f"alarm-{theme}")
        assert await complaints(page) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_the_figures_say_whether_people_can_live_with_them(browser: Browser, plant: Plant, theme: str) -> None:
    async with opened(browser, plant, desk_of(plant), "/alarms/figures", theme) as page:
        await expect(page.locator(".tile.wrong").first).to_contain_text("23")
        await picture(page, f"alarm-figures-{theme}", whole=True)
        assert await complaints(page) == []


FLOODING = """([alarms, seconds]) => {
  const began = performance.now();
  let told = 0;
  const tell = () => {
    const due = Math.min(alarms.length, Math.ceil(alarms.length * (performance.now() - began) / (1000 * seconds)));
    for (; told < due; told++) window.say('alarm', alarms[told]);
    if (told < alarms.length) setTimeout(tell, 10);
  };
  tell();
}"""

TYPED = """async words => {
  const box = document.querySelector('input[type=search]');
  const before = performance.now();
  box.value = words;
  box.dispatchEvent(new Event('input', { bubbles: true }));
  await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - before;
}"""


async def test_a_flood_of_a_thousand_leaves_the_console_usable(browser: Browser, plant: Plant) -> None:
    desk = desk_of(plant, 0)
    flood = [
        alarm(
            f"X-{k:04d}",
            number=k + 1,
            at_ns=desk.now_ns + k,
            priority=("low", "medium", "high")[k % 3],
            annunciation="held_back" if k > 10 and k % 3 < 2 else "single",
            chattering=k % 50 == 7,
        )
        for k in range(FLOOD)
    ]
    async with opened(browser, plant, desk, theme="light") as page:
        await page.get_by_text("No alarm is active.").wait_for()
        heard = {"active": True, "began_ns": desk.now_ns, "ended_ns": None, "n_alarms": 500}
        await page.evaluate("data => window.say('flood', data)", {**heard, "n_held_back": {"low": 160, "medium": 150}})
        await page.evaluate(FLOODING, [flood, FLOOD_S])
        waits = []
        for k in range(2 * FLOOD_S - 2):
            waits.append(float(await page.evaluate(TYPED, "x-0" if k % 2 else "")))
            if k == FLOOD_S:
                await picture(page, "alarm-flood-light")
                assert await complaints(page) == []
            await page.wait_for_timeout(350)
        await page.evaluate(TYPED, "")
        await expect(page.locator(".alarm-panel .panel-head [role=status]")).to_have_text(
            f"{FLOOD} alarms", timeout=15_000
        )
        await expect(page.locator("header .count")).to_have_text(str(FLOOD))
        assert await page.locator(ROWS).count() < 60
        crowd = crowding()
        assert sorted(waits)[len(waits) // 2] <= 100 * crowd, waits
        assert max(waits) <= 500 * crowd, waits
        # All of them are acknowledged in one go.
        for each in flood:
            desk.alarms[each["id"]] = each
        await page.get_by_role("button", name="Select all shown").click()
        await page.get_by_role("button", name="Acknowledge", exact=True).click()
        await expect(page.locator(".said")).to_have_text(f"{FLOOD} done", timeout=10_000)
        assert len(desk.commands[0]["alarms"]) == FLOOD


async def test_a_list_that_is_held_does_not_move_under_the_hand(browser: Browser, plant: Plant) -> None:
    desk = desk_of(plant, 1)
    async with opened(browser, plant, desk) as page:
        rows = page.locator(ROWS)
        await expect(rows).to_have_count(3)
        await page.get_by_role("button", name="Hold the list").click()
        new = alarm("NEW-1", number=100, priority="high", at_ns=desk.now_ns)
        await page.evaluate("data => window.say('alarm', data)", new)
        await expect(page.get_by_role("button", name="List is held, 1 new")).to_be_visible()
        await expect(rows).to_have_count(3)
        await page.get_by_role("button", name="List is held").click()
        await expect(rows).to_have_count(4)
        await expect(rows.first).to_contain_text("NEW-1")
        # An older picture of it that comes late changes nothing.
        await page.evaluate("data => window.say('alarm', data)", {**new, "state": "acknowledged", "number": 99})
        await page.wait_for_timeout(400)
        await expect(rows.first).to_contain_text("Unacknowledged")
