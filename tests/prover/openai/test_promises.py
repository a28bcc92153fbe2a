"""Promises outlive the process that made them, wait for those who wait for tokens, and are kept in time; a broken one is proven."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from prover.openai.endpoint import OpenAiEndpoint
from prover.openai.store import EndpointStore, KeptBytes, KeyRow
from rollup.client.answered import answered
from rollup.client.receipts import check_answer
from rollup.documents.fields import read
from rollup.documents.receipts import ReceiptDocument
from rollup.errors import BadAnswer, FileError, ServiceError, SettingsError
from rollup.receipt import SamplingTerms
from tests.prover.openai.world import NAME, Running, texts
from tests.world import sign_bytes
from touchstone.services.prover import endpoint_of
from touchstone.settings.settings import ProverSettings


def endpoint_in(running: Running) -> OpenAiEndpoint:
    assert running.prover.openai is not None
    return running.prover.openai


def asked(running: Running, **given: Any) -> httpx.Response:
    body = {"model": NAME, "prompt": "hello the", "max_tokens": 3} | given
    headers = {"authorization": f"Bearer {running.key()}"}
    answer = httpx.post(f"{running.openai}/completions", json=body, headers=headers, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer


def test_a_promise_outlives_the_process_and_the_claim_is_the_same(running: Running, tmp_path: Path) -> None:
    with running.world.running(tmp_path) as first:
        endpoint_in(first).loop.stop()
        answer = asked(first)
        assert endpoint_in(first).store.waiting() == 1
    with running.world.running(tmp_path) as second:
        second.kept()
        found = check_answer(answered(answer.content), second.l1, texts(), answer.request.content)
        while found.stage == "promised":
            second.world.chain.mine()
            found = check_answer(answered(answer.content), second.l1, texts(), answer.request.content)
        assert found.stage == "posted"
        nonce = int(answer.json()["touchstone"]["answers"][0]["claim_nonce"])
        assert found.claims[0] is not None and found.claims[0].claim.nonce == nonce


def test_a_claim_waits_for_who_waits_for_a_token_until_it_is_due(running: Running) -> None:
    endpoint = endpoint_in(running)
    running.kept()
    endpoint.loop.stop()
    try:
        asked(running)
        with endpoint.seats.one():
            endpoint.keeper.step()
            assert endpoint.store.waiting() == 1
            (late,) = endpoint.store.open_promises(5)
            endpoint.keeper._now = lambda: late.posted_by  # type: ignore[assignment, method-assign, return-value]
            endpoint.keeper.step()
            assert endpoint.store.waiting() == 0
    finally:
        endpoint.keeper._now = running.prover.clock.now
        endpoint.loop.start()


def test_a_late_promise_is_said(running: Running) -> None:
    endpoint = endpoint_in(running)
    running.kept()
    endpoint.loop.stop()
    submit = endpoint.keeper._submit
    try:
        asked(running)

        def refused(_: object) -> Any:
            raise BadAnswer("the sequencer says no")

        endpoint.keeper._submit = refused
        endpoint.keeper._now = lambda: endpoint.store.open_promises(1)[0].posted_by + 1  # type: ignore[assignment, return-value]
        with pytest.raises(BadAnswer, match="says no"):
            endpoint.keeper.step()
        assert endpoint.keeper.trouble is not None and "says no" in endpoint.keeper.trouble
        made = endpoint.store.open_promises(1)[0]
        assert made.claim is not None and made.posted is not None
        endpoint.keeper._submit = submit
        endpoint.keeper.step()
        assert endpoint.keeper.trouble is None and endpoint.store.promises(made.receipt)[0].claim == made.claim
    finally:
        endpoint.keeper._submit, endpoint.keeper._now = submit, running.prover.clock.now
        endpoint.loop.start()


def test_an_unkept_promise_is_overdue_by_l1s_clock(running: Running) -> None:
    endpoint = endpoint_in(running)
    endpoint.loop.stop()
    try:
        answer = asked(running)
        promised = answered(answer.content)
        running.world.chain.advance(promised.receipt.posted_by - running.world.chain.now() + 1)
        running.world.chain.mine()
        found = check_answer(promised, running.l1, texts())
        assert found.stage == "overdue" and "anything by L1: the time of the promise is over" in str(found)
    finally:
        endpoint.loop.start()


@pytest.mark.parametrize("lie", ["another input", "not accepted"])
def test_a_prover_that_claims_something_else_under_the_promised_nonce_is_shown(running: Running, lie: str) -> None:
    endpoint = endpoint_in(running)
    running.kept()
    endpoint.loop.stop()
    try:
        answer = asked(running)
        (promise,) = endpoint.store.open_promises(5)
        header = running.world.program.header
        inputs = promise.inputs if lie == "not accepted" else bytes(len(promise.inputs))
        outputs = bytes(sum(tensor.bytes for _, tensor in header.outputs))
        prover = running.world.client("prover")
        posted = sign_bytes(prover, header, inputs, outputs, model_id=promise.model, nonce=promise.nonce)
        running.world.client("sequencer 2").post_batch([posted])
        words = {
            "another input": "is about another model or input",
            "not accepted": "does not say that the program accepts",
        }
        with pytest.raises(BadAnswer, match=words[lie]):
            check_answer(answered(answer.content), running.l1, texts())
        endpoint.store.submitted(promise)
    finally:
        endpoint.loop.start()


def test_a_cancelled_nonce_breaks_the_promise(running: Running) -> None:
    endpoint = endpoint_in(running)
    endpoint.loop.stop()
    try:
        given = answered(asked(running).content)
        nonce = int(given.receipt.answers[0].claim_nonce)
        running.world.client("prover").cancel_nonce(nonce)
        running.world.chain.advance(running.world.parameters.withdrawal_delay + 1)
        running.world.chain.mine()
        with pytest.raises(BadAnswer, match="cancelled or used up the nonce"):
            check_answer(given, running.l1, texts())
        for promise in endpoint.store.open_promises(5):
            endpoint.store.submitted(promise)
    finally:
        endpoint.loop.start()


def test_bytes_are_let_go_of_and_receipts_stay(tmp_path: Path) -> None:
    store = EndpointStore(tmp_path / "store.db")
    store.keep(b"r" * 32, KeptBytes(b"{}", b"asked", b"said", 100), [])
    store.forget(100)
    kept = store.kept(b"r" * 32)
    assert kept is not None and kept.request == b"asked"
    store.forget(101)
    kept = store.kept(b"r" * 32)
    assert kept is not None and (kept.request, kept.response, kept.document) == (None, None, b"{}")
    row = KeyRow("id", "name", b"d" * 32, 60, 20, 5, None)
    store.add_key(row)
    store.close()
    again = EndpointStore(tmp_path / "store.db")
    assert again.api_keys() == [row] and again.revoke_key("id", 9) and not again.revoke_key("other", 9)
    assert again.revoke_key("id", 10) and again.api_keys() == [replace(row, revoked=9)]
    again.close()


def test_a_store_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(ServiceError, match="can't be used as the endpoint's store"):
        EndpointStore(tmp_path / "no.db")
    with pytest.raises(FileError, match="it is a folder"):
        EndpointStore(tmp_path)


def test_settings_without_anybody_to_hand_claims_to_are_refused(tmp_path: Path) -> None:
    given = {"models": (tmp_path / "m.gguf",), "store": tmp_path / "s.db"}
    assert endpoint_of(ProverSettings()) is None
    with pytest.raises(SettingsError, match="--openai-sequencer"):
        endpoint_of(ProverSettings(openai=given))  # type: ignore[arg-type]
    found = endpoint_of(ProverSettings(openai=given, models_from="http://127.0.0.1:8080"))  # type: ignore[arg-type]
    assert found is not None and found.sequencer == "http://127.0.0.1:8080"


def test_the_terms_in_a_receipt_are_the_requests(running: Running) -> None:
    answer = asked(running, top_p=0.5, temperature=0)
    assert read(ReceiptDocument, answer.json()["touchstone"]).value.receipt.sampling == SamplingTerms()
    assert json.loads(answer.request.content)["top_p"] == 0.5
