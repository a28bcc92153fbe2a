"""One page for all tests of this folder, and a browser that fails a test for whatever the page does wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests import machine
from tests.page.world import PageWorld

PATIENCE_MS = 60_000
DESK = {"width": 1120, "height": 900}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageWorld]:
    found = PageWorld(tmp_path_factory.mktemp("page"))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=machine.browser(), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser, world: PageWorld) -> Iterator[Page]:
    """A page that may speak to the sequencer alone, and whose every error fails the test."""
    context = browser.new_context(viewport=DESK, color_scheme="light", reduced_motion="reduce")
    troubles: list[str] = []

    def elsewhere(route: Route) -> None:
        troubles.append(f"asks for {route.request.url}")
        route.abort()

    opened = context.new_page()
    opened.route(lambda url: not url.startswith(world.url), elsewhere)
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    opened.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    yield opened
    context.close()
    assert [one for one in troubles if "status of 40" not in one] == []
