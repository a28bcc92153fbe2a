"""The endpoint with the packages that people use, unchanged, against a real server with a real (tiny) model."""

from __future__ import annotations

import json
from typing import Any

import httpx
import litellm
import pytest
from langchain_openai import ChatOpenAI
from openai import OpenAI

from prover.language.generation import Generator
from prover.openai.schemas import asked
from rollup.client import Client
from rollup.errors import BadAnswer
from rollup.types import hex_of
from tests.prover.openai.world import NAME, Running, texts, tiny

ASKED: list[Any] = [{"role": "user", "content": "hello world"}]


def expected(limit: int, messages: list[Any] = ASKED) -> list[int]:
    """What the program itself finds most likely."""
    what = asked("chat/completions", json.dumps({"model": NAME, "messages": messages}).encode())
    (prompt,) = texts().prompts(what, 0)
    return list(Generator(tiny()).stream(prompt, limit, texts().stops()))


def test_a_chat_is_answered_with_what_the_program_says(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=NAME, messages=ASKED, temperature=0, max_tokens=8)
    tokens = expected(8)
    (choice,) = answer.choices
    assert choice.message.content == texts().text(tokens)
    assert (choice.message.role, choice.finish_reason) == ("assistant", "length")
    assert answer.usage is not None
    assert answer.usage.completion_tokens == len(tokens)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + len(tokens)
    assert answer.touchstone["answers"][0]["tokens"] == tokens


