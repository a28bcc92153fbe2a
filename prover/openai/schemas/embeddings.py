"""Requests for embeddings: what they may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prover.openai.schemas.values import (
    USER,
    Prompt,
    Reader,
    model_name,
    named_model,
    parsed,
    prompts,
    refused,
    taken,
    whole_number,
)
from rollup.receipt import EMBEDDINGS

MOST_INPUTS = 64
"""Each is a pass of the program, and a claim on L1."""

UNSUPPORTED: Mapping[str, str] = {
    "n": "is for texts; give several inputs instead",
    "stream": "is for texts; embeddings come in one piece, leave it out",
    "seed": "changes nothing here, since nothing is drawn; leave it out",
}


@dataclass(frozen=True)
class AskedEmbeddings:
    """A request for embeddings of ``prompts``. ``base64``: whether the numbers are wanted as the bytes of float32; ``dimensions``: how
    many of them, None: as many as the model has.
    """

    model: str
    prompts: tuple[Prompt, ...]
    base64: bool
    dimensions: int | None
    endpoint: str = EMBEDDINGS


def asked_embeddings(request: bytes) -> AskedEmbeddings:
    """What the request's bytes ask for; raises Problem that names the parameter."""
    found = taken(parsed(request), KNOWN, USER, UNSUPPORTED)
    model = named_model(found)
    if not found["input"]:
        raise refused("input", "the request has no input; give a text, token ids, or a list of either")
    return AskedEmbeddings(model, found["input"], found["encoding_format"] == "base64", found["dimensions"])


def _encoding(value: Any, name: str) -> str:
    if value not in ("float", "base64"):
        raise refused(name, f"{name} must be float or base64")
    return str(value)


KNOWN: Mapping[str, Reader] = {
    "model": ("", model_name),
    "input": ((), prompts(MOST_INPUTS)),
    "encoding_format": ("float", _encoding),
    "dimensions": (None, whole_number(1, 1 << 20)),
}
