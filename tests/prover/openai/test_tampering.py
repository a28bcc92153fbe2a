"""Receipts verify, and nothing in them can be changed unnoticed: the quick form of ``make receipts``."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from rollup.client.answered import answered
from rollup.client.receipts import check_answer
from rollup.errors import BadAnswer
from tests.campaigns.receipts import campaign, file_of, requests
from tests.campaigns.tampered import SIGNED, UNSIGNED, signed_again
from tests.prover.openai.world import EndpointWorld, Running, texts


def test_answers_are_verified_and_tampered_ones_are_refused(tmp_path: Path) -> None:
    # A chain of its own: every check looks through all of it, and one in Python is slow when it is long.
    with EndpointWorld().running(tmp_path) as running:
        assert campaign(running, 30, 120, seed=7).total() == 120


@pytest.fixture(scope="module")
def file(running: Running):  # type: ignore[no-untyped-def]
    import httpx

    headers = {"authorization": f"Bearer {running.key()}"}
    endpoint, request = next(requests(Random(3)))
    request |= {"max_tokens": 6, "stream": False, "n": 1, "stop": [], "temperature": 0.9, "top_k": 9}
    return file_of(httpx.post(f"{running.openai}/{endpoint}", json=request, headers=headers, timeout=60))


@pytest.mark.parametrize("name", UNSIGNED)
def test_every_field_and_byte_is_bound_by_the_signature(running: Running, file, name: str) -> None:  # type: ignore[no-untyped-def]
    random = Random(name)
    for _ in range(5):
        changed = {**file, "receipt": {**file["receipt"], "answers": [dict(one) for one in file["receipt"]["answers"]]}}
        UNSIGNED[name](random, changed)
        assert changed != file
        with pytest.raises(BadAnswer):
            check_answer(answered(changed), running.l1, texts())


REASONS = {
    "answers.input_root": "the claim's input root is not that of this request and this answer",
    "answers.tokens": "spell another text than the response|it has|input root",
    "answers.seed": "does not follow from nonce and request",
    "answers.seed_commitment": "does not follow from nonce and request",
    "answers.prompt_tokens": "the request has [0-9]+ tokens",
    "tokenizer_sha256": "another tokenizer or chat template",
    "template_sha256": "another tokenizer or chat template",
    "nonce": "does not follow from nonce and request",
    "nonce_by": "the receipt's nonce is not the request's seed",
    "another word": "spell another text than the response",
    "another end": "spell another text than the response, or end for another reason",
    "another seed": "does not follow from nonce and request",
}


@pytest.mark.parametrize("name", REASONS)
def test_a_prover_that_signs_a_lie_is_told_from_an_honest_one(running: Running, file, name: str) -> None:  # type: ignore[no-untyped-def]
    changed = {**file, "receipt": {**file["receipt"], "answers": [dict(one) for one in file["receipt"]["answers"]]}}
    SIGNED[name](Random(1), changed)
    lie = signed_again(changed, running.world.chain.signer("prover"), running.l1.domain)
    with pytest.raises(BadAnswer, match=REASONS[name]):
        check_answer(answered(lie), running.l1, texts())
