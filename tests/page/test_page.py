"""Every view of the page: what it shows, how it looks on a phone, that everybody can use it, and that it asks nobody else."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from rollup import wire
from sequencer.states import NewClaim, State
from tests import machine
from tests.page.world import PREFIX, PageWorld

pytestmark = pytest.mark.browser

PHONE = {"width": 375, "height": 740}
TWO_LINES = 66
"""Pixels: two lines of a row with its padding; a third one makes it 79."""


def ready(page: Page, url: str) -> None:
    """The view at an address is drawn. Another address first: to the same document alone nothing would be loaded again."""
    page.goto("about:blank")
    page.goto(url)
    expect(page.locator("main:not([aria-busy]) h1")).to_be_visible()


def addresses(world: PageWorld) -> dict[str, str]:
    """Every view with something in it."""
    posted = world.store.claims.page(State.POSTED).entries[0]
    disputes = world.store.disputes.page().entries
    claim, model = (wire.hex_of(one) for one in (posted.claim_id, world.program.id))
    return {
        "front": "",
        "day": "?span=day",
        "claims": "claims",
        "claim": f"claims/{claim}",
        "batches": "batches",
        "batch": f"batches/{posted.batch}",
        "disputes": "disputes",
        "open dispute": f"disputes/{wire.hex_of(disputes[0].claim_id)}",
        "verdict": f"disputes/{wire.hex_of(disputes[1].claim_id)}",
        "requests": "requests",
        "models": "models",
        "model": f"models/{model}",
        "challenger": f"accounts/{disputes[0].games[0].opened.challenger}",
        "claimant": f"accounts/{posted.posted.claim.claimant}",
        "receipts": "receipts",
        "playground": "playground",
        "search": "search?q=0x12",
    }


def test_the_front_counts_what_the_store_knows(page: Page, world: PageWorld) -> None:
    ready(page, world.url)
    expect(page.locator("#live")).to_have_text("live")
    tiles = page.locator(".tile")
    expect(tiles.filter(has_text="Claims a minute")).to_contain_text("10,001 handed in")
    expect(tiles.filter(has_text="Time to finality").locator(".figure")).to_have_text("10 min")
    staked = sum(world.store.claims.counts()[state] for state in (State.POSTED, State.CHALLENGED))
    expect(tiles.filter(has_text="Bonds at stake")).to_contain_text(f"{staked:,} claims and 1 open game")
    expect(tiles.filter(has_text="False claims caught").locator(".figure")).to_have_text("1")
    expect(tiles.filter(has_text="burned")).to_contain_text("0.06 ether burned in all")
    expect(tiles.filter(has_text="Watchers seen").locator(".figure")).to_have_text("1")
    expect(tiles.filter(has_text="Behind L1").locator(".figure")).to_have_text("4 s")
    expect(tiles.filter(has_text="Batcher").locator(".figure")).to_have_text("working")
    assert page.locator(".chart svg[role=img]").count() == 4
    label = page.locator(".chart svg").first.get_attribute("aria-label") or ""
    assert label.startswith("Claims handed in, ") and "UTC: highest 20" in label, label
    page.get_by_role("link", name="last day").click()
    expect(page.locator(".tile").first).to_contain_text("in the last day")
    expect(page.locator("time").first).to_contain_text("UTC")


def test_a_word_leads_to_what_it_stands_for(page: Page, world: PageWorld) -> None:
    where = addresses(world)
    entry = world.store.claims.page(State.POSTED).entries[0]
    assert entry.transaction is not None
    batch = world.store.batches.get(entry.batch or 0)
    assert batch is not None
    ready(page, world.url)
    for word, path in {
        wire.hex_of(entry.claim_id): where["claim"],
        wire.hex_of(entry.claim_id)[:14]: where["claim"],
        "toy": where["model"],
        wire.hex_of(world.program.id): where["model"],
        str(entry.batch): where["batch"],
        wire.hex_of(entry.transaction): where["batch"],
        wire.hex_of(batch.root): where["batch"],
        entry.posted.claim.claimant.lower(): where["claimant"],
    }.items():
        page.get_by_role("searchbox").fill(word)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/#/{path}")
        expect(page.locator("main:not([aria-busy]) h1")).to_be_visible()
    page.get_by_role("searchbox").fill("nothing of the kind")
    page.keyboard.press("Enter")
    expect(page.locator(".lead")).to_contain_text("Nothing here is called nothing of the kind.")


def test_claims_are_filtered_by_model_claimant_and_state(page: Page, world: PageWorld) -> None:
    liar = world.store.claims.page(State.INVALID).entries[0].posted.claim.claimant
    ready(page, f"{world.url}/#/claims")
    page.get_by_label("claimant").fill(liar)
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tr[data-claim] .chip")).to_have_text(["challenged", "invalid"])
    page.get_by_role("link", name="invalid", exact=True).click()
    expect(page.locator("tr[data-claim] .chip")).to_have_text(["invalid"])
    page.get_by_role("link", name="final", exact=True).click()
    expect(page.get_by_text("No such claim.")).to_be_visible()
    ready(page, f"{world.url}/#/claims?model={wire.hex_of(world.program.id)}&state=final")
    expect(page.get_by_label("model")).to_have_value(wire.hex_of(world.program.id))
    expect(page.locator("tr[data-claim]")).to_have_count(25)
    page.get_by_role("button", name="Older").click()
    expect(page.locator("tr[data-claim]")).to_have_count(50)


def test_a_dispute_says_when_which_model_who_and_how_much(page: Page, world: PageWorld) -> None:
    ready(page, f"{world.url}/#/disputes")
    rows = page.locator("tr[data-dispute]")
    expect(rows).to_have_count(2)
    for cell, said in {
        "model": "toy",
        "bonds": "0.2 ether",
        "challenger": "0x",
        "claimant": "0x",
        "challenged": "UTC",
    }.items():
        expect(rows.nth(1).locator(f'td[data-label="{cell}"]')).to_contain_text(said)
    expect(rows.nth(1)).to_contain_text("an element does not follow from its operands")
    page.get_by_role("link", name="open", exact=True).click()
    expect(rows).to_have_count(1)
    expect(rows.locator(".chip")).to_have_text("challenged")


def test_a_model_is_taken_apart_and_drawn(page: Page, world: PageWorld) -> None:
    ready(page, f"{world.url}/#/{addresses(world)['model']}")
    expect(page.get_by_text("nothing is wrong with its form")).to_be_visible()
    expect(page.locator(".facts").nth(1)).to_contain_text("gas of the dearest proof")
    expect(page.locator(".facts").nth(2)).to_contain_text("calibration, outputs, output0, cosine")
    picture = page.get_by_role("img", name="The dataflow graph of toy")
    picture.scroll_into_view_if_needed()
    expect(picture).to_be_visible()
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 100
    expect(page.locator("tr[data-claim]")).to_have_count(10)


def test_an_account_shows_bonds_claims_and_games(page: Page, world: PageWorld) -> None:
    ready(page, f"{world.url}/#/{addresses(world)['challenger']}")
    facts = page.locator(".facts")
    expect(facts).to_contain_text("locked in bonds")
    expect(facts).to_contain_text("ether")
    opened = page.get_by_role("table", name="Games that it opened")
    expect(opened.locator("tbody tr")).to_have_count(2)
    expect(opened).to_contain_text("convicted")
    outside = page.get_by_role("link", name="on the block explorer").first
    assert (outside.get_attribute("href") or "").startswith("https://explorer.example/address/0x")


def states(page: Page, pasted: str) -> dict[str, str]:
    """What is said of each check of a receipt; a page that was left before knows nothing of the one before."""
    page.get_by_label("Receipt", exact=True).fill(pasted)
    page.get_by_role("button", name="Check").click()
    expect(page.locator(".checks, .trouble")).to_be_visible()
    found = page.locator(".checks li").evaluate_all(
        "(all) => all.map((one) => [one.innerText.split(':')[0], one.className])"
    )
    return {name.split()[-1]: state for name, state in found}


def test_a_receipt_is_checked_where_it_was_pasted(page: Page, world: PageWorld) -> None:
    entry = world.store.claims.page(State.FINAL).entries[0]
    about = NewClaim(entry.claim_id, entry.posted, world.now, 0)
    request, response = '{"model": "toy"}', '{"said":"ö"}'
    receipt = world.receipt(about, request.encode(), response.encode())
    claims = [{"index": 0, "claim_id": wire.hex_of(entry.claim_id)}]
    whole = {"receipt": receipt, "request": request, "response": response, "claims": claims}
    right = {"request": "right", "response": "right", "seed": "right", "claim": "right"}
    url = f"{world.url}/#/receipts"
    ready(page, url)
    assert states(page, json.dumps(whole)) == right
    # An answer and a stream, as they were sent: their bytes are those in front of the receipt.
    for pasted, sent in {
        f'{response[:-1]},"touchstone":{json.dumps(receipt)}}}': response,
        f'data: {{"a":1}}\n\ndata: {{"touchstone":{json.dumps(receipt)}}}\n\ndata: [DONE]\n\n': 'data: {"a":1}\n\n',
    }.items():
        changed = receipt | {"response_sha256": f"0x{sha256(sent.encode()).hexdigest()}"}
        ready(page, url)
        assert states(page, pasted.replace(receipt["response_sha256"], changed["response_sha256"])) == {
            "request": "open", "response": "right", "seed": "right", "claim": "open",
        }  # fmt: skip
    # Whatever is changed is noticed.
    (answer,) = receipt["answers"]
    for name, false in {
        "request": whole | {"request": request + " "},
        "response": whole | {"response": response.replace("ö", "o")},
        "seed": whole | {"receipt": receipt | {"nonce": "0x38"}},
        "claim": whole | {"receipt": receipt | {"answers": [answer | {"claim_nonce": "1"}]}},
    }.items():
        ready(page, url)
        assert states(page, json.dumps(false)) == right | {name: "wrong"}
    ready(page, url)
    assert states(page, json.dumps(whole | {"receipt": receipt | {"nonce_by": "server"}})) == right | {"seed": "open"}
    ready(page, url)
    page.get_by_label("Request, if you have it as a file").set_input_files(
        {"name": "request.json", "mimeType": "application/json", "buffer": request.encode()}
    )
    assert states(page, json.dumps(receipt))["request"] == "right"
    ready(page, url)
    assert states(page, "no receipt") == {}
    expect(page.locator(".trouble")).to_contain_text("That is no JSON")


def test_an_answer_streams_and_its_claim_changes_live(page: Page, world: PageWorld) -> None:
    ready(page, f"{world.url}/#/playground")
    expect(page.get_by_label("model")).to_have_value("parrot")
    page.get_by_label("What you say").fill("polly wants a cracker")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".talk .trouble")).to_have_text("the key is not known; ask for one")
    page.get_by_label("key").fill("secret")
    page.get_by_label("What you say").fill("polly wants a cracker")
    page.get_by_role("button", name="Send").click()
    answer = page.locator(".talk .assistant").last
    expect(answer.locator("p").first).to_have_text("polly wants a cracker")
    expect(answer.locator(".chip")).to_have_text("pending")
    world.post([world.spoken[-1]], 12)
    expect(answer.locator(".chip")).to_have_text("posted")


@pytest.mark.axe
def test_no_view_has_a_serious_finding_of_axe_in_either_theme(page: Page, world: PageWorld) -> None:
    source = machine.axe()
    assert source is not None
    page.add_init_script(path=source)
    found = {}
    for name, path in addresses(world).items():
        ready(page, f"{world.url}/#/{path}")
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            seen = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
            assert seen["testEngine"]["name"] == "axe-core" and len(seen["passes"]) > 10
            found[name, theme] = [
                (one["id"], one["nodes"][0]["html"][:200])
                for one in seen["violations"]
                if one["impact"] in ("serious", "critical")
            ]
    assert {view: some for view, some in found.items() if some} == {}


def test_below_a_path_every_view_fits_a_phone_with_two_lines_a_row(page: Page, world: PageWorld) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size(PHONE)
    for name, path in addresses(world).items():
        ready(page, f"{world.url}{PREFIX}/#/{path}")
        expect(page.get_by_role("heading", name="Not shown")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
        heights = page.evaluate("[...document.querySelectorAll('table.list tbody tr')].map((row) => row.offsetHeight)")
        assert all(height < TWO_LINES for height in heights), (name, heights)
        assert heights or name not in ("front", "claims", "batches", "disputes", "models", "model", "challenger"), name
    below = f"{world.url}{PREFIX}/"
    assert len(asked) > 60 and [url for url in asked if not url.startswith((below, "about:"))] == []


def test_the_front_is_small(page: Page, world: PageWorld) -> None:
    """What a first visit costs: requests and bytes, which decide how soon a phone shows it."""
    taken: dict[str, int] = {}
    page.on("requestfinished", lambda one: taken.update({one.url: one.sizes()["responseBodySize"]}))
    ready(page, world.url)
    expect(page.locator(".tile")).to_have_count(7)
    assert len(taken) < 20
    assert sum(taken.values()) < 40_000, taken


def test_every_module_is_reached_and_every_colour_has_a_name() -> None:
    """No file of the page is left over, and no style is written outside the sheet."""
    static = Path(__file__).parents[2] / "sequencer" / "page" / "static"
    modules = {path: path.read_text() for path in static.rglob("*.js")}
    index = (static.parent / "index.html").read_text()
    for path in modules:
        assert any(f"/{path.name}" in text for other, text in [*modules.items(), (None, index)] if other != path), path
    assert all("style=" not in text and "style:" not in text for text in [*modules.values(), index])
