"""What a request may ask for. A parameter that is unknown, or can't be done here, is refused by name: none is ignored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prover.language.sampling import COOLEST, HOTTEST
from rollup.receipt import MILLION, SamplingTerms, millionths
from rollup.service.problem import Problem

CHAT, COMPLETIONS, EMBEDDINGS = "chat/completions", "completions", "embeddings"

MOST_CHOICES = 16
MOST_PROMPTS = 16
MOST_MESSAGES = 1024
MOST_STOPS = 4
MOST_STOP_LENGTH = 256
DEFAULT_COMPLETION = 16
"""Tokens of a completion that names no limit, as OpenAI has it."""

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True)
class AskedText:
    """A request for text. One of ``messages`` (role, content) and ``prompts`` (text, or token ids) is there. ``limit``: tokens of an
    answer at most, None: as many as fit. ``logprobs``: how many alternatives of each token are told, None: nothing of the kind.
    ``temperature`` None: the request names none.
    """

    endpoint: str
    model: str
    messages: tuple[tuple[str, str], ...] | None
    prompts: tuple[str | tuple[int, ...], ...]
    n: int
    limit: int | None
    stop: tuple[str, ...]
    stream: bool
    usage: bool
    temperature: int | None
    top_p: int
    top_k: int
    seed: int | None
    logprobs: int | None

    def sampling(self, default: int) -> SamplingTerms:
        """``default``: the temperature of requests that name none, in millionths."""
        return SamplingTerms.of(default if self.temperature is None else self.temperature, self.top_p, self.top_k)


def refused(parameter: str | None, sentence: str, code: str | None = None, status: int = 400) -> Problem:
    """The problem of a request that is not taken."""
    return Problem(status, "request", "The request is not taken", sentence, param=parameter, code=code)


def parsed(request: bytes) -> dict[str, Any]:
    """A request's members; null stands for none. Raises Problem for what is no JSON object, or names one thing twice."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise refused(twice[:80], f"the request names {twice[:80]!r} twice; name it once")
        return found

    try:
        document = json.loads(request.decode(), object_pairs_hook=members, parse_constant=_constant)
    except (ValueError, RecursionError):
        raise refused(None, "the request is no JSON in UTF-8; send an object") from None
    if not isinstance(document, dict):
        raise refused(None, "the request is no JSON object; send one with at least a model")
    return {name: value for name, value in document.items() if value is not None}


def _constant(name: str) -> float:
    raise ValueError(name)


def asked(endpoint: str, request: bytes) -> AskedText:
    """What the request's bytes ask of an endpoint for text; raises Problem that names the parameter."""
    given = parsed(request)
    known = {**SHARED, **(CHAT_ONLY if endpoint == CHAT else COMPLETIONS_ONLY)}
    for name, value in given.items():
        if name in known:
            continue
        harmless = HARMLESS.get(name)
        if harmless is None:
            sentence = UNSUPPORTED.get(name, "is not known here; leave it out, since nothing is ignored in silence")
            raise refused(name[:80], f"{name[:80]} {sentence}", "unsupported_parameter")
        if not harmless(value):
            raise refused(name, f"{name} can't be done here with this value; leave it out", "unsupported_value")
    found: dict[str, Any] = {}
    for name, (default, reader) in known.items():
        found[name] = reader(given[name], name) if name in given else default
    return _together(endpoint, found)


def _together(endpoint: str, found: Mapping[str, Any]) -> AskedText:
    chat = endpoint == CHAT
    if not found["model"]:
        raise refused("model", "the request names no model; GET /openai/v1/models lists them")
    if chat and not found["messages"]:
        raise refused("messages", "the request has no messages; give at least one")
    if not chat and not found["prompt"]:
        raise refused("prompt", "the request has no prompt; give a text, token ids, or a list of either")
    limit, other = found["max_tokens"], found.get("max_completion_tokens")
    if limit is not None and other is not None and limit != other:
        raise refused("max_tokens", "max_tokens and max_completion_tokens differ; give one of them")
    limit = other if limit is None else limit
    if found["stream_options"] is not None and not found["stream"]:
        raise refused("stream_options", "stream_options without stream; ask for a stream, or leave it out")
    logprobs = found["logprobs"]
    if chat:
        told = found["top_logprobs"]
        if told is not None and not logprobs:
            raise refused("top_logprobs", "top_logprobs without logprobs; set logprobs to true")
        logprobs = (told or 0) if logprobs else None
    if logprobs is not None and found["stream"]:
        raise refused("logprobs", "logprobs are known when the answer is whole; ask for it without stream")
    return AskedText(
        endpoint,
        found["model"],
        found["messages"] if chat else None,
        () if chat else found["prompt"],
        found["n"],
        limit if limit is not None or chat else DEFAULT_COMPLETION,
        found["stop"],
        found["stream"],
        bool(found["stream_options"]),
        found["temperature"],
        found["top_p"],
        found["top_k"],
        found["seed"],
        logprobs,
    )


