"""What a word stands for: any id, account, name, batch or transaction."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query

from rollup import wire
from rollup.documents.explorer import Hit, Hits
from rollup.errors import ClaimError
from rollup.types import ModelId, Root
from sequencer.api import parts as shared
from sequencer.api.parts import Parts
from sequencer.states import Found
from sequencer.store.finding import MOST

LONGEST = 200
_WHOLE = re.compile(r"(?:0x)?([0-9a-fA-F]{40}|[0-9a-fA-F]{64})")
_BEGINNING = re.compile(r"0x([0-9a-fA-F]{2,63})(?:…[0-9a-fA-F]*)?")
"""Also as pages shorten it. Without 0x it may be a batch's number, or a name."""


def search_routes(parts: Parts) -> APIRouter:
    routes = shared.router("network")

    @routes.get(
        "/search",
        operation_id="search",
        summary="What a word stands for",
        description=(
            "An id of a claim, model, request or game, also its beginning (of claims and models); a batch's number or root; a transaction; "
            "an account; a model's name or part of it."
        ),
    )
    def search(q: Annotated[str, Query(min_length=1, max_length=LONGEST)]) -> Hits:
        return Hits(hits=[_hit(parts, one) for one in found(parts, q.strip())])

    return routes


def found(parts: Parts, word: str) -> list[Found]:
    """Things that are known here; an account always is one."""
    hits = _numbered(parts, word) + _called(parts, word)
    if (whole := _WHOLE.fullmatch(word)) is not None:
        hits += _whole(parts, whole[1])
    elif (begun := _BEGINNING.fullmatch(word)) is not None:
        low, high = (bytes.fromhex(begun[1].ljust(64, end)) for end in "0f")
        hits += parts.store.finding.beginning(low, high)
    return hits


def _whole(parts: Parts, digits: str) -> list[Found]:
    if len(digits) == 64:
        return parts.store.finding.named(bytes.fromhex(digits))
    with suppress(ClaimError):
        return [Found("account", wire.address_of(f"0x{digits}", "account"), "id")]
    return []


def _numbered(parts: Parts, word: str) -> list[Found]:
    number = word.removeprefix("#")
    if not (number.isascii() and number.isdigit() and len(number) <= 18):
        return []
    known = parts.store.batches.heads([int(number)])
    return [Found("batch", str(one), "number") for one in known]


def _called(parts: Parts, word: str) -> list[Found]:
    """Models by name, the very one first."""
    named = [one for one in parts.store.models.all() if word.lower() in one.name.lower()]
    named.sort(key=lambda one: (one.name != word, one.name))
    return [Found("model", wire.hex_of(one.id), "name") for one in named[:MOST]]


def _hit(parts: Parts, one: Found) -> Hit:
    model = parts.store.models.get(ModelId(Root(wire.root_of(one.id, "model")))) if one.kind == "model" else None
    return Hit(kind=one.kind, id=one.id, by=one.by, name=None if model is None else model.name)
