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
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.records import Act
from tests.e2e.console.browser import complaints, picture, watched
from tests.e2e.console.people import signed_in
from tests.integration.api.plant import ADDRESS, Plant, running

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plant() -> AsyncIterator[Plant]:
    """Yield a plant in which a sensor has a set in force, one before it, and one that waits; another one too."""
    async with running(5, access={"mode": "closed"}) as made:
        channel = made.channels[0]
        made.calibrate(channel)
        newest = made.calibrate(channel)
        now_ns, act = made.clock.now(), Act("calibrate", made.clock.now(), "the policy asks for approval; better")
        waiting = replace(newest, id=f"{channel.id}.900", sequence=900)
        candidate = (SetState.CANDIDATE, Act("calibrate", now_ns, "parameters moved: response changed by 3.1 %"))
        made.registry.add_set(waiting, b"", SetState.VERIFIED, act, earlier=[candidate])
        made.registry.put_policy(channel.id, ReleasePolicy(ReleaseMode.APPROVAL, shadow_s=600.0), Act("eve", now_ns))
        of_another = made.calibrate(made.channels[2])
        later = Act("calibrate", InstantNs(now_ns + NS_PER_S), act.reason)
        another = replace(of_another, id=f"{of_another.sensor}.900", sequence=900)
        made.registry.add_set(another, b"", SetState.VERIFIED, later, earlier=[candidate])
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


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
async def test_what_waits_is_listed_with_what_it_is_judged_by(browser: Browser, plant: Plant, role: Role) -> None:
    known, first, second = signed_in(plant, role), plant.channels[0].id, plant.channels[2].id
    async with watched(browser, plant.service.address, "/rollouts", storage_state=known) as page:
        table = page.get_by_role("table", name="Sets that wait to be released")
        rows = table.locator("tbody tr")
        await expect(rows).to_have_count(2)
        await expect(rows.first).to_contain_text(first)
        await expect(rows.last).to_contain_text(second)
        await expect(rows.first.locator("td.right")).not_to_have_text("0.0 s")
        await page.locator(".link.up").wait_for()
        for theme in ("dark", "light"):
            await picture(page, f"waiting-{role}-{theme}")
            assert await complaints(page) == []
            await page.keyboard.press("t")
        if role is Role.VIEWER:
            await expect(table.get_by_role("button")).to_have_count(0)
            await expect(table.get_by_role("checkbox")).to_have_count(0)
            return
        await page.get_by_role("button", name=f"Reject {first}").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("the policy asks for approval; better")
        await expect(dialog).to_contain_text("guarded acceptance")
        await expect(dialog.get_by_role("button", name="Reject")).to_be_disabled()
        await dialog.get_by_label("Reason").fill("the probe is to be changed tomorrow")
        await picture(page, "waiting-reject-dark")
        assert await complaints(page) == []
        done = asyncio.create_task(answering(plant, OrderKind.SET_REJECT, OrderState.DONE, "rejected"))
        await dialog.get_by_role("button", name="Reject").click()
        assert (await done)["subject"] == f"{first}.900"
        await expect(page.locator(".waiting-sets [role=status]")).to_have_text("1 done")


async def test_several_are_approved_in_one_go_and_what_is_refused_is_named(browser: Browser, plant: Plant) -> None:
    known, names = signed_in(plant, Role.ENGINEER), {plant.channels[0].id, plant.channels[2].id}
    async with watched(browser, plant.service.address, "/rollouts", storage_state=known) as page:
        await page.get_by_label("Choose all").check()
        await page.get_by_role("button", name="Approve chosen (2)").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("A rollout sends them in stages")
        await dialog.get_by_label("Reason").fill("looked at both")

        async def answers() -> set[str]:
            one = await answering(plant, OrderKind.SET_APPROVE, OrderState.DONE, "published")
            other = await answering(plant, OrderKind.SET_APPROVE, OrderState.REFUSED, "it is on trial")
            return {str(each["subject"]) for each in (one, other)}

        done = asyncio.create_task(answers())
        await dialog.get_by_role("button", name="Approve").click()
        assert await done == {f"{name}.900" for name in names}
        await expect(dialog).to_have_count(0, timeout=10_000)
        said = page.locator(".waiting-sets [role=status]")
        await expect(said).to_contain_text("1 done · ")
        await expect(said).to_contain_text("Refused: it is on trial")
