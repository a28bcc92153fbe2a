"""One page for all tests of this folder, and a browser that fails a test for whatever the page does wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import guarded, launched
from tests.page.world import PageWorld

PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageWorld]:
    found = PageWorld(tmp_path_factory.mktemp("page"))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as found:
        yield found


@pytest.fixture
def page(browser: Browser, world: PageWorld) -> Iterator[Page]:
    """A page that may speak to the sequencer alone, and whose every error fails the test."""
    with guarded(browser, world.url, PATIENCE_MS) as (opened, troubles):
        yield opened
    assert [one for one in troubles if "status of 40" not in one] == []
