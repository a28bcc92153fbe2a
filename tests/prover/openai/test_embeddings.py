"""Embeddings with the packages that people use, unchanged; and that each number of them is what the program gives and L1 has."""

from __future__ import annotations

import copy
import json
from base64 import b64decode, b64encode
from random import Random
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from langchain_openai import OpenAIEmbeddings
from openai import OpenAI

from prover.openai.schemas import asked_embeddings
from rollup.client import Client
from rollup.client.answered import answered
from rollup.client.receipts import VerifiedAnswer, check_answer
from rollup.errors import BadAnswer
from rollup.receipt import SamplingTerms, canonical
from rollup.types import hex_of
from tests.campaigns.receipts import file_of
from tests.campaigns.tampered import SIGNED, UNSIGNED, signed_again
from tests.prover.openai.world import LENGTH, NAME, Running, texts, tiny, tiny_embedding

INPUTS = ["hello the world", "and an hello", "of the tiny models"]
Json = dict[str, Any]


def expected(words: str) -> np.ndarray:
    """float64 [width]: what the program itself gives, integer * 2^-scale."""
    what = asked_embeddings(json.dumps({"model": NAME, "input": words}).encode())
    (tokens,) = texts().prompts(what, 0)
    model = tiny_embedding()
    number = model.program.interface.output("embedding")
    outputs = model.executor.outputs(model.quantize(*texts().language.embedding_input(tokens, LENGTH)))
    found: np.ndarray = np.asarray(outputs[number], np.float64) * 2.0 ** -model.program.header.outputs[number][1].scale
    return found


