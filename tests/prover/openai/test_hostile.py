"""Strangers at the endpoint: whatever they send is refused by name, in OpenAI's words, and costs nobody else anything."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from rollup.client import Client
from tests.prover.openai.world import ADMIN, NAME, Running
from tests.sequencer.api.world import eventually

ASKED: list[Any] = [{"role": "user", "content": "hello"}]


def posted(
    running: Running, body: bytes | dict[str, Any], endpoint: str = "chat/completions", **headers: str
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps({"model": NAME, "messages": ASKED} | body).encode()
    given = {"authorization": f"Bearer {running.key()}"} | headers
    return httpx.post(f"{running.openai}/{endpoint}", content=content, headers=given, timeout=60)


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown": ({"foo": 1}, "foo", "foo is not known here"),
    "tools": ({"tools": [{"type": "function"}]}, "tools", "tools can't be done here with this value"),
    "tool_choice": ({"tool_choice": "auto"}, "tool_choice", "asks for tools"),
    "penalty": ({"presence_penalty": 0.5}, "presence_penalty", "can't be done here with this value"),
    "temperature": ({"temperature": 2.5}, "temperature", "must be 0, or a number from 0.01 to 2"),
    "a tiny temperature": ({"temperature": 0.001}, "temperature", "must be 0, or a number from 0.01 to 2"),
    "top_p": ({"top_p": 0}, "top_p", "above 0"),
    "a huge temperature": ({"temperature": 1e300}, "temperature", "must be 0"),
    "a large top_k": ({"top_k": 100_000}, "top_k", "the model has"),
    "n": ({"n": 1000}, "n", "whole number from 1 to 16"),
    "true for a number": ({"n": True}, "n", "whole number"),
    "many stops": ({"stop": ["x"] * 10_000}, "stop", "stop has 10000 texts, at most 4 are taken"),
    "a long stop": ({"stop": "x" * 10_000}, "stop", "1 to 256 characters"),
    "an empty stop": ({"stop": ""}, "stop", "1 to 256 characters"),
    "no messages": ({"messages": []}, "messages", "a list of 1 to 1024 messages"),
    "a role": ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "must be one of"),
    "a name": ({"messages": [{"role": "user", "content": "x", "name": "y"}]}, "messages[0].name", "leave it out"),
    "an image": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "messages[0].content[0]",
        "must be a part of type text",
    ),
    "a surrogate": ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages[0].content", "half a surrogate"),
    "a long prompt": (
        {"messages": [{"role": "user", "content": "x" * 500}]},
        "messages",
        "positions for prompt and answer",
    ),
    "logprobs of a stream": ({"logprobs": True, "stream": True}, "logprobs", "without stream"),
    "top_logprobs": ({"top_logprobs": 2}, "top_logprobs", "without logprobs"),
    "limits": ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens", "differ"),
    "stream options": (
        {"stream": True, "stream_options": {"x": 1}},
        "stream_options",
        "include_usage and nothing else",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_t_be_done_is_refused_by_name(running: Running, name: str) -> None:
    body, parameter, words = REFUSED[name]
    answer = posted(running, body)
    error = answer.json()["error"]
    assert answer.status_code == 400, answer.text
    assert (error["type"], error["param"]) == ("invalid_request_error", parameter)
    assert words in error["message"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{" * 10_000, 400, "nests more than"),
        (b'{"model": "\xff"}', 400, "no UTF-8"),
        (b'{"model": "tiny", "model": "x"}', 400, "names 'model' twice"),
        (b"[]", 400, "no JSON object"),
        (b"", 400, "no JSON"),
        (b'{"temperature": NaN}', 400, "NaN or Infinity"),
        (b'{"model": "other", "messages": [{"role": "user", "content": "x"}]}', 404, "there are: tiny"),
        (b'{"x": "' + b"x" * (2 << 20) + b'"}', 413, "more than"),
    ],
)
def test_what_is_no_request_is_refused_in_openais_shape(running: Running, body: bytes, status: int, words: str) -> None:
    answer = posted(running, body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert words in answer.json()["error"]["message"]


def test_paths_and_methods_that_are_none_are_told_in_openais_shape(running: Running) -> None:
    assert "message" in httpx.get(f"{running.openai}/nothing").json()["error"]
    assert httpx.get(f"{running.openai}/chat/completions").status_code == 405


def test_nonces_are_one_and_short(running: Running) -> None:
    assert "give one of them" in posted(running, {"seed": 1}, **{"touchstone-nonce": "x"}).json()["error"]["message"]
    assert posted(running, {}, **{"touchstone-nonce": "x" * 65}).status_code == 400
    named = posted(running, {"max_tokens": 2}, **{"touchstone-nonce": "mine"})
    receipt = named.json()["touchstone"]
    assert (receipt["nonce"], receipt["nonce_by"]) == ("0x" + b"mine".hex(), "caller")


def test_keys_are_shown_once_listed_without_and_revoked_at_once(running: Running) -> None:
    admin = {"authorization": f"Bearer {ADMIN}"}
    for given in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Bearer {running.key()}"}):
        assert httpx.post(f"{running.url}/v1/keys", json={"name": "x"}, headers=given).status_code == 401
    made = httpx.post(f"{running.url}/v1/keys", json={"name": "a team"}, headers=admin)
    assert made.status_code == 201
    key, name = made.json()["key"], made.json()["id"]
    listed = httpx.get(f"{running.url}/v1/keys", headers=admin).text
    assert name in listed and key not in listed and key.encode() not in running.database()
    client = OpenAI(base_url=running.openai, api_key=key, max_retries=0)
    assert client.models.list().data
    assert httpx.delete(f"{running.url}/v1/keys/{name}", headers=admin).json()["keys"][0]["revoked"] > 0
    with pytest.raises(openai.AuthenticationError, match="the API key was revoked") as refused:
        client.models.list()
    assert refused.value.code == "invalid_api_key"
    assert httpx.delete(f"{running.url}/v1/keys/none", headers=admin).status_code == 404
    actions = httpx.get(f"{running.url}/v1/keys/actions", headers=admin).json()["actions"]
    said = [(one["action"], one["outcome"]) for one in actions]
    assert {("create", "begun"), ("create", "done"), ("create", "refused"), ("revoke", "done")} <= set(said)
    assert key not in json.dumps(actions)


def test_a_key_has_a_rate_of_its_own(running: Running) -> None:
    slow, fast = running.key(1, 2), running.key()
    codes = [httpx.get(f"{running.openai}/models", headers={"authorization": f"Bearer {slow}"}) for _ in range(3)]
    assert [one.status_code for one in codes] == [200, 200, 429]
    assert codes[2].json()["error"]["code"] == "rate_limit_exceeded" and int(codes[2].headers["retry-after"]) > 1
    assert httpx.get(f"{running.openai}/models", headers={"authorization": f"Bearer {fast}"}).status_code == 200
    assert httpx.get(f"{running.openai}/models").json()["error"]["type"] == "authentication_error"


def test_every_answer_of_a_request_counts(running: Running) -> None:
    headers = {"authorization": f"Bearer {running.key(1, 4)}"}
    body = {"model": NAME, "prompt": ["hello", "the"], "n": 2, "max_tokens": 1}
    assert httpx.post(f"{running.openai}/completions", json=body, headers=headers, timeout=60).status_code == 200
    assert httpx.get(f"{running.openai}/models", headers=headers).status_code == 429


def test_a_key_revoked_in_a_stream_ends_it_without_a_receipt(running: Running) -> None:
    endpoint = running.prover.openai
    assert endpoint is not None
    row, key = endpoint.keys.create("stream", 100, 100)
    body = {"model": NAME, "messages": ASKED, "max_tokens": 60, "stream": True}
    headers = {"authorization": f"Bearer {key}"}
    with httpx.stream("POST", f"{running.openai}/chat/completions", json=body, headers=headers, timeout=60) as stream:
        lines = stream.iter_lines()
        next(lines)
        endpoint.keys.revoke(row.id)
        rest = [line for line in lines if line]
    assert "revoked" in json.loads(rest[-1].removeprefix("data: "))["error"]["message"]
    assert "touchstone" not in "".join(rest) and "[DONE]" not in "".join(rest)


def test_who_goes_away_gives_the_seat_back_and_is_promised_nothing(running: Running) -> None:
    endpoint = running.prover.openai
    assert endpoint is not None
    body = json.dumps({"model": NAME, "messages": ASKED, "max_tokens": 70, "stream": True}).encode()
    head = (
        f"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {running.key()}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    before = endpoint.store.count()
    with socket.create_connection(("127.0.0.1", running.server.port)) as caller:
        caller.sendall(head.encode() + body)
        assert caller.recv(100).startswith(b"HTTP/1.1 200")
    eventually(lambda: endpoint.seats.idle)
    assert endpoint.store.count() == before


def test_receipts_that_are_none_are_told_apart(running: Running, checker: Client) -> None:
    assert httpx.get(f"{running.url}/v1/receipts/0x{'ab' * 32}").status_code == 404
    assert httpx.get(f"{running.url}/v1/receipts/nonsense").status_code == 422
