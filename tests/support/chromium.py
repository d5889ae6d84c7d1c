"""Debian's Chromium for tests of the page, driven by Playwright; `make browser` installs it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
SIZE = {"width": 1440, "height": 900}
PATIENCE_MS = 60_000
"""For what must come; a busy machine takes its time."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; without Chromium a reason to skip, except in CI."""
    if not CHROMIUM.exists():
        why = f"the page is tested with {CHROMIUM}, which is not there: `make browser` installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_ARGUMENTS])
        yield browser
        browser.close()


class Looking:
    """A page, what it said, and whom it asked while it was looked at."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self._origin = origin
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", self._request)

    def check(self) -> None:
        """It must have said no error, and have asked nobody but its origin."""
        said, asked = self.said[:], self.asked[:]
        self.said.clear()
        self.asked.clear()
        assert said == []
        assert [url for url in asked if not url.startswith(self._origin)] == []

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.said.append(f"{message.text} ({message.location})")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.asked.append(request.url)


@contextmanager
def looking(browser: Browser, *, origin: str, scheme: str = "light") -> Iterator[Looking]:
    """A page of its own. Whatever is done with it, it must say no error and ask nobody but `origin`."""
    context = browser.new_context(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    opened = Looking(context.new_page(), origin)
    yield opened
    context.close()
    opened.check()
