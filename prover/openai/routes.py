"""The routes of the endpoint: OpenAI's below ``/openai/v1``, and receipts below ``/v1/receipts``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from prover.openai.answers import Answering, Still, TextAnswers
from prover.openai.embeddings import EmbeddingAnswers
from prover.openai.errors import PREFIX
from prover.openai.keys import ApiKeys
from prover.openai.schemas import asked, asked_embeddings
from prover.openai.serving import Serving
from prover.openai.speakers import ServedLanguage
from prover.openai.store import EndpointStore, KeptBytes, Promise
from rollup import wire
from rollup.claim import Address, ClaimId
from rollup.documents.fields import read
from rollup.documents.receipts import ClaimStage, KeptReceipt, PromisedAnswer, ReceiptDocument
from rollup.receipt import CHAT, COMPLETIONS, EMBEDDINGS
from rollup.service.problem import Problem, documented
from rollup.types import Timestamp

NONCE = "touchstone-nonce"
"""The header in which a caller may give a nonce of its own."""

Standing = Callable[[ClaimId], Mapping[str, Any] | None]
"""What a sequencer says of a claim (``state``, ``final_after``); None if it can't be asked or does not know it."""


@dataclass(frozen=True)
class EndpointParts:
    """What the routes stand on. ``account``: who signs; ``now``: L1's time; ``begun``: when this process began."""

    languages: Sequence[ServedLanguage]
    keys: ApiKeys
    store: EndpointStore
    serving: Serving
    standing: Standing
    account: Address
    now: Callable[[], Timestamp]
    begun: int

    def language(self, name: str, endpoint: str | None = None) -> ServedLanguage:
        """The one that a name means at an endpoint (None: at any). Raises Problem 404 for a name that is none."""
        for one in self.languages:
            if one.serves(name, endpoint):
                return one
        known = ", ".join(one.name for one in self.languages if one.serves(one.name, endpoint)) or "none"
        kind = "model of embeddings" if endpoint == EMBEDDINGS else "language model"
        raise Problem(
            404,
            "no-model",
            "No such model",
            f"no {kind} {name[:80]!r} is served here; there are: {known}",
            param="model",
            code="model_not_found",
        )


def openai_routes(parts: EndpointParts) -> APIRouter:
    routes = APIRouter(prefix=PREFIX, tags=["openai"], include_in_schema=False)

    async def taken(request: Request, begin: Callable[[bytes, str | None], Answering]) -> tuple[Any, Still]:
        """(the request as ``begin`` takes it, from its body and the nonce in its header; whether its key is still good)."""
        key = parts.keys.of(request.headers.get("authorization"))
        parts.keys.take(key)
        body, named = await request.body(), request.headers.get(NONCE)

        def good() -> None:
            if not parts.keys.good(key):
                raise Problem(401, "unauthorized", "The key was revoked", "the API key was revoked meanwhile")

        answering = await parts.serving.run(lambda: begin(body, named))
        parts.keys.charge(key, answering.count)
        return answering, good

    async def text(endpoint: str, request: Request) -> Response:
        def begin(body: bytes, named: str | None) -> TextAnswers:
            what = asked(endpoint, body)
            return TextAnswers.of(what, body, parts.language(what.model, endpoint), named, parts.now())

        answering, good = await taken(request, begin)
        serve = parts.serving.stream if answering.what.stream else parts.serving.whole
        return await serve(answering, good)

    @routes.post("/chat/completions")
    async def chat(request: Request) -> Response:
        return await text(CHAT, request)

    @routes.post("/completions")
    async def completions(request: Request) -> Response:
        return await text(COMPLETIONS, request)

    @routes.post("/embeddings")
    async def embeddings(request: Request) -> Response:
        def begin(body: bytes, named: str | None) -> EmbeddingAnswers:
            what = asked_embeddings(body)
            return EmbeddingAnswers.of(what, body, parts.language(what.model, EMBEDDINGS), named, parts.now())

        return await parts.serving.embeddings(*await taken(request, begin))

    @routes.get("/models")
    async def models(request: Request) -> dict[str, Any]:
        parts.keys.take(parts.keys.of(request.headers.get("authorization")))
        return {"object": "list", "data": [_listed(parts, one) for one in parts.languages]}

    @routes.get("/models/{model}")
    async def model(model: str, request: Request) -> dict[str, Any]:
        parts.keys.take(parts.keys.of(request.headers.get("authorization")))
        return _listed(parts, parts.language(model))

    return routes


def _listed(parts: EndpointParts, one: ServedLanguage) -> dict[str, Any]:
    programs = [
        {"id": wire.hex_of(model.program.id), "positions": model.program.header.inputs[0].shape[0], "for": purpose}
        for purpose, models in (("text", one.speaking.models), (EMBEDDINGS, one.embedding.models))
        for model in models
    ]
    return {
        "id": one.name,
        "object": "model",
        "created": parts.begun,
        "owned_by": parts.account,
        "programs": programs,
        "tokenizer_sha256": wire.hex_of(one.texts.tokenizer_hash),
        "template_sha256": wire.hex_of(one.texts.template_hash(CHAT)),
    }


def receipt_routes(parts: EndpointParts) -> APIRouter:
    routes = APIRouter(prefix="/v1/receipts", tags=["receipts"])

    def found(receipt: str) -> tuple[bytes, KeptBytes]:
        name = wire.root_of(receipt, "the receipt's id")
        kept = parts.store.kept(name)
        if kept is None:
            raise Problem(404, "no-receipt", "No such receipt", "no receipt of this id was signed here")
        return name, kept

    @routes.get(
        "/{receipt}", operation_id="receipt", summary="A receipt, and what became of it", responses=documented(404)
    )
    def one(receipt: str) -> KeptReceipt:
        name, kept = found(receipt)
        document = read(ReceiptDocument, json.loads(kept.document))
        claims = [_promised(one, parts.standing) for one in parts.store.promises(name)]
        return KeptReceipt(receipt=document, kept_until=kept.kept_until, claims=claims)

    @routes.get(
        "/{receipt}/request",
        operation_id="receiptRequest",
        summary="The request's bytes",
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {}}}, **documented(404)},
    )
    def request(receipt: str) -> Response:
        return _bytes(found(receipt)[1].request)

    @routes.get(
        "/{receipt}/response",
        operation_id="receiptResponse",
        summary="The answer's bytes, without the receipt",
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {}}}, **documented(404)},
    )
    def response(receipt: str) -> Response:
        return _bytes(found(receipt)[1].response)

    return routes


def _bytes(data: bytes | None) -> Response:
    if data is None:
        raise Problem(404, "gone", "No longer kept", "the time for which these bytes are kept is over")
    return Response(data, media_type="application/octet-stream")


def _promised(one: Promise, standing: Standing) -> PromisedAnswer:
    said = standing(one.claim) if one.claim is not None and one.submitted else None
    own: ClaimStage = "promised" if one.claim is None else "pending" if one.submitted else "signed"
    state: ClaimStage = own if said is None else said["state"]
    return PromisedAnswer(
        index=one.number,
        claim_id=one.claim,
        state=state,
        final_after=None if said is None else said["final_after"],
        saturated=one.saturated,
        saturated_inside=one.inside,
    )
