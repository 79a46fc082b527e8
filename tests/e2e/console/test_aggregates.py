"""The trend where samples are not kept one by one any more: means that are drawn as a line, with their extremes."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.console import past
from tests.e2e.console.browser import complaints, picture, watched
from tests.integration.api.plant import running

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

LEFT, RIGHT = 0.25, 0.97  # of the chart: where there are means, and where there are samples


async def pointed_at(page: Page, share: float) -> str:
    chart = page.locator(".trend .u-over")
    box = await chart.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
    return await page.locator("#trend-readout").inner_text()


async def test_means_are_drawn_for_samples_that_are_gone_and_the_page_says_so(browser: Browser) -> None:
    async with running(1, history_s=60) as plant:
        past.reduced(plant, "TT-101", width_s=4, n=9)
        async with watched(browser, plant.service.address, "/sensors/TT-101") as page:
            note = page.locator(".trend .note", has_text="not kept one by one")
            await expect(note).to_be_visible()
            await page.locator(".trend .follow").click()  # what is looked at stands still
            await page.wait_for_timeout(500)
            assert "mean of 4.00 s, from " in await pointed_at(page, LEFT)
            assert "mean of" not in await pointed_at(page, RIGHT)
            drawn = await page.evaluate(LINE_AT, LEFT)
            assert drawn > 0.9, f"a line over {100 * drawn:.0f} % of where the means are"
            await picture(page, "sensor-aggregates-dark", whole=True)
            assert await complaints(page) == []


LINE_AT = """(share) => {
  const canvas = document.querySelector('.trend canvas');
  const over = document.querySelector('.trend .u-over');
  const scale = canvas.width / canvas.getBoundingClientRect().width;
  const left = (over.getBoundingClientRect().left - canvas.getBoundingClientRect().left) * scale;
  const width = over.clientWidth * scale;
  const [from, n, height] = [Math.round(left + (share - 0.1) * width), Math.round(0.2 * width), canvas.height];
  const data = canvas.getContext('2d').getImageData(from, 0, n, height).data;
  const paint = document.createElement('canvas').getContext('2d');
  paint.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--raw').trim();
  paint.fillRect(0, 0, 1, 1);
  const raw = paint.getImageData(0, 0, 1, 1).data;
  const like = (k) => data[k + 3] > 150 && [0, 1, 2].every((c) => Math.abs(data[k + c] - raw[c]) < 25);
  let columns = 0;
  for (let x = 0; x < n; x++) {
    for (let y = 0; y < height; y++) {
      if (like(4 * (y * n + x))) { columns++; break; }
    }
  }
  return columns / n;
}"""
"""Share of the columns about a place of the chart in which the colour of the indication is drawn."""
