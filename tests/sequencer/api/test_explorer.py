"""What the page asks beside listings: figures, search, accounts, what a model is made of."""

from __future__ import annotations

import threading

import pytest

from rollup import wire
from rollup.errors import ChainError, ProgramError
from rollup.l1.client import L1Client
from sequencer.api.explorer.overview import Overviews
from sequencer.api.page import PageOptions, Portrait
from sequencer.figures import Span
from sequencer.states import Switch
from sequencer.store.figures import Figures
from tests.sequencer.api.test_claims import problem
from tests.world import ETHER, TERMS


def found(world, word):
    return world.http.get("/v1/search", params={"q": word}).json()["hits"]


def overview(world, span="hour"):
    """As a process counts that did not count before."""
    return world.http.get(f"{world.serve().url}/v1/overview", params={"span": span}).json()


def test_the_overview_says_what_is_at_stake_and_how_the_sequencer_is(world):
    world.hand_in(world.claim(300))
    before = overview(world)
    assert before["claims"]["pending"] == before["batcher"]["waiting"] >= 1
    world.post_all()
    after = overview(world, "day")
    staked = after["claims"]["posted"] + after["claims"]["challenged"]
    assert int(after["bonds"]) == staked * TERMS.claim_bond + after["games"] * TERMS.challenge_bond > 0
    assert (len(before["buckets"]), before["width"], len(after["buckets"]), after["width"]) == (60, 60, 48, 1800)
    assert after["buckets"][-1]["staked"] == staked and after["burned"] == str(world.l1.burned())
    assert after["head"]["block"] == world.store.l1.head().number
    batcher = after["batcher"]
    assert (batcher["state"], batcher["problem"], batcher["intake"], batcher["waiting"]) == ("working", None, "open", 0)
    assert batcher["last"] == world.http.get("/v1/batches?limit=1").json()["batches"][0]["posted_at"]


def test_a_batcher_that_does_not_work_is_said(world):
    for switch in Switch:
        world.store.switches.set(switch, True)
    try:
        batcher = overview(world)["batcher"]
        assert (batcher["state"], batcher["intake"]) == ("stopped", "paused")
    finally:
        for switch in Switch:
            world.store.switches.set(switch, False)
    world.health.add("batcher", lambda: "batches can't be posted just now; see the log")
    try:
        batcher = overview(world)["batcher"]
        assert batcher["state"] == "troubled" and "see the log" in batcher["problem"]
    finally:
        world.health.add("batcher", lambda: None)


def test_figures_are_kept_fifty_times_as_long_as_they_took(world, monkeypatch):
    clock, counted = [100.0], []
    tally = Figures.tally

    def slow(self, span, now):
        counted.append(span)
        clock[0] += 2.0
        return tally(self, span, now)

    monkeypatch.setattr(Figures, "tally", slow)
    overviews = Overviews(world.parts(), 3.0, lambda: clock[0])
    first = overviews.of(Span.HOUR)
    clock[0] += 99.0
    assert overviews.of(Span.HOUR) is first and counted == [Span.HOUR]
    overviews.of(Span.DAY)
    clock[0] += 2.0
    assert overviews.of(Span.HOUR) is not first and counted == [Span.HOUR, Span.DAY, Span.HOUR]


def test_whoever_asks_while_figures_are_counted_gets_those_before(world, monkeypatch):
    clock, going, go_on = [100.0], threading.Event(), threading.Event()
    overviews = Overviews(world.parts(), 3.0, lambda: clock[0])
    first = overviews.of(Span.HOUR)
    tally = Figures.tally

    def held(self, span, now):
        going.set()
        assert go_on.wait(30)
        return tally(self, span, now)

    monkeypatch.setattr(Figures, "tally", held)
    clock[0] += 10.0
    counting = threading.Thread(target=overviews.of, args=(Span.HOUR,))
    counting.start()
    assert going.wait(30)
    assert overviews.of(Span.HOUR) is first
    go_on.set()
    counting.join(30)
    assert overviews.of(Span.HOUR) is not first


def test_every_kind_of_word_is_found(world):
    claim_id = world.hand_in(world.claim(301)).json()["claim_id"]
    world.post_all()
    claim = world.http.get(f"/v1/claims/{claim_id}").json()
    batch, account = claim["batch"], claim["claim"]["claimant"]
    by = {"kind": "claim", "id": claim_id, "name": None}
    assert found(world, claim_id) == found(world, claim_id.upper().replace("0X", "")) == [{**by, "by": "id"}]
    assert (
        found(world, claim_id[:20]) == found(world, f"{claim_id[:10]}…{claim_id[-4:]}") == [{**by, "by": "beginning"}]
    )
    stands = {"kind": "batch", "id": str(batch["number"]), "name": None}
    assert found(world, str(batch["number"])) == found(world, f"#{batch['number']}") == [{**stands, "by": "number"}]
    assert found(world, batch["root"]) == [{**stands, "by": "root"}]
    assert found(world, batch["transaction"]) == [{**stands, "by": "transaction"}]
    assert found(world, account.lower()) == [{"kind": "account", "id": account, "by": "id", "name": None}]
    model = {"kind": "model", "id": wire.hex_of(world.program.id), "name": "toy"}
    assert found(world, "TO") == found(world, "toy") == [{**model, "by": "name"}]
    assert found(world, model["id"]) == [{**model, "by": "id"}]


