"""The prover's HTTP: an inference for whoever has the token, traces by content for everybody."""

from __future__ import annotations

import hmac
from typing import Annotated, Any

from fastapi import FastAPI, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from prover.model import Model
from prover.service.archive import Archive
from prover.service.numbers import list_of
from prover.service.worker import Held, Worker
from rollup.encoding import TensorType, TracePolicy
from rollup.errors import ClaimError
from rollup.game.position import descendant
from rollup.merkle import depth_of
from rollup.service.health import Health
from rollup.service.problem import Problem, documented
from rollup.service.web import WebLimits, create_app
from rollup.types import LEAF_BYTES, Gindex, Root
from rollup.wire import hex_of, posted_json, root_of

MAX_LEVELS = 8
"""Levels of a tree in one answer: 8 KiB."""

MAX_INPUTS = 256
CONTENT = {"cache-control": "public, max-age=31536000, immutable"}
"""What is asked for by its hash never changes."""

DESCRIPTION = (
    "Runs programs, signs claims about what comes out, and publishes the traces that its claims commit to, so that whoever "
    "checks them finds a difference without asking the chain. Byte strings are 0x hex, or raw where the answer is "
    "application/octet-stream."
)
POLICIES = {TracePolicy.WITH_CLAIM: "with claim", TracePolicy.ON_DISPUTE: "on dispute"}
_EXAMPLE = "0x" + "ab" * 32

RootText = Annotated[str, Path(description="A trace root, 32 bytes in hex.", examples=[_EXAMPLE], max_length=66)]
Position = Annotated[
    int, Path(description="A node by its generalised index: the root is 1, the children of g are 2g and 2g + 1.", ge=1)
]
Number = Annotated[int, Path(ge=0)]
Levels = Annotated[int, Query(ge=1, le=MAX_LEVELS, description="How far below the node.")]


class InferRequest(BaseModel):
    """A model by name or id, and one nested list of numbers per input of its program."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"model": "digits", "inputs": [[[[0.0], [0.25]]]]}]}
    )

    model: str = Field(min_length=1, max_length=200)
    inputs: list[Any] = Field(max_length=MAX_INPUTS)


class Inferred(BaseModel):
    """``posted``: the signed claim as a sequencer takes it; ``outputs``: one nested list per output."""

    claim_id: str
    posted: dict[str, Any]
    outputs: list[Any]


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


class Described(BaseModel):
    """``values``: how many values the trace has; value v stands at position 2^trace_depth + v."""

    claim_ids: list[str]
    model_id: str
    trace_depth: int
    tensor_depth: int
    values: int


_BINARY: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
        **documented(404),
    },
}


def prover_app(
    worker: Worker, archive: Archive, health: Health, token: str | None, limits: WebLimits | None = None
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
        held, made = worker.infer(request.model, request.inputs)
        archive.keep(made)
        outputs = [list_of(array) for array in made.outputs(held.model)]
        return Inferred(claim_id=hex_of(made.claim_id), posted=posted_json(made.posted), outputs=outputs)

    @app.get("/v1/models", tags=["inference"], summary="The models that are held ready")
    def models() -> Models:
        return Models(models=[listed(held) for held in worker.models])

    @app.get("/v1/trace/{root}", tags=["traces"], summary="What a trace is", responses=documented(404))
    def trace(root: RootText) -> Described:
        known = archive.known(_root(root))
        model = worker.model(known.model_id)
        if model is None:
            raise _nothing(f"the model of trace {root} is not held here; its trace can't be derived")
        header = model.program.header
        return Described(
            claim_ids=[hex_of(claim) for claim in known.claims],
            model_id=hex_of(known.model_id),
            trace_depth=header.trace_depth,
            tensor_depth=header.tensor_depth,
            values=header.values,
        )

    @app.get("/v1/trace/{root}/children/{gindex}", tags=["traces"], summary="Descendants of a node", **_BINARY)
    def children(root: RootText, gindex: Position, levels: Levels = 1) -> Response:
        """The 2^levels nodes so many levels below, 32 bytes each, from left to right."""
        with archive.open(_root(root)) as trace:
            left = trace.tree.depth - depth_of(Gindex(gindex))
            if levels > left:
                raise _nothing(
                    f"the trace's tree has {max(left, 0)} levels below node {str(gindex)[:40]}, not {levels}; ask for fewer"
                )
            nodes = [trace.tree.node(descendant(Gindex(gindex), levels, j)) for j in range(1 << levels)]
        return _content(b"".join(nodes))

    @app.get("/v1/trace/{root}/leaves/{leaf}", tags=["traces"], summary="The bytes of a leaf", **_BINARY)
    def leaves(root: RootText, leaf: Number) -> Response:
        """1,024 bytes of a value, by the leaf's number among all leaves of the trace."""
        with archive.open(_root(root)) as trace:
            if leaf >> trace.tree.depth:
                raise _nothing(f"the trace has leaves 0 to {(1 << trace.tree.depth) - 1}, not {str(leaf)[:40]}")
            data = trace.tree.leaf_bytes(leaf)
        assert len(data) == LEAF_BYTES
        return _content(data)

    @app.get("/v1/trace/{root}/values/{value}", tags=["traces"], summary="A value of the trace", **_BINARY)
    def values(root: RootText, value: Number) -> Response:
        """Row-major little-endian integers of the input or of the op's output, without padding."""
        with archive.open(_root(root)) as trace:
            if value >= len(trace.roots):
                raise _nothing(f"the trace has values 0 to {len(trace.roots) - 1}, not {str(value)[:40]}")
            return _content(trace.value_bytes(value))

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


def listed(held: Held) -> Listed:
    """A model in the API's words."""
    header = held.model.program.header
    return Listed(
        id=hex_of(held.id),
        name=held.name,
        inputs=_tensors(held.model, "inputs", header.inputs),
        outputs=_tensors(held.model, "outputs", tuple(tensor for _, tensor in header.outputs)),
        policy=POLICIES[header.policy],
    )


def _tensors(model: Model, what: str, tensors: tuple[TensorType, ...]) -> list[Tensor]:
    described = model.program.meta.get(what, [])
    found = []
    for number, tensor in enumerate(tensors):
        own = described[number] if number < len(described) else {}
        dtype = "float64" if tensor.scale else tensor.dtype.numpy.name
        found.append(
            Tensor(
                name=str(own.get("name", f"{what[:-1]} {number}")),
                shape=list(tensor.shape),
                dtype=str(own.get("dtype", dtype)),
                scale=tensor.scale,
            )
        )
    return found


def _root(text: str) -> Root:
    try:
        return root_of(text if text.startswith("0x") else f"0x{text}", "the trace root")
    except ClaimError as error:
        raise _nothing(str(error)) from None


def _nothing(detail: str) -> Problem:
    return Problem(404, "no-trace", "Nothing there", detail)


def _content(data: bytes) -> Response:
    return Response(data, media_type="application/octet-stream", headers=CONTENT)