def posted(running: Running, **given: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {running.key()}"}
    body = {"model": NAME, "input": INPUTS[0]} | given
    return httpx.post(f"{running.openai}/embeddings", json=body, headers=headers, timeout=120)


def test_openais_client_gets_the_programs_numbers_as_float32(client: OpenAI) -> None:
    answer = client.embeddings.create(model=NAME, input=INPUTS)
    assert [one.index for one in answer.data] == [0, 1, 2]
    for words, one in zip(INPUTS, answer.data, strict=True):
        assert one.embedding == expected(words).astype(np.float32).tolist()
        assert np.linalg.norm(one.embedding) == pytest.approx(1, abs=1e-3)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 3 and answer.model == NAME


def test_floats_are_the_programs_numbers_to_the_last_bit(client: OpenAI) -> None:
    answer = client.embeddings.create(model=NAME, input=INPUTS[0], encoding_format="float", user="somebody")
    assert answer.data[0].embedding == expected(INPUTS[0]).tolist()


def test_texts_and_token_ids_alone_or_in_lists_are_embedded_alike(client: OpenAI) -> None:
    ids = texts().prompts(asked_embeddings(json.dumps({"model": NAME, "input": INPUTS}).encode()), 0)
    alone = [client.embeddings.create(model=NAME, input=one).data[0].embedding for one in (INPUTS[0], ids[0])]
    several = [client.embeddings.create(model=NAME, input=one).data for one in (INPUTS, ids)]
    assert alone[0] == alone[1] == several[0][0].embedding == several[1][0].embedding
    assert [one.embedding for one in several[0]] == [one.embedding for one in several[1]]
    width = len(alone[0])
    sized = client.embeddings.create(model=hex_of(tiny_embedding().program.id), input=INPUTS[0], dimensions=width)
    assert sized.data[0].embedding == alone[0]


def test_langchain_works_unchanged(running: Running) -> None:
    embeddings = OpenAIEmbeddings(
        base_url=running.openai,
        api_key=running.key(),  # type: ignore[arg-type]
        model=NAME,
        check_embedding_ctx_length=False,
    )
    assert embeddings.embed_query(INPUTS[1]) == expected(INPUTS[1]).astype(np.float32).tolist()
    assert embeddings.embed_documents(INPUTS)[2] == expected(INPUTS[2]).astype(np.float32).tolist()


REFUSED: dict[str, tuple[Json, str, str]] = {
    "no input": ({"input": []}, "input", "must be a text, token ids, or a list of either"),
    "an empty input": ({"input": ["hello", ""]}, "input", "has no token"),
    "many inputs": ({"input": ["x"] * 65}, "input", "input has 65 texts, at most 64 are taken at once"),
    "an object": ({"input": [{"text": "x"}]}, "input[0]", "a text, or a list of token ids"),
    "a token": ({"input": [100_000]}, "", "100000 is no token"),
    "a format": ({"encoding_format": "int8"}, "encoding_format", "must be float or base64"),
    "dimensions": ({"dimensions": 8}, "dimensions", "have 32 dimensions, a claim is about all of them"),
    "unknown": ({"foo": 1}, "foo", "foo is not known here"),
    "a seed": ({"seed": 1}, "seed", "nothing is drawn"),
    "a stream": ({"stream": True}, "stream", "come in one piece"),
    "n": ({"n": 2}, "n", "give several inputs instead"),
    "a user": ({"user": 7}, "user", "can't be done here with this value"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_t_be_done_is_refused_by_name(running: Running, name: str) -> None:
    body, parameter, words = REFUSED[name]
    answer = posted(running, **body)
    error = answer.json()["error"]
    assert answer.status_code == 400, answer.text
    assert (error["type"], error["param"] or "") == ("invalid_request_error", parameter)
    assert words in error["message"]


def test_an_input_beyond_the_program_is_refused_in_openais_words(client: OpenAI) -> None:
    assert client.embeddings.create(model=NAME, input=[[5] * LENGTH]).usage.prompt_tokens == LENGTH
    with pytest.raises(openai.BadRequestError, match=f"the model has {LENGTH} positions") as refused:
        client.embeddings.create(model=NAME, input=["hello", [5] * (LENGTH + 1)])  # type: ignore[list-item]
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "input")


def test_programs_for_texts_and_for_embeddings_are_told_apart(client: OpenAI) -> None:
    text, embedding = hex_of(tiny().program.id), hex_of(tiny_embedding().program.id)
    listed: Any = client.models.retrieve(NAME)
    assert {one["id"]: one["for"] for one in listed.programs} == {text: "text", embedding: "embeddings"}
    with pytest.raises(openai.NotFoundError, match="there are: tiny") as refused:
        client.embeddings.create(model=text, input="hello")
    assert refused.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="there are: tiny"):
        client.completions.create(model=embedding, prompt="hello")


def test_every_input_counts_and_keys_are_asked_for(running: Running) -> None:
    headers = {"authorization": f"Bearer {running.key(1, 4)}"}
    body = {"model": NAME, "input": ["hello"] * 4}
    assert httpx.post(f"{running.openai}/embeddings", json=body, headers=headers, timeout=60).status_code == 200
    assert httpx.post(f"{running.openai}/embeddings", json=body, headers=headers, timeout=60).status_code == 429
    assert httpx.post(f"{running.openai}/embeddings", json=body, timeout=60).status_code == 401


def standing(running: Running, check: Any) -> VerifiedAnswer:
    """Hand in what is promised, and wait until L1 has it."""
    running.kept()
    found: VerifiedAnswer = check()
    while found.stage == "promised":
        running.world.chain.mine()
        found = check()
    return found


@pytest.mark.parametrize("encoding", [None, "base64", "float"])
def test_embeddings_are_promised_then_posted_then_final(
    client: OpenAI, checker: Client, running: Running, encoding: str | None
) -> None:
    given: Json = {"model": NAME, "input": INPUTS[:2]} | ({"encoding_format": encoding} if encoding else {})
    answer = client.embeddings.create(**given)
    known: Json = {"texts": texts(), "request": given, "model": hex_of(tiny_embedding().program.id)}
    endpoint = running.prover.openai
    assert endpoint is not None
    promised = checker.verify(answer, **known)
    assert "the words of the request are what the claims are about, token by token" in promised.proven
    if promised.stage == "promised":
        assert promised.open == ("that the program gives these numbers: the claim is not on L1 yet",)
    found = standing(running, lambda: checker.verify(answer, **known))
    assert found.stage == "posted" and len(found.claims) == 2 and found.text == ()
    assert "its numbers are exactly those in the claims on L1" in found.proven
    assert found.open == ("that nobody can show it false: the claim is on L1, and can still be challenged",)
    assert checker.verify(answer.touchstone["id"], texts=texts()).stage == "posted"  # type: ignore[attr-defined]
    running.world.chain.advance(running.world.parameters.window + 1)
    running.world.chain.mine()
    final = checker.verify(answer, **known)
    assert final.final and "the program gives these numbers: the claim is final on L1" in final.proven


def test_a_number_that_is_changed_in_a_clients_hands_is_noticed(client: OpenAI, checker: Client) -> None:
    # Without a format the client asks for base64, and gives the numbers.
    for form in ({}, {"encoding_format": "float"}):
        answer = client.embeddings.create(model=NAME, input=INPUTS[0], **form)  # type: ignore[arg-type]
        assert checker.verify(answer).receipt.endpoint == "embeddings"
        right = answer.data[0].embedding[3]
        # The next float32, the next float64 (which is no float32), and what is no number at all.
        for wrong in (float(np.nextafter(np.float32(right), np.float32(2))), float(np.nextafter(right, 2)), "x", None):
            answer.data[0].embedding[3] = wrong  # type: ignore[call-overload]
            with pytest.raises(BadAnswer, match="the response's bytes do not hash to the receipt's"):
                checker.verify(answer)
            answer.data[0].embedding[3] = right


@pytest.fixture(scope="module", params=["float", "base64"])
def file(request: pytest.FixtureRequest, running: Running) -> Json:
    """A receipt file with two embeddings, whose claims are on L1."""
    found = file_of(posted(running, input=INPUTS[:2], encoding_format=request.param))
    standing(running, lambda: check_answer(answered(found), running.l1))
    return found


def changed_number(file: Json, bit: int) -> Json:
    """The same file with one number of its second embedding changed: by a unit of the program, or in one bit of a float32."""
    response = json.loads(file["response"])
    one = response["data"][1]
    if isinstance(one["embedding"], str):
        data = np.frombuffer(b64decode(one["embedding"]), "<u4").copy()
        data[5] ^= 1 << bit
        one["embedding"] = b64encode(data.tobytes()).decode()
    else:
        one["embedding"][5] += 2.0 ** (bit - 28)
    return file | {"response": canonical(response).decode()}


@pytest.mark.parametrize("bit", [0, 3, 22])
def test_a_number_that_is_changed_is_noticed_by_its_hash_or_by_the_claim(
    running: Running, file: Json, bit: int
) -> None:
    assert check_answer(answered(file), running.l1, texts()).stage == "posted"
    changed = changed_number(file, bit)
    with pytest.raises(BadAnswer, match="the response's bytes do not hash to the receipt's; the answer was changed"):
        check_answer(answered(changed), running.l1, texts())
    lie = signed_again(changed, running.world.chain.signer("prover"), running.l1.domain)
    with pytest.raises(
        BadAnswer, match=r"answer 1: the embedding is not what claim 0x[0-9a-f]+ says; the prover signed"
    ):
        check_answer(answered(lie), running.l1)


LIES: dict[str, tuple[Any, str]] = {
    "answers.input_root": (SIGNED["answers.input_root"], "the claim's input root is not that of this request"),
    "answers.prompt_tokens": (SIGNED["answers.prompt_tokens"], "the response counts"),
    "answers.seed": (SIGNED["answers.seed"], "does not follow from nonce and request"),
    "answers.tokens": (SIGNED["answers.tokens"], "nothing is drawn for them"),
    "tokenizer_sha256": (SIGNED["tokenizer_sha256"], "another tokenizer"),
    "model_id": (SIGNED["model_id"], "is not registered on L1"),
    "another input": (
        lambda _, file: file.update(request=json.dumps(json.loads(file["request"]) | {"input": ["hello", "hello"]})),
        "does not follow from nonce and request",
    ),
    "temperature": (lambda _, file: file["receipt"].update(temperature_millionths=5), "nothing is drawn for them"),
    "another order": (
        lambda _, file: file.update(response=file["response"].replace('"index":0', '"index":2')),
        "not numbered from 0",
    ),
    "no embeddings": (lambda _, file: file.update(response='{"model":"tiny"}'), "can't be read as embeddings"),
    "no numbers": (
        lambda _, file: file.update(response='{"data":[{"embedding":[true],"index":0}],"model":"tiny"}'),
        "that is not of numbers",
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_prover_that_signs_a_lie_is_told_from_an_honest_one(running: Running, file: Json, name: str) -> None:
    changed = copy.deepcopy(file)
    change, words = LIES[name]
    change(Random(1), changed)
    lie = signed_again(changed, running.world.chain.signer("prover"), running.l1.domain)
    with pytest.raises(BadAnswer, match=words):
        check_answer(answered(lie), running.l1, texts())


@pytest.mark.parametrize("name", sorted(set(UNSIGNED) - {"top_k", "temperature_millionths"}))
def test_every_field_and_byte_is_bound_by_the_signature(running: Running, file: Json, name: str) -> None:
    changed = copy.deepcopy(file)
    UNSIGNED[name](Random(name), changed)
    with pytest.raises(BadAnswer):
        check_answer(answered(changed), running.l1, texts())


def test_the_terms_of_an_embedding_are_none(file: Json) -> None:
    receipt = answered(file).receipt.value.receipt
    assert receipt.sampling == SamplingTerms() and not any(one.tokens or one.cuts for one in receipt.answers)
