"""Keys by HTTP, for whoever holds the operator's token. What is done and what is refused is written down; a key is shown once."""

from __future__ import annotations

import hmac
import json
import time
from typing import Annotated

from fastapi import APIRouter, Header
from pydantic import Field

from prover.openai.keys import ApiKeys
from prover.openai.store import EndpointStore, KeyRow
from rollup.documents.fields import Count, Document, Time
from rollup.service.problem import Problem, documented

Authorization = Annotated[str | None, Header(description="Bearer and the operator's token.")]


class KeyRequest(Document):
    name: str = Field(min_length=1, max_length=100, description="Whose key it is, for people.")
    per_minute: int = Field(60, ge=1, le=1_000_000, description="Requests in the long run.")
    burst: int = Field(20, ge=1, le=1_000_000, description="Requests at once.")


class KeyDocument(Document):
    """A key without what it is."""

    id: str
    name: str
    per_minute: Count
    burst: Count
    created: Time
    revoked: Time | None

    @classmethod
    def of(cls, row: KeyRow) -> KeyDocument:
        return cls(**{name: value for name, value in vars(row).items() if name != "digest"})


class NewKey(KeyDocument):
    key: str = Field(description="The key itself, which nobody can see again.")


class KeyList(Document):
    keys: list[KeyDocument]


class ActionDocument(Document):
    at: Time
    action: str
    detail: str
    outcome: str


class ActionList(Document):
    actions: list[ActionDocument]


def key_routes(keys: ApiKeys, store: EndpointStore, token: str | None) -> APIRouter:
    """Without a ``token`` nobody may."""
    routes = APIRouter(prefix="/v1/keys", tags=["keys"], responses=documented(401))

    def act(action: str, detail: dict[str, object], outcome: str) -> None:
        store.act(int(time.time()), action, json.dumps(detail), outcome)

    def admit(authorization: str | None, action: str) -> None:
        scheme, _, given = (authorization or "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), (token or "").encode())
        if token and scheme.lower() == "bearer" and right:
            return
        if token and authorization is not None:
            act(action, {}, "refused")
        detail = "send the operator's bearer token" if token else "this prover was started without an operator's token"
        raise Problem(401, "unauthorized", "Not allowed", detail, {"www-authenticate": "Bearer"})

    @routes.post("", status_code=201, operation_id="createKey", summary="Make a key; it is shown once")
    def create(asked: KeyRequest, authorization: Authorization = None) -> NewKey:
        admit(authorization, "create")
        act("create", {"name": asked.name}, "begun")
        row, secret = keys.create(asked.name, asked.per_minute, asked.burst)
        act("create", {"name": asked.name, "id": row.id}, "done")
        return NewKey(**dict(KeyDocument.of(row)), key=secret)

    @routes.get("", operation_id="listKeys", summary="All keys, without what they are")
    def listed(authorization: Authorization = None) -> KeyList:
        admit(authorization, "list")
        return KeyList(keys=[KeyDocument.of(row) for row in keys.all()])

    @routes.get("/actions", operation_id="keyActions", summary="What operators did, the newest first")
    def actions(authorization: Authorization = None) -> ActionList:
        admit(authorization, "actions")
        found = store.actions()
        return ActionList(
            actions=[
                ActionDocument(at=at, action=action, detail=detail, outcome=outcome)
                for at, action, detail, outcome in found
            ]
        )

    @routes.delete("/{key}", operation_id="revokeKey", summary="Revoke a key, from now on", responses=documented(404))
    def revoke(key: str, authorization: Authorization = None) -> KeyList:
        admit(authorization, "revoke")
        act("revoke", {"id": key[:40]}, "begun")
        try:
            keys.revoke(key)
        except Problem:
            act("revoke", {"id": key[:40]}, "refused")
            raise
        act("revoke", {"id": key[:40]}, "done")
        return KeyList(keys=[KeyDocument.of(row) for row in keys.all() if row.id == key])

    return routes
