"""The sets of a sensor on its page: what was done with them, and what an engineer orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from dyncal.contracts import residuals
from dyncal.domain.access import Role
from dyncal.domain.coefficients import SetState
from dyncal.domain.lifecycle import ReleaseMode, ReleasePolicy
from dyncal.domain.orders import Answer, OrderKind, OrderState
from dyncal.domain.residuals import ResidualReport
from dyncal.ports.registry import Act
from tests.e2e.console.browser import complaints, picture, watched
from tests.e2e.console.people import signed_in
from tests.integration.api.plant import ADDRESS, Plant, running

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plant() -> AsyncIterator[Plant]:
    """Yield a plant in which a sensor has a set in force, one before it, and one that waits."""
    async with running(5, access={"mode": "closed"}) as made:
        channel = made.channels[0]
        made.calibrate(channel)
        newest = made.calibrate(channel)
        now_ns, act = made.clock.now(), Act("calibrate", made.clock.now(), "the policy asks for approval; better")
        waiting = replace(newest, id=f"{channel.id}.900", sequence=900)
        candidate = (SetState.CANDIDATE, Act("calibrate", now_ns, "parameters moved: response changed by 3.1 %"))
        made.registry.add_set(waiting, b"", SetState.VERIFIED, act, earlier=[candidate])
        made.registry.put_policy(channel.id, ReleasePolicy(ReleaseMode.APPROVAL, shadow_s=600.0), Act("eve", now_ns))
        found = [
            ResidualReport(channel.id, newest.id, 0.011, 0.2, 24),
            ResidualReport(channel.id, waiting.id, 0.31, 0.2, 9, shadow=True, difference=0.04),
        ]
        for payload in residuals.encode(found, now_ns):
            made.broker.publish(ADDRESS.residuals, payload)
        yield made


def route(plant: Plant) -> str:
    return f"/sensors/{plant.channels[0].id}"


async def answering(plant: Plant, kind: OrderKind, state: OrderState, words: str) -> dict[str, object]:
    """Answer the next order as the calibration service would; return what it asks."""
    for _ in range(200):
        for order in plant.registry.waiting_orders():
            assert order.kind is kind
            now_ns = plant.clock.now()
            plant.registry.answer_order(Answer(order.id, state, words, now_ns), Act("calibrate", now_ns))
            return {"subject": order.subject, "actor": order.actor, "reason": order.reason, **order.body}
        await asyncio.sleep(0.05)
    raise AssertionError("nobody gave an order")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
async def test_the_page_has_nothing_to_complain_about(browser: Browser, plant: Plant, role: Role) -> None:
    known = signed_in(plant, role)
    async with watched(browser, plant.service.address, route(plant), "dark", storage_state=known) as page:
        table = page.get_by_role("table", name="History of coefficients")
        await table.locator("tbody tr").first.wait_for()
        await expect(table).to_contain_text("waits to be released")
        await expect(table).to_contain_text("0.31")
        await expect(page.locator(".lifecycle")).to_contain_text("by an engineer, after 600 s on trial at the edge")
        await table.locator("summary").first.click()
        await expect(table).to_contain_text("parameters moved: response changed by 3.1 %")
        await page.locator(".link.up").wait_for()
        await page.wait_for_timeout(300)
        for theme in ("dark", "light"):
            await picture(page, f"lifecycle-{role}-{theme}", whole=True)
            assert await complaints(page) == []
            await page.keyboard.press("t")
        await expect(page.locator(".lifecycle .needs")).to_have_count(1 if role is Role.VIEWER else 0)
        await expect(page.get_by_role("button", name="Approve")).to_have_count(0 if role is Role.VIEWER else 1)


async def test_an_engineer_approves_with_a_reason(browser: Browser, plant: Plant) -> None:
    known = signed_in(plant, Role.ENGINEER)
    async with watched(browser, plant.service.address, route(plant), storage_state=known) as page:
        await page.get_by_role("button", name="Approve № 900").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("button", name="Approve set")).to_be_disabled()
        await dialog.get_by_label("Why").fill("as-left is what the new probe promises")
        await picture(page, "lifecycle-approve")
        assert await complaints(page) == []
        done = asyncio.create_task(answering(plant, OrderKind.SET_APPROVE, OrderState.REFUSED, "it is on trial"))
        await dialog.get_by_role("button", name="Approve set").click()
        assert await done == {
            "subject": f"{plant.channels[0].id}.900", "actor": "user:some-engineer",
            "reason": "as-left is what the new probe promises",
        }  # fmt: skip
        await expect(page.get_by_role("status").filter(has_text="Refused: it is on trial")).to_be_visible()


async def test_an_engineer_goes_back_to_an_earlier_set(browser: Browser, plant: Plant) -> None:
    known, channel = signed_in(plant, Role.ENGINEER), plant.channels[0]
    async with watched(browser, plant.service.address, route(plant), storage_state=known) as page:
        await page.get_by_role("button", name="Go back to it").first.click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Why").fill("it rings")
        done = asyncio.create_task(answering(plant, OrderKind.SET_ROLL_BACK, OrderState.DONE, "published"))
        await dialog.get_by_role("button", name="Go back to set").click()
        asked = await done
        assert (asked["subject"], asked["reason"]) == (channel.id, "it rings")
        assert str(asked["to"]).startswith(f"{channel.id}.")
        await expect(page.get_by_role("status").filter(has_text="Done.")).to_be_visible()
