"""How a request is read: its members, and values of the kinds that several endpoints take."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from rollup.service.problem import Problem

Prompt = str | tuple[int, ...]
"""A text, or its token ids."""

Reader = tuple[Any, Callable[[Any, str], Any]]
"""(what stands for a parameter that is not given, what reads a given one and raises Problem under its name)."""

Harmless = Mapping[str, Callable[[Any], bool]]
"""Parameters whose value changes nothing, and for which values that is so."""

USER: Harmless = {
    "user": lambda value: isinstance(value, str),
    "safety_identifier": lambda value: isinstance(value, str),
}
"""Who asks."""


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


def taken(
    given: Mapping[str, Any], known: Mapping[str, Reader], harmless: Harmless, unsupported: Mapping[str, str]
) -> dict[str, Any]:
    """All that is ``known``, as ``given`` or as it is otherwise. Raises Problem by name for whatever else is given.

    ``unsupported``: what is to be said of parameters that people may expect.
    """
    for name, value in given.items():
        if name in known:
            continue
        changes_nothing = harmless.get(name)
        if changes_nothing is None:
            sentence = unsupported.get(name, "is not known here; leave it out, since nothing is ignored in silence")
            raise refused(name[:80], f"{name[:80]} {sentence}", "unsupported_parameter")
        if not changes_nothing(value):
            raise refused(name, f"{name} can't be done here with this value; leave it out", "unsupported_value")
    return {name: reader(given[name], name) if name in given else default for name, (default, reader) in known.items()}


def named_model(given: Mapping[str, Any]) -> str:
    """The model that a request names; raises Problem if it names none."""
    found = given["model"]
    if not found:
        raise refused("model", "the request names no model; GET /openai/v1/models lists them")
    return str(found)


def whole_number(low: int, high: int) -> Callable[[Any, str], int]:
    def read(value: Any, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise refused(name, f"{name} must be a whole number from {low} to {high}")
        return value

    return read


def flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise refused(name, f"{name} must be true or false")
    return value


def model_name(value: Any, name: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise refused(name, f"{name} must be a text of 1 to 200 characters")
    return value


def words(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise refused(name, f"{name} must be a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refused(name, f"{name} has half a surrogate pair; send sound Unicode") from None
    return value


def prompts(most: int) -> Callable[[Any, str], tuple[Prompt, ...]]:
    """Reads a text, token ids, or a list of ``most`` of either at most."""

    def read(value: Any, name: str) -> tuple[Prompt, ...]:
        if isinstance(value, str):
            return (words(value, name),)
        if not isinstance(value, list) or not value:
            raise refused(name, f"{name} must be a text, token ids, or a list of either")
        if isinstance(value[0], int):
            return (token_ids(value, name),)
        if len(value) > most:
            raise refused(name, f"{name} has {len(value)} texts, at most {most} are taken at once")
        return tuple(
            words(one, f"{name}[{number}]") if isinstance(one, str) else token_ids(one, f"{name}[{number}]")
            for number, one in enumerate(value)
        )

    return read


def token_ids(value: Any, name: str) -> tuple[int, ...]:
    fits = isinstance(value, list) and all(type(one) is int and 0 <= one < 1 << 31 for one in value)
    if not fits or not value:
        raise refused(name, f"{name} must be a text, or a list of token ids")
    return tuple(value)
