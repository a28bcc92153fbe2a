"""Every request of the public API, as a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

from rollup import wire
from rollup.claim import Address, ClaimId, PostedClaim
from rollup.documents.claims import SignedClaim
from rollup.errors import ClientError
from rollup.http import Request
from rollup.types import ModelId


def models(cursor: str | None = None) -> Request:
    return Request("GET", "/v1/models", _given(cursor=cursor))


def model(name_or_id: str | ModelId) -> Request:
    """``name_or_id``: a name, an id as bytes, or as 0x hex."""
    text = wire.hex_of(name_or_id) if isinstance(name_or_id, bytes) else name_or_id
    if not text or text in (".", ".."):
        raise ClientError(f"{text!r} is no model; give its name or its id")
    return Request("GET", f"/v1/models/{quote(text, safe='')}")


def infer(model: ModelId, inputs: Sequence[np.ndarray], clamp: bool, key: str) -> Request:
    body = {"model": wire.hex_of(model), "inputs": [_plain(array) for array in inputs], "clamp": clamp}
    return Request("POST", "/v1/infer", json=body, headers={"Idempotency-Key": key})


def claim(posted: PostedClaim, key: str) -> Request:
    return Request("POST", "/v1/claims", json=SignedClaim.of(posted).model_dump(), headers={"Idempotency-Key": key})


def get(claim_id: ClaimId) -> Request:
    return Request("GET", f"/v1/claims/{wire.hex_of(claim_id)}")


def claims(
    state: str | None, model: ModelId | None, claimant: Address | None, cursor: str | None, limit: int
) -> Request:
    named = None if model is None else wire.hex_of(model)
    params = _given(state=state, model=named, claimant=claimant, cursor=cursor, limit=str(limit))
    return Request("GET", "/v1/claims", params)


def asked(request_id: bytes) -> Request:
    return Request("GET", f"/v1/requests/{wire.hex_of(request_id)}")


def all_asked(
    state: str | None, model: ModelId | None, requester: Address | None, cursor: str | None, limit: int
) -> Request:
    named = None if model is None else wire.hex_of(model)
    params = _given(state=state, model=named, requester=requester, cursor=cursor, limit=str(limit))
    return Request("GET", "/v1/requests", params)


def events(claim_id: ClaimId | None) -> Request:
    return Request("GET", "/v1/events" if claim_id is None else f"/v1/claims/{wire.hex_of(claim_id)}/events")


def network() -> Request:
    return Request("GET", "/v1/network")


def _given(**params: str | None) -> dict[str, str]:
    return {name: value for name, value in params.items() if value is not None}


def _plain(array: np.ndarray) -> Any:
    """Nested lists of numbers; a float32's shortest form is longer than need be, but exact."""
    return array.tolist()