@pytest.mark.parametrize(
    "word", ["nothing", "0x", "0xzz", "9" * 19, "#-1", "%", "'; DROP TABLE claims", "é" * 200, "0x" + "f" * 64]
)
def test_a_word_that_is_unknown_finds_nothing(world, word):
    assert found(world, word) == []
    problem(world.http.get("/v1/search", params={"q": "w" * 201}), 422, "validation")


def test_an_account_has_money_claims_and_games(world):
    world.hand_in(world.claim(302))
    account = world.claimant.account
    said = world.http.get(f"/v1/accounts/{account.lower()}").json()
    assert said["account"] == account and said["claims"]["pending"] >= 1
    assert int(said["free"]) == world.claimant.balance(account) > ETHER
    assert (said["locked"], said["earned"]) == (str(world.claimant.locked(account)), "0")
    assert said["challenges"] == [] and isinstance(said["challenged"], list)
    problem(world.http.get("/v1/accounts/0x12"), 404, "unknown-account")


def test_an_account_is_shown_also_while_l1_does_not_answer(world, monkeypatch):
    def down(*_, **__):
        raise ChainError("the node does not answer")

    monkeypatch.setattr(L1Client, "balance", down)
    monkeypatch.setattr(L1Client, "burned", down)
    said = world.http.get(f"/v1/accounts/{world.claimant.account}").json()
    assert (said["free"], said["locked"], said["earned"]) == (None, None, None)
    assert overview(world)["burned"] is None


def test_a_model_is_taken_apart_and_drawn_once(world):
    made = []

    def portray(program):
        made.append(program.id)
        figures = {
            "ops": 7, "values": 9, "constants": 1, "constant_bytes": 1200, "trace_bytes": 4888, "gas": None, "formats": None,
            "sound": True, "fidelity": {"agreement": 0.98},
        }  # fmt: skip
        return Portrait(figures, None)

    server = world.serve(page=PageOptions(portray=portray))
    with_url = world.http.get(f"{server.url}/v1/models/toy/anatomy")
    assert with_url.json()["fidelity"] == {"agreement": 0.98} and with_url.json()["picture"] is False
    problem(world.http.get(f"{server.url}/v1/models/toy/picture"), 404, "no-picture")
    assert made == [world.program.id]
    real = world.http.get("/v1/models/toy/anatomy").json()
    assert (real["ops"], real["values"], real["registered"], real["sound"]) == (7, 9, True, True)
    picture = world.http.get("/v1/models/toy/picture")
    assert picture.headers["content-type"].startswith("image/svg+xml") and "<svg" in picture.text
    assert "sandbox" in picture.headers["content-security-policy"] and "script" not in picture.text
    problem(world.http.get("/v1/models/nothing/anatomy"), 404, "unknown-model")


def test_what_can_not_be_taken_apart_is_said(world):
    def broken(_):
        raise ProgramError("the program can't be read")

    problem(world.http.get(f"{world.serve(page=PageOptions()).url}/v1/models/toy/anatomy"), 404, "no-anatomy")
    answer = world.http.get(f"{world.serve(page=PageOptions(portray=broken)).url}/v1/models/toy/anatomy")
    problem(answer, 404, "no-anatomy")
    assert "can't be read" in answer.json()["detail"]


def test_while_one_model_is_drawn_others_are_told_to_come_back(world):
    going, go_on = threading.Event(), threading.Event()

    def slow(_):
        going.set()
        assert go_on.wait(30)
        raise ProgramError("it was never meant to end well")

    url = world.serve(page=PageOptions(portray=slow)).url
    first = threading.Thread(target=world.http.get, args=(f"{url}/v1/models/toy/anatomy",))
    first.start()
    assert going.wait(30)
    problem(world.http.get(f"{url}/v1/models/toy/anatomy"), 503, "busy")
    go_on.set()
    first.join(30)


def test_the_page_is_told_of_its_surroundings_compressed_and_cached(world):
    options = PageOptions('https://explorer.example/{kind}/{id}?"<', "openai/v1")
    page = world.http.get(world.serve(page=options).url)
    assert '<meta name="explorer" content="https://explorer.example/{kind}/{id}?&quot;&lt;">' in page.text
    assert '<meta name="playground" content="openai/v1">' in page.text and page.headers["content-encoding"] == "gzip"
    plain = world.http.get("/", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers and 'name="explorer"' not in plain.text
    for path in ("/", "/static/app.js"):
        first = world.http.get(path)
        again = world.http.get(path, headers={"if-none-match": first.headers["etag"]})
        assert again.status_code == 304 and not again.content
        assert "default-src 'none'" in again.headers["content-security-policy"]


def test_disputes_are_filtered_by_model_and_claimant(world):
    nobody = "0x" + "00" * 19 + "01"
    assert world.http.get("/v1/disputes", params={"claimant": nobody}).json()["disputes"] == []
    assert world.http.get("/v1/disputes", params={"model": "toy", "claimant": nobody}).json()["disputes"] == []
    problem(world.http.get("/v1/disputes", params={"model": "nothing"}), 404, "unknown-model")
    problem(world.http.get("/v1/disputes", params={"claimant": "x"}), 422, "claim")
