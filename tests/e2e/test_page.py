"""The page in a real browser, on a real network: claims appear, a dispute is followed to its verdict.

With ``PAGE_PICTURES=FOLDER`` the pictures that the README shows are written there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, expect

from rollup.l1.node.development import KEYS
from tests.browser import DESK, guarded, launched
from tests.e2e.test_devnet import infer, network
from touchstone.cli import main
from touchstone.demo.digits import digits

pytestmark = pytest.mark.browser

PATIENCE_MS = 240_000
PHONE = {"width": 375, "height": 740}


@pytest.fixture(scope="module")
def about(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with network(tmp_path_factory.mktemp("page")) as running:
        found = running.up()
        yield {"page": found["page"], "chain": found["rpc"], "deployment": found["deployment"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as found:
        yield found


@pytest.fixture
def page(browser: Browser, about: dict[str, str]) -> Iterator[Page]:
    """A page that may speak to the sequencer alone, and whose every error fails the test."""
    with guarded(browser, about["page"], PATIENCE_MS) as (opened, troubles):
        yield opened
    assert not troubles


def picture(page: Page, name: str) -> None:
    """Kept where the caller asked for pictures; taken either way, which needs the page to be drawable."""
    taken = page.screenshot(full_page=True)
    assert len(taken) > 10_000
    if folder := os.environ.get("PAGE_PICTURES"):
        (Path(folder) / f"{name}.png").write_bytes(taken)


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_a_claim_appears_and_becomes_final_before_ones_eyes(page: Page, about: dict[str, str]) -> None:
    page.goto(f"{about['page']}/#/claims")
    expect(page.get_by_role("heading", name="Claims", exact=True)).to_be_visible()
    expect(page.locator("#live")).to_have_text("live")
    image = digits().images[3]
    answer = infer(about["page"], "digits", [image.tolist()])
    row = page.locator(f'tr[data-claim="{answer["claim_id"]}"]')
    expect(row).to_contain_text("digits")
    row.locator('td[data-label="claim"] a').click()
    expect(page.locator(".pixels")).to_be_visible()
    best = page.locator(".bars .best .index")
    expect(best).to_have_text(str(int(np.argmax(answer["outputs"][0]))))
    expect(page.locator(".steps .now")).to_have_text("final")
    expect(page.get_by_text("On L1")).to_be_visible()
    picture(page, "claim")


def test_a_request_of_l1_is_answered_before_ones_eyes(page: Page, about: dict[str, str], tmp_path: Path) -> None:
    page.goto(f"{about['page']}/#/requests")
    expect(page.get_by_text("No contract has asked yet.")).to_be_visible()
    file = tmp_path / "input.json"
    file.write_text(json.dumps([digits().images[5].tolist()]))
    environ = {"TOUCHSTONE_KEY": KEYS[7], "TOUCHSTONE_RPC": about["chain"], "TOUCHSTONE_URL": about["page"]}
    asked = CliRunner(env=environ | {"TOUCHSTONE_DEPLOYMENT": about["deployment"]}).invoke(
        main, ["request", "ask", "digits", "--input", str(file), "--json"]
    )
    assert asked.exit_code == 0, asked.output
    request_id = json.loads(asked.stdout)["request_id"]
    row = page.locator(f'tr[data-request="{request_id}"]')
    expect(row).to_contain_text("digits")
    row.locator('td[data-label="request"] a').click()
    expect(page.locator(".pixels")).to_be_visible()
    expect(page.get_by_text("A final claim answered it")).to_be_visible()
    expect(page.locator(".bars .best .index")).to_be_visible()
    assert fits(page)
    picture(page, "request")


def test_a_dispute_is_followed_to_its_verdict(page: Page, about: dict[str, str]) -> None:
    page.goto(f"{about['page']}/#/disputes")
    command = [sys.executable, "-m", "touchstone.cli", "lie", "digits", "--seed", "4", "--port", "0"]
    liar = subprocess.Popen(
        [*command, "--url", about["page"], "--rpc", about["chain"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        page.goto(f"{about['page']}/#/claims?state=challenged")
        page.locator('tr[data-claim] td[data-label="claim"] a').first.click()
        page.get_by_role("link", name="See the dispute").click()
        expect(page.get_by_role("heading", name="Dispute about")).to_be_visible()
        expect(page.locator(".clock").first).to_contain_text("left")
        expect(page.locator(".moves li").first).to_contain_text("challenges")
        verdict = page.locator(".verdict.invalid")
        expect(verdict).to_contain_text("Invalid: an element does not follow from its operands.")
        expect(verdict).to_contain_text("claimed")
        expect(page.locator(".tree .chosen").first).to_be_visible()
        label = page.locator("svg.tree").get_attribute("aria-label") or ""
        assert re.search(r"value \d+", label), label
        assert page.locator(".moves li.prove").count() == 1
        said, _ = liar.communicate()
        assert liar.returncode == 0, said.decode()
    finally:
        liar.kill()
    picture(page, "dispute-light")
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    picture(page, "dispute-dark")
    page.set_viewport_size(PHONE)
    assert fits(page)
    picture(page, "dispute-phone")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_every_view_is_reached_by_keyboard(page: Page, about: dict[str, str]) -> None:
    page.set_viewport_size(PHONE)
    page.goto(about["page"])
    expect(page.locator(".tile")).to_have_count(7)
    for name in ("Claims", "Batches", "Disputes", "Requests", "Models"):
        link = page.get_by_role("link", name=name, exact=True)
        link.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        expect(page.locator(f'nav a[aria-current="page"]:has-text("{name}")')).to_be_visible()
        assert fits(page), name
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement !== document.body")


def test_the_front_a_model_and_the_claims_have_their_pictures_taken(page: Page, about: dict[str, str]) -> None:
    page.goto(about["page"])
    expect(page.locator(".tile")).to_have_count(7)
    expect(page.locator(".tile").filter(has_text="False claims caught").locator(".figure")).to_have_text("1")
    picture(page, "front-light")
    page.set_viewport_size(PHONE)
    picture(page, "front-phone")
    page.set_viewport_size(DESK)
    page.locator("#theme").click()
    picture(page, "front-dark")
    page.locator("#theme").click()
    page.goto(f"{about['page']}/#/models")
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    page.get_by_role("link", name="digits", exact=True).click()
    expect(page.get_by_text("gas of the dearest proof")).to_be_visible()
    graph = page.get_by_role("img", name="The dataflow graph of digits")
    graph.scroll_into_view_if_needed()
    assert graph.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 100
    picture(page, "model")
    page.goto(f"{about['page']}/#/claims")
    expect(page.get_by_role("heading", name="Claims", exact=True)).to_be_visible()
    expect(page.locator("tr[data-claim]").first).to_be_visible()
    picture(page, "claims")


def test_what_does_not_exist_is_said(page: Page, about: dict[str, str]) -> None:
    page.goto(f"{about['page']}/#/nowhere")
    expect(page.get_by_role("alert")).to_contain_text("There is no page /nowhere.")
