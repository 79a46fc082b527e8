"""Access at the console: one's own password and sessions; users and keys for administrators; who releases sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from dyncal.domain.access import Role
from dyncal.domain.lifecycle import ReleaseMode
from tests.e2e.console.browser import complaints, picture, watched
from tests.e2e.console.people import PASSWORD, known, signed_in
from tests.integration.api.plant import Plant, running

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

GOOD = "staple battery horse correct"
BADGE = "() => { const b = document.querySelector('.you .role'); return b.scrollWidth <= b.clientWidth + 1 }"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plant() -> AsyncIterator[Plant]:
    """Yield a plant that lets nobody in unasked."""
    async with running(2, access={"mode": "closed"}) as made:
        yield made


async def lets_in(plant: Plant, **proof: str) -> bool:
    async with httpx.AsyncClient(base_url=plant.service.address) as client:
        return (await client.post("/v1/session", json=proof)).status_code == 200


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER, Role.ADMIN])
async def test_the_page_has_nothing_to_complain_about(browser: Browser, plant: Plant, role: Role) -> None:
    state = signed_in(plant, role)
    async with watched(browser, plant.service.address, "/access", "dark", storage_state=state) as page:
        await page.get_by_role("table", name="Where you are signed in").wait_for()
        await page.locator(".link.up").wait_for()
        for name in ("Users", "Keys"):
            await expect(page.get_by_role("heading", name=name)).to_have_count(int(role is Role.ADMIN))
        await expect(page.locator(".people .needs")).to_have_count(int(role is not Role.ADMIN))
        await expect(page.locator("header nav").get_by_role("link", name="Access")).to_have_count(
            int(role is Role.ADMIN)
        )
        await page.wait_for_timeout(300)
        for theme in ("dark", "light"):
            await picture(page, f"access-{role}-{theme}", whole=True)
            assert await complaints(page) == []
            await page.keyboard.press("t")


async def test_the_role_is_never_cut_off(browser: Browser, plant: Plant) -> None:
    for role in (Role.VIEWER, Role.ADMIN):
        for width in (1440, 1250, 1100, 320):
            state = signed_in(plant, role)
            view = {"width": width, "height": 800}
            async with watched(browser, plant.service.address, "/", storage_state=state, viewport=view) as page:
                await expect(page.locator(".you .role")).to_have_text({Role.ADMIN: "administrator"}.get(role, role))
                assert await page.evaluate(BADGE)
                box = await page.locator(".you .role").bounding_box()
                assert box is not None
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= width
                assert await page.evaluate("() => document.documentElement.scrollWidth") <= width


async def test_who_gives_themselves_another_password_signs_in_with_it(browser: Browser, plant: Plant) -> None:
    name, state = known(plant, Role.OPERATOR), signed_in(plant, Role.OPERATOR)
    async with watched(browser, plant.service.address, "/", refused=True, storage_state=state) as page:
        await page.locator("header .you").click()
        await page.get_by_role("button", name="Change password").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Present password").fill("wrong wrong wrong")
        await dialog.get_by_label("New password", exact=True).fill(GOOD)
        await dialog.get_by_label("New password again").fill(f"{GOOD}r")
        await expect(dialog.get_by_role("button", name="Change")).to_be_disabled()
        await expect(dialog).to_contain_text("not the same")
        await dialog.get_by_label("New password again").fill(GOOD)
        await dialog.get_by_role("button", name="Change").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("not this one")
        await picture(page, "access-password-dark")
        assert await complaints(page) == []
        await dialog.get_by_label("Present password").fill(PASSWORD)
        await dialog.get_by_role("button", name="Change").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert not await lets_in(plant, name=name, password=PASSWORD)
    assert await lets_in(plant, name=name, password=GOOD)


async def test_another_of_ones_sessions_is_ended(browser: Browser, plant: Plant) -> None:
    other, state = signed_in(plant, Role.VIEWER), signed_in(plant, Role.VIEWER)
    cookies = {each["name"]: each["value"] for each in other["cookies"]}
    async with watched(browser, plant.service.address, "/access", storage_state=state) as page:
        table = page.get_by_role("table", name="Where you are signed in")
        await expect(table.locator("tbody tr", has_text="this one")).to_have_count(1)
        async with httpx.AsyncClient(base_url=plant.service.address, cookies=cookies) as client:
            assert (await client.get("/v1/sensors")).status_code == 200
            rows = table.locator("tbody tr", has_not_text="this one")
            before = await rows.count()
            for _ in range(before):
                await rows.first.get_by_role("button").click()
                await expect(rows).to_have_count(before := before - 1)
            assert (await client.get("/v1/sensors")).status_code == 401
        await expect(page.locator(".link.up")).to_have_count(1)


async def test_an_administrator_adds_changes_and_removes_a_user(browser: Browser, plant: Plant) -> None:
    state = signed_in(plant, Role.ADMIN)
    async with watched(browser, plant.service.address, "/access", refused=True, storage_state=state) as page:
        await page.get_by_role("button", name="New user").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("textbox", name="Name Small").fill("Eve")
        await dialog.get_by_label("Role").select_option("engineer")
        await dialog.get_by_label("Password").fill("short")
        await dialog.get_by_label("Reason").fill("new in the team")
        await dialog.get_by_role("button", name="Add").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("12 to 200 characters")
        await dialog.get_by_label("Password").fill(PASSWORD)
        await picture(page, "access-user-dark")
        assert await complaints(page) == []
        await dialog.get_by_role("button", name="Add").click()
        row = page.get_by_role("table", name="Users").locator("tbody tr", has_text="eve")
        await expect(row).to_contain_text("engineer")
        assert plant.registry.audit()[-1].reason == "new in the team"
        assert await lets_in(plant, name="eve", password=PASSWORD)
        await page.get_by_role("button", name="Change eve").click()
        await dialog.get_by_label("Role").select_option("viewer")
        await dialog.get_by_label("Disabled").check()
        await dialog.get_by_role("button", name="Change").click()
        await expect(row).to_contain_text("disabled")
        assert not await lets_in(plant, name="eve", password=PASSWORD)
        await page.get_by_role("button", name="Change eve").click()
        await dialog.get_by_label("Disabled").uncheck()
        await dialog.get_by_label("New password").fill(GOOD)
        await dialog.get_by_role("button", name="Change").click()
        await expect(row).to_contain_text("may sign in")
        assert await lets_in(plant, name="eve", password=GOOD)
        await page.get_by_role("button", name="Remove eve").click()
        await dialog.get_by_role("button", name="Remove").click()
        await expect(row).to_have_count(0)
        assert not await lets_in(plant, name="eve", password=GOOD)


async def test_a_user_changed_by_another_administrator_is_not_overwritten(browser: Browser, plant: Plant) -> None:
    name, state = known(plant, Role.VIEWER), signed_in(plant, Role.ADMIN)
    async with watched(browser, plant.service.address, "/access", refused=True, storage_state=state) as page:
        await page.get_by_role("button", name=f"Change {name}").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("button", name="Change")).to_be_enabled()
        headers = {"authorization": f"Bearer {plant.first_key}"}
        async with httpx.AsyncClient(base_url=plant.service.address, headers=headers) as client:
            assert (await client.put(f"/v1/users/{name}", json={"role": "operator"})).status_code == 200
        await dialog.get_by_label("Role").select_option("admin")
        await dialog.get_by_role("button", name="Change").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("read again")


async def test_a_key_is_made_shown_once_and_revoked(browser: Browser, plant: Plant) -> None:
    state, sensor = signed_in(plant, Role.ADMIN), plant.channels[0].id
    async with watched(browser, plant.service.address, "/access", storage_state=state) as page:
        await page.locator(".link.up").wait_for()
        await page.get_by_role("button", name="New key").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("What it is for").fill("historian")
        await dialog.get_by_label("Reaches").select_option("sensors")
        await dialog.get_by_label("Sensors, with").fill(f"{sensor}, nobody-1")
        await expect(dialog).to_contain_text("Not known here: nobody-1")
        await dialog.get_by_label("Sensors, with").fill(sensor)
        await dialog.get_by_label("Expires").select_option("7776000")
        await picture(page, "access-key-dark")
        assert await complaints(page) == []
        await dialog.get_by_role("button", name="Make it").click()
        await expect(page.get_by_role("heading", name="The new key")).to_be_visible()
        key = await dialog.get_by_label("Key").input_value()
        assert await complaints(page) == []
        async with httpx.AsyncClient(
            base_url=plant.service.address, headers={"authorization": f"Bearer {key}"}
        ) as client:
            said = (await client.get("/v1/session")).json()
            assert (said["role"], said["confined"]) == ("viewer", True)
            await dialog.get_by_role("button", name="put away").click()
            row = page.get_by_role("table", name="Keys").locator("tbody tr", has_text="historian")
            await expect(row).to_contain_text(f"sensors {sensor}")
            assert key not in await page.content()
            await page.get_by_role("button", name=f"Revoke {key[4:12]}").click()
            await dialog.get_by_label("Reason").fill("lost")
            await dialog.get_by_role("button", name="Revoke").click()
            await expect(row).to_have_count(0)
            assert (await client.get("/v1/sensors")).status_code == 401
        await page.get_by_label("Also revoked").check()
        await expect(row).to_contain_text("revoked 20")


async def test_who_may_not_is_told_what_to_do(browser: Browser, plant: Plant) -> None:
    async with httpx.AsyncClient(
        base_url=plant.service.address, headers={"authorization": f"Bearer {plant.first_key}"}
    ) as client:
        body = {"label": "kiln", "role": "edge", "edge": "edge-a"}
        edge = (await client.post("/v1/keys", json=body)).json()["text"]
    async with watched(browser, plant.service.address, "/", refused=True) as page:
        await page.get_by_role("button", name="Key").click()
        await page.get_by_label("Key", exact=True).fill(edge)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("Sign in with your name and password")
        await page.get_by_label("Key", exact=True).fill("dyn_aaaaaaaa_" + "x" * 43)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("begins with dyn_")
        await page.get_by_role("button", name="Name and password").click()
        await page.get_by_label("Name", exact=True).fill("nobody")
        await page.get_by_label("Password", exact=True).fill("wrong wrong wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("An administrator can give you another")
        await picture(page, "sign-in-failed-dark")
        assert await complaints(page) == []


async def test_an_engineer_says_who_releases_the_sets_of_a_sensor(browser: Browser, plant: Plant) -> None:
    state, sensor = signed_in(plant, Role.ENGINEER), plant.channels[0].id
    async with watched(browser, plant.service.address, f"/sensors/{sensor}", refused=True, storage_state=state) as page:
        panel = page.locator(".lifecycle")
        await panel.get_by_role("button", name="Change who releases").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Verified sets are released").select_option("within_bounds")
        await expect(dialog).to_contain_text("Give one bound at least")
        await dialog.get_by_label("Time constant").fill("-4")
        await expect(dialog).to_contain_text("above 0")
        await dialog.get_by_label("Time constant").fill("12,5")
        await dialog.get_by_label("Frequency response").fill("5")
        await dialog.get_by_label("First on trial").fill("10")
        await dialog.get_by_label("Reason").fill("the probe is new")
        await picture(page, "policy-dark")
        assert await complaints(page) == []
        await dialog.get_by_role("button", name="Put it into force").click()
        await expect(dialog).to_have_count(0)
        await expect(panel).to_contain_text("Time constant τ ±12.5 %, response ±5")
        await expect(panel).to_contain_text("after 600 s on trial")
        found = plant.registry.policy(sensor)
        assert found is not None
        assert found.policy.mode is ReleaseMode.WITHIN_BOUNDS
        assert found.policy.max_parameter_change == {"tau_s": 0.125}
        assert (found.policy.max_response_change, found.policy.shadow_s) == (0.05, 600.0)
        assert plant.registry.audit()[-1].reason == "the probe is new"
        await panel.get_by_role("button", name="Change who releases").click()
        await expect(dialog.get_by_label("Time constant")).to_have_value("12.5")
        await dialog.get_by_label("Verified sets are released").select_option("none")
        await dialog.get_by_label("Reason").fill("as all others")
        await dialog.get_by_role("button", name="Put it into force").click()
        await expect(dialog).to_have_count(0)
        await expect(panel).to_contain_text("as the calibration service is set to")
        assert await asyncio.to_thread(plant.registry.policy, sensor) is None
