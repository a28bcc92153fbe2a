"""The prover's HTTP: an inference for whoever has the token, traces by content for everybody."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Header
from pydantic import BaseModel, ConfigDict, Field

from prover.service.archive import Archive
from prover.service.numbers import list_of
from prover.service.traces import trace_routes
from prover.service.worker import HeldModel, InferenceWorker
from rollup.form.encoding import TensorType, TracePolicy
from rollup.form.interface import Named
from rollup.service.health import Health
from rollup.service.problem import Problem, documented
from rollup.service.web import WebLimits, create_app
from rollup.wire import hex_of, posted_json

MAX_INPUTS = 256

DESCRIPTION = (
    "Runs programs, signs claims about what comes out, and publishes the traces that its claims commit to, so that whoever "
    "checks them finds a difference without asking the chain. Byte strings are 0x hex, or raw where the answer is "
    "application/octet-stream."
)
POLICIES = {TracePolicy.WITH_CLAIM: "with claim", TracePolicy.ON_DISPUTE: "on dispute"}


class InferRequest(BaseModel):
    """A model by name or id, and one nested list of numbers per input of its program."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"model": "digits", "inputs": [[[[0.0], [0.25]]]]}]}
    )

    model: str = Field(min_length=1, max_length=200)
    inputs: list[Any] = Field(max_length=MAX_INPUTS)
    clamp: bool = Field(
        False, description="Cut numbers that an input's format can't hold to its ends, instead of refusing them."
    )


class Inferred(BaseModel):
    """``posted``: the signed claim as a sequencer takes it; ``outputs``: one nested list per output; ``clamped``: numbers of the
    inputs that were cut; ``saturated``, ``saturated_inside``: elements of the outputs, and of values inside, that lie at an end of
    their format.
    """

    claim_id: str
    posted: dict[str, Any]
    outputs: list[Any]
    clamped: int
    saturated: int
    saturated_inside: int


class Tensor(BaseModel):
    """``dtype``: in which numbers are given and returned; real = integer * 2^-scale."""

    name: str
    shape: list[int]
    dtype: str
    scale: int


class Listed(BaseModel):
    id: str
    name: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    policy: str


class Models(BaseModel):
    models: list[Listed]


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
        request: InferRequest,
        authorization: Annotated[str | None, Header(description="Bearer and the token.")] = None,
    ) -> Inferred:
        """Nothing is posted: the answer holds what `POST /v1/claims` of a sequencer takes."""
        authorize(authorization, token)
        held, made = worker.infer(request.model, request.inputs, request.clamp)
        archive.keep(made)
        outputs = [list_of(array) for array in made.outputs(held.model)]
        return Inferred(
            claim_id=hex_of(made.claim_id),
            posted=posted_json(made.posted),
            outputs=outputs,
            clamped=made.clamped,
            saturated=made.saturated,
            saturated_inside=made.saturated_inside,
        )

    @app.get("/v1/models", tags=["inference"], summary="The models that are held ready")
    def models() -> Models:
        return Models(models=[listed(held) for held in worker.models])

    app.include_router(trace_routes(archive, worker.model))
    return app


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


def listed(held: HeldModel) -> Listed:
    """A model in the API's words."""
    header, interface = held.model.program.header, held.model.program.interface
    return Listed(
        id=hex_of(held.id),
        name=held.name,
        inputs=_tensors(interface.inputs, header.inputs),
        outputs=_tensors(interface.outputs, [tensor for _, tensor in header.outputs]),
        policy=POLICIES[header.policy],
    )


def _tensors(ports: Sequence[Named], tensors: Sequence[TensorType]) -> list[Tensor]:
    return [
        Tensor(name=port.name, shape=list(tensor.shape), dtype=port.dtype, scale=tensor.scale)
        for port, tensor in zip(ports, tensors, strict=True)
    ]
