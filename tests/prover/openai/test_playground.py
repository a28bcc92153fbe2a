"""The page's playground and receipts, with the real endpoint on the page's own origin, as a reverse proxy puts it there."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from rollup.client import Client
from tests.browser import guarded, launched
from tests.prover.openai.world import NAME, Running

pytestmark = pytest.mark.browser

PATIENCE_MS = 120_000


def behind_one_address(page: Page, running: Running) -> None:
    """What a reverse proxy does: the endpoint below the page's address."""

    def to_the_prover(route: Route) -> None:
        route.continue_(url=route.request.url.replace(running.sequencer.url, running.url))

    page.route(f"{running.sequencer.url}/openai/**", to_the_prover)


def test_an_answer_streams_its_claim_is_followed_and_its_receipt_checked(running: Running) -> None:
    with (
        launched() as browser,
        guarded(browser, running.sequencer.url, PATIENCE_MS) as (page, troubles),
    ):
        behind_one_address(page, running)
        page.goto(f"{running.sequencer.url}/#/playground")
        expect(page.get_by_role("heading", name="Playground")).to_be_visible()
        page.get_by_label("key").fill(running.key())
        page.get_by_label("key").blur()
        expect(page.get_by_label("model")).to_have_value(NAME)
        page.get_by_label("tokens at most").fill("4")
        page.get_by_label("temperature").fill("0.7")
        page.get_by_label("What you say").fill("hello the world")
        with page.expect_request("**/openai/v1/receipts/*") as asked:
            page.get_by_role("button", name="Send").click()
        answer = page.locator(".talk .assistant").last
        expect(answer.locator(".chip")).to_have_text(re.compile("pending|posted|final"))
        assert page.locator(".talk .trouble").count() == 0
        with Client(running.url) as client:
            kept = client.receipt_file(asked.value.url.rsplit("/", 1)[1])
        page.goto(f"{running.sequencer.url}/#/receipts")
        page.locator("#receipt-text").fill(kept.model_dump_json())
        page.get_by_role("button", name="Check").click()
        # The seed's nonce is the server's, since the page gave none.
        expect(page.locator(".checks li.right")).to_have_count(2)
        expect(page.locator(".checks li.open")).to_have_count(2)
    # Without a key the endpoint tells no models.
    assert [one for one in troubles if "status of 401" not in one] == []
