"""Debian's Chromium for tests of the console: pages that are watched, checked by axe, and pictured."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright

from services.api.deps import CONSOLE_DIST

CONSOLE: Final = CONSOLE_DIST.parent
AXE: Final = CONSOLE / "node_modules" / "axe-core" / "axe.min.js"
PICTURES: Final = Path(os.environ.get("DYNCAL_TEST_PICTURES") or Path(__file__).parents[3] / "var" / "pictures")
"""Where pictures of the pages are left, for people to look at; git ignores it."""

RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Yield the browser that is installed."""
    program = shutil.which("chromium")
    assert program is not None, "chromium is not installed: apt-get install chromium"
    assert (CONSOLE_DIST / "index.html").is_file(), (
        "the console is not built: python services/api/console/hatch_build.py"
    )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(slots=True)
class Watched:
    """A page, and what went wrong on it: errors and warnings, what its policy refused, requests to elsewhere."""

    page: Page
    faults: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def watched(
    browser: Browser | BrowserContext,
    address: str,
    route: str = "/",
    theme: str = "dark",
    *,
    refused: bool = False,
    **page: Any,
) -> AsyncIterator[Page]:
    """Yield a page of the console at `route`; fail if it complains, or if a request goes elsewhere.

    `refused` says that requests of the page will be refused: Chromium complains of those itself.
    """
    if isinstance(browser, Browser):
        page.setdefault("viewport", {"width": 1440, "height": 900})
    made = Watched(await browser.new_page(**page))

    def said(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not (refused and "the server responded with" in message.text):
            made.faults.append(message.text)

    def asked(request: Request) -> None:
        if not request.url.startswith(address):
            made.faults.append(f"asked elsewhere: {request.url}")

    made.page.on("console", said)
    made.page.on("pageerror", lambda error: made.faults.append(str(error)))
    made.page.on("request", asked)
    try:
        await made.page.goto(f"{address}/?theme={theme}#{route}")
        yield made.page
    finally:
        await made.page.close()
    assert made.faults == []


async def picture(page: Page, name: str, *, whole: bool = False) -> Path:
    """Leave a picture of a page, `whole` with what is below its edge; return its path."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    file = PICTURES / f"{name}.png"
    if whole:
        needed = await page.evaluate(
            "() => { const m = document.querySelector('main'); return m ? m.scrollHeight - m.clientHeight : 0 }"
        )
        size = page.viewport_size or {"width": 1440, "height": 900}
        await page.set_viewport_size({"width": size["width"], "height": size["height"] + int(needed)})
        await page.wait_for_timeout(150)
        await page.screenshot(path=file)
        await page.set_viewport_size(size)
    else:
        await page.screenshot(path=file)
    return file


async def complaints(page: Page) -> list[str]:
    """Return what axe finds against WCAG 2.2 AA and its own good practice, a line each: rule, target, remedy."""
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(AXE.read_text(encoding="utf-8"))  # by the debugger: the page's policy would refuse it
    found = await page.evaluate(
        "rules => axe.run(document, { runOnly: { type: 'tag', values: rules }, resultTypes: ['violations'] })", RULES
    )
    return [
        f"{violation['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
