"""The prover's HTTP: an inference for whoever has the token, traces by content for everybody."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import FastAPI, Header
from pydantic import ConfigDict

from prover.claims import MadeClaim
from prover.service.archive import Archive
from prover.service.numbers import list_of
from prover.service.traces import trace_routes
from prover.service.worker import InferenceWorker, LoadedModel
from rollup.documents.claims import GroupRequest, SignedClaim, SignedGroup
from rollup.documents.inference import AnswerRequest, InferRequest, SignedInference
from rollup.documents.models import HeldModel, HeldModels, TensorView, policy_name
from rollup.service.health import Health
from rollup.service.problem import Problem, documented
from rollup.service.web import WebLimits, create_app
from rollup.types import ModelId, Timestamp

DESCRIPTION = (
    "Runs programs, signs claims about what comes out, and publishes the traces that its claims commit to, so that whoever "
    "checks them finds a difference without asking the chain. Byte strings are 0x hex, or raw where the answer is "
    "application/octet-stream."
)


class ProverRequest(InferRequest):
    """What a sequencer asks, and nothing beside it."""

    model_config = ConfigDict(extra="forbid")


def prover_app(
    worker: InferenceWorker, archive: Archive, health: Health, token: str | None, limits: WebLimits | None = None
) -> FastAPI:
    """The app. Without a ``token`` nobody may ask for an inference."""
    app = create_app(
        "Touchstone prover",
        DESCRIPTION,
        health,
        limits,
        tags=[
            {"name": "inference", "description": "For the sequencer: needs the bearer token."},
            {"name": "traces", "description": "For whoever checks or disputes a claim."},
        ],
    )

    @app.post("/v1/infer", tags=["inference"], summary="Run a model and sign a claim", responses=documented(401, 404))
    def infer(
        request: ProverRequest,
        authorization: Annotated[str | None, Header(description="Bearer and the token.")] = None,
    ) -> SignedInference:
        """Nothing is posted: the answer holds what `POST /v1/claims` of a sequencer takes."""
        authorize(authorization, token)
        held, made = worker.infer(request.model, request.inputs, request.clamp)
        archive.keep(made)
        return _signed(held, made)

    @app.post(
        "/v1/answer",
        tags=["inference"],
        summary="Sign a claim that answers a request on L1",
        responses=documented(401, 404),
    )
    def answer(
        request: AnswerRequest,
        authorization: Annotated[str | None, Header(description="Bearer and the token.")] = None,
    ) -> SignedInference:
        """As `POST /v1/infer`, on the bytes that the request names: nothing is quantised or cut."""
        authorize(authorization, token)
        held, made = worker.answer(
            ModelId(request.model_id),
            request.inputs,
            request.request_id,
            int(request.nonce),
            Timestamp(request.valid_until),
        )
        archive.keep(made)
        return _signed(held, made)

    @app.post("/v1/groups", tags=["inference"], summary="Sign for a group of claims", responses=documented(401))
    def group(
        request: GroupRequest,
        authorization: Annotated[str | None, Header(description="Bearer and the token.")] = None,
    ) -> SignedGroup:
        """Claims that were signed here before, so that L1 takes them together."""
        authorize(authorization, token)
        return SignedGroup(signature=worker.sign_group(request.value))

    @app.get("/v1/models", tags=["inference"], summary="The models that are held ready")
    def models() -> HeldModels:
        return HeldModels(claimant=worker.account, models=[listed(held) for held in worker.models])

    app.include_router(trace_routes(archive, worker.model))
    return app


def _signed(held: LoadedModel, made: MadeClaim) -> SignedInference:
    return SignedInference(
        claim_id=made.claim_id,
        posted=SignedClaim.of(made.posted),
        outputs=[list_of(array) for array in made.outputs(held.model)],
        clamped=made.clamped,
        saturated=made.saturated,
        saturated_inside=made.saturated_inside,
    )


def authorize(authorization: str | None, token: str | None) -> None:
    """Raises Problem 401 unless the header carries the token, in time that says nothing of how much of it was right."""
    scheme, _, given = (authorization or "").partition(" ")
    right = hmac.compare_digest(given.strip().encode(), (token or "").encode())
    if not token or scheme.lower() != "bearer" or not right:
        detail = (
            "send the prover's bearer token"
            if token
            else "this prover was started without a token and infers for nobody"
        )
        raise Problem(401, "unauthorized", "Not allowed", detail, {"www-authenticate": "Bearer"})


def listed(held: LoadedModel) -> HeldModel:
    """A model in the API's words."""
    header, interface = held.model.program.header, held.model.program.interface
    return HeldModel(
        id=held.id,
        name=held.name,
        inputs=TensorView.inputs_of(header, interface),
        outputs=TensorView.outputs_of(header, interface),
        policy=policy_name(header.policy),
    )
