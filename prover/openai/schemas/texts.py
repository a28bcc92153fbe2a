"""Requests for text: what they may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prover.language.sampling import COOLEST, HOTTEST
from prover.openai.schemas.values import (
    USER,
    Harmless,
    Prompt,
    Reader,
    flag,
    model_name,
    named_model,
    parsed,
    prompts,
    refused,
    taken,
    whole_number,
    words,
)
from rollup.receipt import CHAT, MILLION, SamplingTerms, millionths

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
    prompts: tuple[Prompt, ...]
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


def asked(endpoint: str, request: bytes) -> AskedText:
    """What the request's bytes ask of an endpoint for text; raises Problem that names the parameter."""
    known = {**SHARED, **(CHAT_ONLY if endpoint == CHAT else COMPLETIONS_ONLY)}
    return _together(endpoint, taken(parsed(request), known, HARMLESS, UNSUPPORTED))


def _together(endpoint: str, found: Mapping[str, Any]) -> AskedText:
    chat = endpoint == CHAT
    model = named_model(found)
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
        model,
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


def _stops(value: Any, name: str) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    if len(given) > MOST_STOPS:
        raise refused(name, f"{name} has {len(given)} texts, at most {MOST_STOPS} are taken")
    found = tuple(words(one, name) for one in given)
    if not all(0 < len(one) <= MOST_STOP_LENGTH for one in found):
        raise refused(name, f"each text of {name} has 1 to {MOST_STOP_LENGTH} characters")
    return found


def _stream_options(value: Any, name: str) -> bool:
    if not isinstance(value, dict) or set(value) - {"include_usage"}:
        raise refused(name, f"{name} may hold include_usage and nothing else")
    return flag(value.get("include_usage", False), f"{name}.include_usage")


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
        return words(value, at)
    for number, part in enumerate(value):
        if not isinstance(part, dict) or set(part) != {"type", "text"} or part["type"] != "text":
            raise refused(
                f"{at}[{number}]", f"{at}[{number}] must be a part of type text; nothing else is understood here"
            )
    return "\n".join(words(part["text"], f"{at}[{number}].text") for number, part in enumerate(value))


SHARED: Mapping[str, Reader] = {
    "model": ("", model_name),
    "n": (1, whole_number(1, MOST_CHOICES)),
    "max_tokens": (None, whole_number(1, 1 << 20)),
    "stop": ((), _stops),
    "stream": (False, flag),
    "stream_options": (None, _stream_options),
    "temperature": (None, _temperature),
    "top_p": (MILLION, _share),
    "top_k": (0, whole_number(0, 1 << 20)),
    "seed": (None, whole_number(-(1 << 63), (1 << 63) - 1)),
}

CHAT_ONLY: Mapping[str, Reader] = {
    "messages": ((), _messages),
    "max_completion_tokens": (None, whole_number(1, 1 << 20)),
    "logprobs": (False, flag),
    "top_logprobs": (None, whole_number(0, 20)),
}

COMPLETIONS_ONLY: Mapping[str, Reader] = {
    "prompt": ((), prompts(MOST_PROMPTS)),
    "logprobs": (None, whole_number(0, 5)),
}

HARMLESS: Harmless = {
    **USER,
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
"""Who asks, and what is so anyway."""

_TOOLS = "asks for tools, which the models here are not given; leave it out"
UNSUPPORTED: Mapping[str, str] = {
    **dict.fromkeys(("tool_choice", "functions", "function_call", "parallel_tool_calls"), _TOOLS),
    "metadata": "is kept nowhere; leave it out",
    "reasoning_effort": "changes nothing about the models here; leave it out",
}
