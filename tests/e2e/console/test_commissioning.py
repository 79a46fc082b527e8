"""From a server's address to values on the screen, in a browser: no file, no interruption of anything else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from dyncal.runtime.ports import free_port
from edge_agent.service import EdgeService
from edge_agent.settings import EdgeSettings
from tests.e2e.console.browser import chromium, complaints, picture, watched
from tests.integration.api.plant import Plant, running
from tests.integration.edge_agent import plant as edges
from tests.integration.edge_agent.test_delivery import message

pytestmark = pytest.mark.chromium


@dataclass(slots=True)
class Site:
    """A service with its sensors, an edge beside them, and a server that nobody reads yet."""

    plant: Plant
    edge: EdgeService
    server: edges.Plant


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Yield all at work."""
    server = edges.Plant(free_port())
    await server.start(TI201=20.5, TI202=20.4, Note="ready")
    async with running(2) as plant:
        settings = EdgeSettings.model_validate(
            {
                "data_dir": tmp_path,
                "signing": {"trusted_dir": plant.data_dir / "keys" / "trusted"},
                "edge": {"name": "edge1", "flush_s": 0.02},
            }
        )
        try:
            async with edges.running(settings, plant.broker) as edge:
                yield Site(plant, edge, server)
        finally:
            await server.stop()


@contextlib.asynccontextmanager
async def opened(site: Site, browser: Browser, theme: str, *, refused: bool = False) -> AsyncIterator[Page]:
    async with watched(browser, site.plant.service.address, "/commissioning", theme, refused=refused) as page:
        await page.locator(".link.up").wait_for()
        await page.get_by_role("combobox", name="Edge").select_option("edge1")
        yield page


def progress(page: Page, sensor: str) -> Locator:
    """Return the row of a sensor that was commissioned just now."""
    panel = page.locator("section.panel").filter(has=page.get_by_text("First values and fits"))
    return panel.get_by_role("row").filter(has_text=sensor)


async def writing(site: Site, *names: str) -> None:
    k = 0
    while True:
        for name in names:
            await site.server.write(name, 20.0 + 0.01 * (k % 100), edges.now_ns() // 1000 * 1000)
        k += 1
        await asyncio.sleep(0.05)


async def test_a_server_is_browsed_and_its_nodes_become_sensors(site: Site) -> None:
    async with chromium() as browser, opened(site, browser, "light") as page:
        await page.get_by_label("Address of the server").fill(site.server.url)
        await page.get_by_role("button", name="Browse").click()
        await page.get_by_label("Pick TI201").check()
        await page.get_by_label("Pick TI202").check()
        await expect(page.get_by_label("Pick Note")).to_be_disabled()
        for unit in await page.get_by_label("Unit, ").all():
            await unit.fill("Cel")
        apply = page.get_by_role("button", name="Have the edge read them")
        await page.get_by_label("Id, ").first.fill("no good id")
        await expect(apply).to_be_disabled()
        await page.get_by_label("Id, ").first.fill("TI201")
        await page.get_by_label("Reference, ").first.select_option("TI202")
        await picture(page, "commissioning-light", whole=True)
        assert await complaints(page) == []
        await apply.click()
        await page.get_by_text("edge1 reads them (revision 1)").wait_for()
        feeding = asyncio.create_task(writing(site, "TI201", "TI202"))
        try:
            row = progress(page, "TI201")
            await expect(row).to_contain_text("Cel", timeout=20_000)
            await expect(row).to_contain_text("Learning")
            await picture(page, "commissioned-light", whole=True)
            assert await complaints(page) == []
        finally:
            feeding.cancel()
        await page.get_by_role("button", name="Stop reading TI201").click()
        await page.get_by_text("edge1 reads them (revision 2)").wait_for()
        await expect(page.get_by_role("button", name="Stop reading TI201")).to_have_count(0)
        await expect(page.get_by_role("button", name="Stop reading TI202")).to_be_visible()
        await page.get_by_label("Pick TI201").check()
        await page.get_by_label("Unit, ").fill("K")
        await expect(page.get_by_label("Id, ")).to_have_attribute("aria-invalid", "false")  # it may come back
        await expect(apply).to_be_enabled()
        await page.get_by_label("Reference, ").select_option("TI202")
        await page.get_by_text("is in Cel: both must have one unit").wait_for()
        await expect(apply).to_be_disabled()
        await page.get_by_label("Unit, ").fill("Cel")
        await apply.click()
        await page.get_by_text("edge1 reads them (revision 3)").wait_for()


async def test_what_a_broker_brings_becomes_sensors(site: Site) -> None:
    async with chromium() as browser, opened(site, browser, "dark") as page:
        await page.get_by_role("button", name="MQTT broker").click()
        await page.get_by_label("Topic filter").fill("other/#")
        await page.get_by_role("button", name="Listen for 5 s").click()
        for _ in range(60):
            site.plant.broker.publish("other/FI301", message(edges.now_ns(), 3.5))
            await asyncio.sleep(0.05)
        await page.get_by_label("Pick other/FI301").check(timeout=15_000)
        await page.get_by_label("Id, ").fill("FI301")
        await page.get_by_label("Unit, ").fill("m3/h")
        await picture(page, "commissioning-mqtt-dark", whole=True)
        assert await complaints(page) == []
        await page.get_by_role("button", name="Have the edge read them").click()
        await page.get_by_text("edge1 reads them (revision 1)").wait_for()
        site.plant.broker.publish("other/FI301", message(edges.now_ns(), 3.5))
        await expect(progress(page, "FI301")).to_contain_text("3.5 m3/h", timeout=15_000)


async def test_what_the_edge_refuses_is_said_and_not_left_behind(site: Site) -> None:
    async with chromium() as browser, opened(site, browser, "dark", refused=True) as page:
        await page.get_by_label("Address of the server").fill("opc.tcp://127.0.0.1:1")
        await page.get_by_role("button", name="Browse").click()
        await page.locator(".failure").filter(has_text="127.0.0.1:1").wait_for(timeout=15_000)
        await page.get_by_label("Address of the server").fill(site.server.url)
        await page.get_by_text("Security and login").click()
        await page.get_by_label("Password file on the edge").fill("/etc/shadow")
        await page.get_by_role("button", name="Browse").click()
        await page.locator(".failure").filter(has_text="expected a file below").wait_for()
        await page.get_by_label("Password file on the edge").fill("")
        await page.get_by_role("button", name="Browse").click()
        await page.get_by_label("Pick TI201").check()
        await page.get_by_label("Id, ").fill("TT-101.x")
        await page.get_by_label("Unit, ").fill("Cel")
        await page.get_by_label("Interval [s], ").fill("1e9")
        await page.get_by_role("button", name="Have the edge read them").click()
        await page.locator(".failure").filter(has_text="edge1 refuses").wait_for()
        assert site.plant.registry.load_snapshot("sources.edge1") is not None
        assert b"TI201" not in (site.plant.registry.load_snapshot("sources.edge1") or b"")
