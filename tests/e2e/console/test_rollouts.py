"""The pages on rollouts: what they show, and what they order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from dyncal.domain.access import Role
from dyncal.domain.coefficients import SetState
from dyncal.domain.orders import Answer, OrderKind, OrderState
from dyncal.domain.rollouts import Failure, Member, MemberState, Residual, RolloutMove, RolloutPlan, RolloutState, Stage
from dyncal.domain.sensors import EdgeId, ModelKind, SensorId
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.records import Act
from dyncal.ports.rollouts import RolloutWrite
from dyncal.testing.registry import make_set
from dyncal.testing.rollouts import make_rollout
from tests.e2e.console.browser import complaints, picture, watched
from tests.e2e.console.people import signed_in
from tests.integration.api.plant import Plant, running

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

N = 240
PLAN = RolloutPlan((Stage(0.02, 300.0), Stage(0.25, 300.0), Stage(1.0, 300.0)))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plant() -> AsyncIterator[Plant]:
    """Yield a plant with a rollout that goes on, one that was aborted, and sets that wait."""
    async with running(5, access={"mode": "closed"}) as made:
        now_ns = made.clock.now()
        for k, (name, state) in enumerate((("r-old", RolloutState.ABORTED), ("r-now", RolloutState.RUNNING))):
            began = InstantNs(now_ns - (2 - k) * 3600 * NS_PER_S)
            rollout = replace(
                make_rollout(name, state=state), title="" if k == 0 else "new filters after the upgrade", plan=PLAN,
                n_members=N, begun_ns=began, changed_ns=began, stage_ns=began, stage=k, actor="user:ann",
                reason=("1 of 4 sensors of this stage failed: S-001: innovation too large", "4 of 4 are normal")[k],
            )  # fmt: skip
            members = [member(n, k, began) for n in range(N)]
            moves = [
                RolloutMove(name, "rollout.begin", "", "user:ann", began, "approved by the metrologist"),
                RolloutMove(name, "rollout.published", "S-000", "calibrate", began, "stage 1 of 3"),
                RolloutMove(name, "rollout.applied", "S-000", "edge:edge-000", began, "applied"),
            ]
            made.registry.write_rollout(RolloutWrite(name, rollout, members, moves))
        for sensor in ("TT-101", "RTD-101"):
            waiting = replace(make_set(900, SensorId(sensor)), id=f"{sensor}.900-waits")
            made.registry.add_set(waiting, b"", SetState.VERIFIED, Act("calibrate", now_ns, "better"))
        yield made


def member(n: int, k: int, at_ns: InstantNs) -> Member:
    """Return a member of the rollout that goes on (`k` = 1), or of the one that was aborted."""
    name = SensorId(f"S-{n:03}")
    made = Member(
        name, EdgeId(f"edge-{n % 40:03}"), SensorId("REF"), ModelKind.FIRST_ORDER, n, f"{name}.2", 2, f"{name}.1", at_ns
    )
    if n >= (40 if k else 4):
        return made
    before = Residual(0.021, 0.2, 64.0)
    made = replace(made, stage=0 if n < 4 else 1, before=before, published_ns=at_ns, applied_ns=at_ns)
    if k == 0:
        failed = {"failure": Failure.ABOVE_LIMIT, "reason": "innovation exceeds the limit"} if n == 1 else {}
        return replace(made, state=MemberState.REVERTED, after=Residual(0.9, 0.2, 12.0), **failed)  # type: ignore[arg-type]
    state = MemberState.NORMAL if n < 30 else MemberState.APPLIED
    return replace(made, state=state, after=Residual(0.019, 0.18, 40.0))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
@pytest.mark.parametrize("route", ["/rollouts", "/rollouts/r-now", "/rollouts/r-old"])
async def test_a_page_has_nothing_to_complain_about(browser: Browser, plant: Plant, route: str, role: Role) -> None:
    known = signed_in(plant, role)
    async with watched(browser, plant.service.address, route, "dark", storage_state=known) as page:
        await page.locator("table.list tbody tr").first.wait_for()
        await page.locator(".link.up").wait_for()
        await page.wait_for_timeout(300)
        for theme in ("dark", "light"):
            await picture(page, f"{route.strip('/').replace('/', '-')}-{role}-{theme}", whole=route != "/rollouts")
            assert await complaints(page) == []
            await page.keyboard.press("t")
        await expect(page.locator(".needs")).to_have_count(
            1 if role is Role.VIEWER and route != "/rollouts/r-old" else 0
        )


async def test_a_rollout_shows_stages_sensors_and_history(browser: Browser, plant: Plant) -> None:
    known = signed_in(plant, Role.VIEWER)
    async with watched(browser, plant.service.address, "/rollouts", storage_state=known) as page:
        await page.get_by_role("link", name="new filters after the upgrade").click()
        await expect(page.locator("h1")).to_have_text("new filters after the upgrade")
        stages = page.get_by_role("table", name="Stages").locator("tbody tr")
        await expect(stages.nth(0)).to_contain_text("canary group")
        await expect(stages.nth(1)).to_have_attribute("aria-current", "step")
        sensors = page.get_by_role("table", name="Sensors").locator("tbody tr")
        await expect(sensors).to_have_count(50)
        await page.get_by_role("button", name="More sensors").click()
        await expect(sensors).to_have_count(100)
        await page.wait_for_timeout(2500)  # it is read again, and what was unfolded stays
        await expect(sensors).to_have_count(100)
        await page.get_by_label("State").select_option("applied")
        await expect(sensors).to_have_count(10)
        await expect(page.get_by_role("table", name="History")).to_contain_text("approved by the metrologist")
        await page.keyboard.press("g")
        await page.keyboard.press("r")
        await expect(page.locator("h1")).to_have_text("Rollouts")


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


async def test_an_engineer_aborts_with_a_reason(browser: Browser, plant: Plant) -> None:
    known = signed_in(plant, Role.ENGINEER)
    async with watched(browser, plant.service.address, "/rollouts/r-now", storage_state=known) as page:
        await page.get_by_role("button", name="Abort …").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("goes back to the set before")
        await expect(dialog.get_by_role("button", name="Abort rollout")).to_be_disabled()
        await dialog.get_by_label("Reason").fill("something smells")
        await picture(page, "rollout-abort")
        assert await complaints(page) == []
        done = asyncio.create_task(answering(plant, OrderKind.ROLLOUT_ABORT, OrderState.REFUSED, "no rollout goes on"))
        await dialog.get_by_role("button", name="Abort rollout").click()
        asked = await done
        assert asked == {"subject": "r-now", "actor": "user:some-engineer", "reason": "something smells"}
        await expect(page.get_by_role("status").filter(has_text="Refused: no rollout goes on")).to_be_visible()


async def test_an_engineer_begins_a_rollout_of_chosen_sensors(browser: Browser, plant: Plant) -> None:
    known = signed_in(plant, Role.ENGINEER)
    async with watched(browser, plant.service.address, "/rollouts", refused=True, storage_state=known) as page:
        await page.get_by_role("button", name="New rollout …").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("status").first).to_contain_text("2 sensors")
        await dialog.get_by_label("Title").fill("one first")
        await dialog.get_by_label("Sensors whose sets wait").fill("rtd")
        await expect(dialog.get_by_role("status").first).to_contain_text("1 of 2 sensors")
        await dialog.get_by_label("Stages").fill("50, 40, 100")
        await dialog.get_by_label("Reason").fill("record 17")
        await expect(dialog.get_by_role("button", name="Begin")).to_be_disabled()
        await dialog.get_by_label("Stages").fill("50, 100")
        await picture(page, "rollout-start")
        assert await complaints(page) == []
        done = asyncio.create_task(answering(plant, OrderKind.ROLLOUT_START, OrderState.DONE, "begun with 1 sensors"))
        await dialog.get_by_role("button", name="Begin").click()
        asked = await done
        assert (asked["sensors"], asked["title"], asked["reason"]) == (["RTD-101"], "one first", "record 17")
        plan = asked["plan"]
        assert isinstance(plan, dict)
        assert plan["stages"] == [{"share": 0.5, "soak_s": 300.0}, {"share": 1.0, "soak_s": 300.0}]
        await expect(page).to_have_url(re.compile(f"#/rollouts/{asked['subject']}$"))