def _whole(low: int, high: int) -> Callable[[Any, str], int]:
    def read(value: Any, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise refused(name, f"{name} must be a whole number from {low} to {high}")
        return value

    return read


def _temperature(value: Any, name: str) -> int:
    found = _fraction(value)
    if found is None or not (found == 0 or COOLEST <= found <= HOTTEST):
        raise refused(name, f"{name} must be 0, or a number from {COOLEST / MILLION} to {HOTTEST // MILLION}")
    return found


def _share(value: Any, name: str) -> int:
    found = _fraction(value)
    if found is None or not 1 <= found <= MILLION:
        raise refused(name, f"{name} must be a number above 0, and 1 at most")
    return found


def _fraction(value: Any) -> int | None:
    """Millionths; None for what is no number, or a huge one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MILLION:
        return None
    return millionths(value)


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise refused(name, f"{name} must be true or false")
    return value


def _name(value: Any, name: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise refused(name, f"{name} must be a text of 1 to 200 characters")
    return value


def _words(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise refused(name, f"{name} must be a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refused(name, f"{name} has half a surrogate pair; send sound Unicode") from None
    return value


def _stops(value: Any, name: str) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    if len(given) > MOST_STOPS:
        raise refused(name, f"{name} has {len(given)} texts, at most {MOST_STOPS} are taken")
    found = tuple(_words(one, name) for one in given)
    if not all(0 < len(one) <= MOST_STOP_LENGTH for one in found):
        raise refused(name, f"each text of {name} has 1 to {MOST_STOP_LENGTH} characters")
    return found


def _stream_options(value: Any, name: str) -> bool:
    if not isinstance(value, dict) or set(value) - {"include_usage"}:
        raise refused(name, f"{name} may hold include_usage and nothing else")
    return _flag(value.get("include_usage", False), f"{name}.include_usage")


def _messages(value: Any, name: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_MESSAGES:
        raise refused(name, f"{name} must be a list of 1 to {MOST_MESSAGES} messages")
    return tuple(_message(one, f"{name}[{number}]") for number, one in enumerate(value))


def _message(value: Any, at: str) -> tuple[str, str]:
    if not isinstance(value, dict):
        raise refused(at, f"{at} must be an object with role and content")
    role = value.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise refused(f"{at}.role", f"{at}.role must be one of {', '.join(ROLES)}")
    for name, held in value.items():
        if name not in ("role", "content") and held not in (None, []):
            raise refused(
                f"{at}.{name[:80]}", f"{at}.{name[:80]} can't be done here; leave it out", "unsupported_parameter"
            )
    return ROLES[role], _content(value.get("content"), f"{at}.content")


def _content(value: Any, at: str) -> str:
    """A text, or the texts of a list of parts, a line each."""
    if not isinstance(value, list):
        return _words(value, at)
    for number, part in enumerate(value):
        if not isinstance(part, dict) or set(part) != {"type", "text"} or part["type"] != "text":
            raise refused(
                f"{at}[{number}]", f"{at}[{number}] must be a part of type text; nothing else is understood here"
            )
    return "\n".join(_words(part["text"], f"{at}[{number}].text") for number, part in enumerate(value))


def _prompts(value: Any, name: str) -> tuple[str | tuple[int, ...], ...]:
    """A text, token ids, or a list of either."""
    if isinstance(value, str):
        return (_words(value, name),)
    if not isinstance(value, list) or not value:
        raise refused(name, f"{name} must be a text, token ids, or a list of either")
    if isinstance(value[0], int):
        return (_tokens(value, name),)
    if len(value) > MOST_PROMPTS:
        raise refused(name, f"{name} has {len(value)} prompts, at most {MOST_PROMPTS} are taken at once")
    return tuple(
        _words(one, f"{name}[{number}]") if isinstance(one, str) else _tokens(one, f"{name}[{number}]")
        for number, one in enumerate(value)
    )


def _tokens(value: Any, name: str) -> tuple[int, ...]:
    fits = isinstance(value, list) and all(type(one) is int and 0 <= one < 1 << 31 for one in value)
    if not fits or not value:
        raise refused(name, f"{name} must be a text, or a list of token ids")
    return tuple(value)


Reader = tuple[Any, Callable[[Any, str], Any]]

SHARED: Mapping[str, Reader] = {
    "model": ("", _name),
    "n": (1, _whole(1, MOST_CHOICES)),
    "max_tokens": (None, _whole(1, 1 << 20)),
    "stop": ((), _stops),
    "stream": (False, _flag),
    "stream_options": (None, _stream_options),
    "temperature": (None, _temperature),
    "top_p": (MILLION, _share),
    "top_k": (0, _whole(0, 1 << 20)),
    "seed": (None, _whole(-(1 << 63), (1 << 63) - 1)),
}

CHAT_ONLY: Mapping[str, Reader] = {
    "messages": ((), _messages),
    "max_completion_tokens": (None, _whole(1, 1 << 20)),
    "logprobs": (False, _flag),
    "top_logprobs": (None, _whole(0, 20)),
}

COMPLETIONS_ONLY: Mapping[str, Reader] = {
    "prompt": ((), _prompts),
    "logprobs": (None, _whole(0, 5)),
}

HARMLESS: Mapping[str, Callable[[Any], bool]] = {
    "user": lambda value: isinstance(value, str),
    "safety_identifier": lambda value: isinstance(value, str),
    "frequency_penalty": lambda value: value == 0,
    "presence_penalty": lambda value: value == 0,
    "logit_bias": lambda value: value == {},
    "response_format": lambda value: value == {"type": "text"},
    "modalities": lambda value: value == ["text"],
    "store": lambda value: value is False,
    "echo": lambda value: value is False,
    "best_of": lambda value: value == 1,
    "suffix": lambda value: value == "",
    "tools": lambda value: value == [],
    "service_tier": lambda value: value in ("auto", "default"),
}
"""Parameters whose value changes nothing: who asks, and what is so anyway."""

_TOOLS = "asks for tools, which the models here are not given; leave it out"
UNSUPPORTED: Mapping[str, str] = {
    **dict.fromkeys(("tool_choice", "functions", "function_call", "parallel_tool_calls"), _TOOLS),
    "metadata": "is kept nowhere; leave it out",
    "reasoning_effort": "changes nothing about the models here; leave it out",
}