def test_a_stream_says_the_same_and_ends_with_its_receipt(client: OpenAI) -> None:
    whole = client.chat.completions.create(model=NAME, messages=ASKED, temperature=0, max_tokens=12)
    chunks = list(client.chat.completions.create(model=NAME, messages=ASKED, temperature=0, max_tokens=12, stream=True))
    # As most callers read it: every chunk has a first choice.
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["length"]
    assert [hasattr(chunk, "touchstone") for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    with_usage = list(
        client.chat.completions.create(
            model=NAME, messages=ASKED, temperature=0, max_tokens=3, stream=True, stream_options={"include_usage": True}
        )
    )
    assert [chunk.usage.completion_tokens for chunk in with_usage if chunk.usage] == [3]


def test_the_clients_own_stream_helper_puts_the_answer_together(client: OpenAI) -> None:
    said = texts().text(expected(8))
    # It raises where an answer ends for its length.
    with client.chat.completions.stream(model=NAME, messages=ASKED, temperature=0, stop=said[4:6]) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == said[: said.index(said[4:6])]
    assert final.choices[0].finish_reason == "stop"


def test_completions_take_texts_tokens_and_lists_and_give_n_answers_to_each(client: OpenAI) -> None:
    ids = texts().prompts(asked("completions", json.dumps({"model": NAME, "prompt": "hello the"}).encode()), 0)[0]
    by_text = client.completions.create(model=NAME, temperature=0, prompt="hello the", max_tokens=4)
    by_ids = client.completions.create(model=NAME, temperature=0, prompt=ids, max_tokens=4)
    assert by_text.choices[0].text == by_ids.choices[0].text != ""
    several = client.completions.create(model=NAME, temperature=0, prompt=["hello the", "and an"], n=2, max_tokens=4)
    assert [one.index for one in several.choices] == [0, 1, 2, 3]
    assert several.choices[0].text == several.choices[1].text == by_text.choices[0].text
    assert len({one["claim_nonce"] for one in several.touchstone["answers"]}) == 4
    assert len({one["seed"] for one in several.touchstone["answers"]}) == 4
    streamed = list(
        client.completions.create(model=NAME, temperature=0, prompt=["hello the", "and an"], max_tokens=4, stream=True)
    )
    joined = {
        index: "".join(one.choices[0].text for one in streamed if one.choices[0].index == index) for index in (0, 1)
    }
    assert joined == {0: several.choices[0].text, 1: several.choices[2].text}


def test_a_stop_string_across_tokens_ends_the_answer_before_it(client: OpenAI) -> None:
    whole = (
        client.chat.completions.create(model=NAME, messages=ASKED, temperature=0, max_tokens=12)
        .choices[0]
        .message.content
    )
    assert whole is not None
    at = 3
    stop = whole[at : at + 3]
    cut = client.chat.completions.create(
        model=NAME, messages=ASKED, temperature=0, max_tokens=12, stop=["never said", stop]
    )
    assert cut.choices[0].message.content == whole[: whole.index(stop)]
    assert cut.choices[0].finish_reason == "stop"
    chunks = client.chat.completions.create(
        model=NAME, messages=ASKED, temperature=0, max_tokens=12, stop=stop, stream=True
    )
    assert "".join(one.choices[0].delta.content or "" for one in chunks) == whole[: whole.index(stop)]


def test_logprobs_are_those_of_the_programs_own_logits(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=NAME, messages=ASKED, temperature=0, max_tokens=5, logprobs=True, top_logprobs=3
    )
    told = answer.choices[0].logprobs
    assert told is not None and told.content is not None and len(told.content) == 5
    for one in told.content:
        # Greedy: each token is the most likely one.
        assert one.logprob == one.top_logprobs[0].logprob <= 0
        assert [other.logprob for other in one.top_logprobs] == sorted(
            (other.logprob for other in one.top_logprobs), reverse=True
        )
    older = client.completions.create(model=NAME, temperature=0, prompt="hello the", max_tokens=3, logprobs=2)
    assert older.choices[0].logprobs is not None
    assert len(older.choices[0].logprobs.token_logprobs or []) == 3


def test_models_are_listed(client: OpenAI, running: Running) -> None:
    (one,) = client.models.list().data
    assert one.id == NAME and client.models.retrieve(NAME).owned_by == running.world.account.account
    by_id = client.chat.completions.create(model=hex_of(tiny().program.id), messages=ASKED, max_tokens=2, temperature=0)
    assert by_id.choices[0].message.content == texts().text(expected(2))


def test_litellm_works_unchanged(running: Running, checker: Client) -> None:
    given = {"api_base": running.openai, "api_key": running.key()}
    answer = litellm.completion(model=f"openai/{NAME}", messages=ASKED, max_tokens=6, temperature=0, **given)
    assert answer.choices[0].message.content == texts().text(expected(6))
    chunks = litellm.completion(
        model=f"openai/{NAME}", messages=ASKED, max_tokens=6, temperature=0, stream=True, **given
    )
    assert "".join(one.choices[0].delta.content or "" for one in chunks) == texts().text(expected(6))
    receipt = answer._hidden_params["additional_headers"]["llm_provider-touchstone-receipt"]
    verified = checker.verify(receipt, texts=texts())
    assert verified.text == (answer.choices[0].message.content,)


def test_langchain_works_unchanged(running: Running, checker: Client) -> None:
    chat = ChatOpenAI(
        base_url=running.openai,
        api_key=running.key(),  # type: ignore[arg-type]
        model=NAME,
        temperature=0,
        max_tokens=6,  # type: ignore[call-arg]
        include_response_headers=True,
    )
    answer = chat.invoke([("user", "hello world")])
    assert answer.content == texts().text(expected(6))
    assert "".join(str(part.content) for part in chat.stream([("user", "hello world")])) == answer.content
    verified = checker.verify(answer.response_metadata["headers"]["touchstone-receipt"], texts=texts())
    assert verified.text == (answer.content,)


def test_an_answer_is_promised_then_posted_then_final(client: OpenAI, checker: Client, running: Running) -> None:
    given: dict[str, Any] = {"model": NAME, "messages": ASKED, "max_tokens": 7, "seed": 5, "temperature": 0.8}
    answer = client.chat.completions.create(**given)
    promised = checker.verify(answer, texts=texts(), request=given, model=hex_of(tiny().program.id))
    assert promised.stage in ("promised", "posted")
    running.kept()
    receipt = answer.touchstone["id"]
    while checker.verify(answer).stage == "promised":
        running.world.chain.mine()
    posted = checker.verify(answer, texts=texts(), request=given, model=hex_of(tiny().program.id))
    assert posted.stage == "posted" and posted.claims[0] is not None
    assert posted.open == ("that nobody can show it false: the claim is on L1, and can still be challenged",)
    kept = checker.receipt(receipt)
    assert kept.claims[0].claim_id == posted.claims[0].claim_id
    assert kept.claims[0].state in ("pending", "posted") and kept.claims[0].saturated is not None
    running.world.chain.advance(running.world.parameters.window + 1)
    final = checker.verify(answer, texts=texts(), request=given, model=hex_of(tiny().program.id))
    assert final.final and final.open == ()
    assert "the program gives these tokens: the claim is final on L1" in final.proven


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("endpoint", ["chat/completions", "completions"])
def test_every_form_of_an_answer_is_verified(running: Running, checker: Client, endpoint: str, stream: bool) -> None:
    asks: dict[str, Any] = {"messages": ASKED} if endpoint.startswith("chat") else {"prompt": ["hello", "world"]}
    request = json.dumps({"model": NAME, "max_tokens": 5, "stream": stream, "seed": 3, **asks}).encode()
    headers = {"authorization": f"Bearer {running.key()}"}
    answer = httpx.post(f"{running.openai}/{endpoint}", content=request, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    parsed: Any = (
        [json.loads(part.removeprefix("data: ")) for part in answer.text.split("\n\n")[:-2]]
        if stream
        else answer.json()
    )
    for form in (answer.content, answer.text, parsed):
        assert checker.verify(form, texts=texts(), request=request).text == checker.verify(form).text != ("",)
    with pytest.raises(BadAnswer, match=r"another request than yours: (prompt|messages)"):
        checker.verify(answer.content, request=json.loads(request) | {next(iter(asks)): "other"})


def test_a_receipt_file_needs_no_server(client: OpenAI, checker: Client, running: Running, tmp_path: Any) -> None:
    answer = client.completions.create(model=NAME, temperature=0, prompt="hello", max_tokens=3)
    path = tmp_path / "answer.json"
    path.write_text(checker.receipt_file(answer.touchstone["id"]).model_dump_json())
    with Client("http://127.0.0.1:1", l1=running.l1) as alone:
        assert alone.verify(path, texts=texts()).text == (answer.choices[0].text,)


def test_without_the_model_file_it_says_what_was_not_checked(client: OpenAI, checker: Client) -> None:
    answer = client.chat.completions.create(model=NAME, messages=ASKED, temperature=0, max_tokens=3, logprobs=True)
    said = str(checker.verify(answer))
    assert "not proven: that these words are those of the claim: that takes the model file (texts=)" in said
    assert "not proven: the log-probabilities: no claim is about them" in said
    assert "not proven: that the request is yours" in said


SETTINGS: list[dict[str, Any]] = [
    {"temperature": 0.7},
    {"temperature": 1.3, "top_p": 0.8},
    {"temperature": 1, "extra_body": {"top_k": 7}},
    {"temperature": 0.5, "top_p": 0.9, "extra_body": {"top_k": 40}},
    {},
]


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_sampled_answer_is_claimed_as_it_was_drawn(
    client: OpenAI, checker: Client, running: Running, setting: dict[str, Any]
) -> None:
    given: dict[str, Any] = {"model": NAME, "messages": ASKED, "max_tokens": 8, "seed": 11, **setting}
    answer = client.chat.completions.create(**given, n=2)
    again = client.chat.completions.create(**given, n=2)
    texts_of = [one.message.content for one in answer.choices]
    assert texts_of == [one.message.content for one in again.choices]
    assert len({one["seed"] for one in answer.touchstone["answers"]}) == 2
    running.kept()
    found = checker.verify(answer, texts=texts())
    while found.stage == "promised":
        running.world.chain.mine()
        found = checker.verify(answer, texts=texts())
    # Posted: L1 has the claim that the program accepts just these tokens under just these terms.
    assert found.stage == "posted" and found.text == tuple(texts_of)


def test_other_seeds_draw_other_answers(client: OpenAI) -> None:
    said = {
        client.completions.create(model=NAME, prompt="hello", max_tokens=8, temperature=1.5, seed=seed).choices[0].text
        for seed in range(6)
    }
    assert len(said) > 3
