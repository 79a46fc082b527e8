"""Holds at the console: who looks sees them, who decides puts and releases them, with a reason."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from dyncal.domain.access import Role
from dyncal.domain.time import LATEST
from tests.e2e.console.browser import complaints, picture, watched
from tests.e2e.console.people import signed_in
from tests.integration.api.plant import Plant, running

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

JANUARY_NS = 1_769_860_800_000_000_000  # 2026-01-31T12:00:00Z


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plant() -> AsyncIterator[Plant]:
    """Yield a plant that lets nobody in unasked."""
    async with running(2, access={"mode": "closed"}) as made:
        yield made


async def test_an_engineer_holds_samples_and_releases_them(browser: Browser, plant: Plant) -> None:
    state = signed_in(plant, Role.ENGINEER)
    async with watched(browser, plant.service.address, "/holds", storage_state=state) as page:
        await expect(page.locator("main")).to_contain_text("No samples are held")
        await page.get_by_role("button", name="Hold samples").click()
        dialog = page.get_by_role("dialog")
        go = dialog.get_by_role("button", name="Hold", exact=True)
        await expect(go).to_be_disabled()
        await dialog.get_by_label("Reason").fill("claim 4711: batch of 31 January")
        await expect(go).to_be_enabled()  # all sensors, from a day ago on
        for label, wrong, said in (
            ("Sensor", "TT-1O1", "There is no sensor TT-1O1"),
            ("From (Z)", "31.1.2026", "Instants are written as"),
            ("From (Z)", "2026-02-30", "Instants are written as"),
            ("To (Z)", "2026-01-01", "has to end after"),
        ):
            field = dialog.get_by_label(label)
            before = await field.input_value()
            await field.fill(wrong)
            await expect(dialog).to_contain_text(said)
            await expect(go).to_be_disabled()
            await field.fill(before)
        await dialog.get_by_label("Sensor").fill("TT-101")
        await dialog.get_by_label("From (Z)").fill("2026-01-31 13:00+01:00")
        await dialog.get_by_label("To (Z)").fill("2026-01-31T13:00:30Z")
        await picture(page, "holds-put-dark")
        assert await complaints(page) == []
        await go.click()
        row = page.get_by_role("row", name="claim 4711")
        await expect(row).to_contain_text("2026-01-31 13:00:30Z")
        [hold] = plant.registry.holds()
        assert (hold.sensor, hold.from_ns, hold.to_ns) == ("TT-101", JANUARY_NS, JANUARY_NS + 3_630_000_000_000)
        for theme in ("dark", "light"):
            await picture(page, f"holds-engineer-{theme}", whole=True)
            assert await complaints(page) == []
            await page.keyboard.press("t")
        await row.get_by_role("button", name="Release the hold of TT-101").click()
        release = dialog.get_by_role("button", name="Release")
        await expect(release).to_be_disabled()
        await dialog.get_by_label("Reason").fill("settled")
        await release.click()
        await expect(page.locator("main")).to_contain_text("No samples are held")
    assert plant.registry.holds() == []
    assert [(e.action, e.reason) for e in plant.registry.audit()[-2:]] == [
        ("hold.put", "claim 4711: batch of 31 January"),
        ("hold.release", "settled"),
    ]


async def test_who_may_not_hold_is_not_offered_it_and_sees_what_is_held(browser: Browser, plant: Plant) -> None:
    engineer = signed_in(plant, Role.ENGINEER)
    async with watched(browser, plant.service.address, "/holds", storage_state=engineer) as page:
        await page.get_by_role("button", name="Hold samples").click()
        await page.get_by_role("dialog").get_by_label("Reason").fill("all of it")
        await page.get_by_role("dialog").get_by_role("button", name="Hold", exact=True).click()
        await expect(page.get_by_role("row", name="all of it")).to_contain_text("all sensors")
    assert [(h.sensor, h.to_ns) for h in plant.registry.holds()] == [(None, LATEST)]
    async with watched(browser, plant.service.address, "/holds", storage_state=signed_in(plant, Role.OPERATOR)) as page:
        await expect(page.get_by_role("row", name="all of it")).to_contain_text("and on")
        await expect(page.locator("main .needs")).to_contain_text("engineer")
        await expect(page.locator("main").get_by_role("button")).to_have_count(0)
        await page.locator(".link.up").wait_for()
        assert await complaints(page) == []
