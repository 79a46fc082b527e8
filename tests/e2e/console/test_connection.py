"""The connection is cut: that is said at once, nothing old is shown as live, and what was missed comes afterwards."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.cutting_proxy import CuttingProxy
from tests.e2e.console.browser import chromium, complaints, picture
from tests.integration.api.plant import Plant, running

pytestmark = pytest.mark.chromium

DT_NS = 100_000_000

# Every event of the page's own stream, in order: a stream in a shared worker cannot be listened to from outside.
LISTEN = """
delete window.SharedWorker;
window.heard = [];
const Source = window.EventSource;
window.EventSource = class extends Source {
  constructor(...given) {
    super(...given);
    for (const name of ['hello', 'reset', 'samples', 'values', 'alarm', 'edge', 'registry', 'backfill', 'beat'])
      super.addEventListener(name, event => window.heard.push([name, Number(event.lastEventId), event.data]));
  }
};
"""

INSTANTS = """() => window.heard.filter(([name]) => name === 'samples').flatMap(([, , data]) =>
  JSON.parse(data).series.filter(each => each.sensor === 'TT-101' && each.raw).flatMap(each =>
    each.raw.offset_ns.map(offset => Math.round((each.raw.t0_ns + offset) / 1e6))))"""


@contextlib.asynccontextmanager
async def behind_a_proxy(route: str, ring_events: int = 2000) -> AsyncIterator[tuple[Page, Plant, CuttingProxy]]:
    """Yield a page whose connections to a plant can be cut."""
    async with chromium() as browser, running(3, history_s=20, ring_events=ring_events) as plant:
        port = int(plant.service.address.rsplit(":", 1)[1])
        async with CuttingProxy(port) as proxy:
            page = await listening(browser)
            await page.goto(f"http://127.0.0.1:{proxy.port}/?theme=dark#{route}")
            await page.locator(".link.up").wait_for()
            yield page, plant, proxy
            await page.close()


async def listening(browser: Browser) -> Page:
    page = await browser.new_page(viewport={"width": 1440, "height": 900})
    await page.add_init_script(LISTEN)
    return page


async def test_a_cut_is_said_at_once_and_the_stream_goes_on_without_a_hole() -> None:
    async with behind_a_proxy("/sensors/TT-101") as (page, _, proxy):
        await page.locator(".value.big:not(.dead)").wait_for()
        await page.wait_for_timeout(1500)
        began = time.monotonic()
        await proxy.cut()
        await page.locator(".banner.lost").wait_for(timeout=3000)
        assert time.monotonic() - began < 1.0
        assert await page.locator(".value:not(.dead)").count() == 0
        await expect(page.locator("header .link")).to_have_text("Connection lost")
        await page.wait_for_timeout(4000)
        await picture(page, "cut-sensor-dark")
        ages = await page.locator(".age").all_inner_texts()
        assert all("stale" in age for age in ages), ages
        assert float(ages[0].split(" ")[0]) > 4
        await proxy.mend()
        await page.locator(".banner.lost").wait_for(state="detached", timeout=5000)
        await page.locator(".value.big:not(.dead)").wait_for()
        await page.wait_for_timeout(1500)
        names = [name for name, _, _ in await page.evaluate("() => window.heard")]
        assert names.count("hello") >= 2
        assert "reset" not in names
        instants = await page.evaluate(INSTANTS)
        assert [b - a for a, b in itertools.pairwise(instants)] == [100] * (len(instants) - 1)
        assert instants[-1] - instants[0] > 6000


async def test_what_the_server_has_forgotten_is_read_again() -> None:
    async with behind_a_proxy("/sensors/TT-101", ring_events=10) as (page, _, proxy):
        await page.wait_for_timeout(3500)  # the second reading of what the stream began with is over
        await proxy.cut()
        await page.locator(".banner.lost").wait_for(timeout=3000)
        await page.wait_for_timeout(3000)
        async with page.expect_request("**/samples?*", timeout=8000), page.expect_request("**/v1/fleet", timeout=8000):
            await proxy.mend()
        await page.locator(".banner.lost").wait_for(state="detached", timeout=5000)
        assert "reset" in [name for name, _, _ in await page.evaluate("() => window.heard")]


async def test_no_page_shows_what_it_had_as_live() -> None:
    async with behind_a_proxy("/") as (page, plant, proxy):
        await page.locator("#row-TT-101 .value:not(.dead)").wait_for()
        await proxy.cut()
        await page.locator(".banner.lost").wait_for(timeout=3000)
        await expect(page.locator(".body .value:not(.dead)")).to_have_count(0)
        await expect(page.locator(".body .state:not(.unknown)")).to_have_count(0)
        await page.wait_for_timeout(500)
        await picture(page, "cut-sensors-dark")
        assert await complaints(page) == []
        await proxy.mend()
        await page.locator(".link.up").wait_for()
        await page.goto(page.url.split("#")[0] + "#/system")
        await page.locator(".system table").first.wait_for()
        await proxy.cut()
        await page.locator(".system.old").wait_for(timeout=3000)
        await expect(page.locator(".system .stale-mark")).to_contain_text("as last received")
        await picture(page, "cut-system-dark")
        assert plant.service.health().ready
