"""A real browser for tests, and pages that may speak to one server alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests import machine

DESK = {"width": 1120, "height": 900}


@contextmanager
def launched() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=machine.browser(), args=["--no-sandbox"])
        yield found
        found.close()


@contextmanager
def guarded(browser: Browser, url: str, patience_ms: int) -> Iterator[tuple[Page, list[str]]]:
    """(a page, what it does wrong: errors, and requests to other servers than that of ``url``, which it does not get)."""
    context = browser.new_context(viewport=DESK, color_scheme="light", reduced_motion="reduce")
    troubles: list[str] = []

    def elsewhere(route: Route) -> None:
        troubles.append(f"asks for {route.request.url}")
        route.abort()

    opened = context.new_page()
    opened.route(lambda asked: not asked.startswith(url), elsewhere)
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    opened.set_default_timeout(patience_ms)
    expect.set_options(timeout=patience_ms)
    yield opened, troubles
    context.close()
