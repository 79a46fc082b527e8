"""How long the table takes, measured in the browser: from what somebody does to the picture of it."""

from __future__ import annotations

import time
from typing import Final

from playwright.async_api import Page

FIRST_ROWS = "() => performance.getEntriesByName('dyncal.fleet')[0]?.startTime ?? null"

# From the event to the end of the frame after it: sorting, filtering, drawing, and the wait for the frame.
PAINTED = """await new Promise(done => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  }));"""

FILTER = f"""async words => {{
  const box = document.querySelector('input[type=search]');
  const before = performance.now();
  box.value = words;
  box.dispatchEvent(new Event('input', {{ bubbles: true }}));
  {PAINTED}
  return performance.now() - before;
}}"""

SORT = f"""async column => {{
  const button = document.querySelector(`.row.head .c-${{column}} button`);
  const before = performance.now();
  button.click();
  {PAINTED}
  return performance.now() - before;
}}"""

COLUMNS = ("state", "id", "value", "unit", "age", "drift", "set", "since", "alarm")
FILTERS = ("t", "tt", "tt-1", "tt-10", "", "edge-07", "unit 42 flow", "normal", "none such", "")


_BUSY_S: Final = 0.25


def crowding() -> float:
    """Return how many times longer work takes now because of what others do on the machine: 1 where nobody does.

    That is the time on the clock over that on the processor, of a loop that does nothing else.
    """
    began, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < _BUSY_S:
        pass
    return max(1.0, (time.perf_counter() - began) / (time.process_time() - used))


async def first_rows_ms(page: Page) -> float:
    """Return the time from the beginning of the navigation to rows in the table [ms]."""
    await page.wait_for_function(FIRST_ROWS)
    return float(await page.evaluate(FIRST_ROWS))


async def filters_ms(page: Page) -> list[float]:
    """Return how long each of some filters takes [ms]."""
    return [float(await page.evaluate(FILTER, words)) for words in FILTERS]


async def sorts_ms(page: Page) -> list[float]:
    """Return how long sorting takes by each column, twice: up and down [ms]."""
    return [float(await page.evaluate(SORT, column)) for column in COLUMNS for _ in range(2)]
