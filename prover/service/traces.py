"""Traces by content over HTTP: whoever checks a claim finds a difference without asking the chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel

from prover.model import Model
from prover.service.archive import Archive
from rollup.errors import ClaimError
from rollup.game.position import descendant
from rollup.merkle import depth_of
from rollup.service.problem import Problem, documented
from rollup.types import LEAF_BYTES, Gindex, ModelId, Root
from rollup.wire import hex_of, root_of

MAX_LEVELS = 8
"""Levels of a tree in one answer: 8 KiB."""

CONTENT = {"cache-control": "public, max-age=31536000, immutable"}
"""What is asked for by its hash never changes."""

_EXAMPLE = "0x" + "ab" * 32

RootText = Annotated[str, Path(description="A trace root, 32 bytes in hex.", examples=[_EXAMPLE], max_length=66)]
Position = Annotated[
    int, Path(description="A node by its generalised index: the root is 1, the children of g are 2g and 2g + 1.", ge=1)
]
Number = Annotated[int, Path(ge=0)]
Levels = Annotated[int, Query(ge=1, le=MAX_LEVELS, description="How far below the node.")]


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


def trace_routes(archive: Archive, model_of: Callable[[ModelId], Model | None]) -> APIRouter:
    """``GET /v1/trace/{root}`` and below; ``model_of``: the model of an id, if it is held."""
    routes = APIRouter()

    @routes.get("/v1/trace/{root}", tags=["traces"], summary="What a trace is", responses=documented(404))
    def trace(root: RootText) -> Described:
        known = archive.known(_root(root))
        model = model_of(known.model_id)
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

    @routes.get("/v1/trace/{root}/children/{gindex}", tags=["traces"], summary="Descendants of a node", **_BINARY)
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

    @routes.get("/v1/trace/{root}/leaves/{leaf}", tags=["traces"], summary="The bytes of a leaf", **_BINARY)
    def leaves(root: RootText, leaf: Number) -> Response:
        """1,024 bytes of a value, by the leaf's number among all leaves of the trace."""
        with archive.open(_root(root)) as trace:
            if leaf >> trace.tree.depth:
                raise _nothing(f"the trace has leaves 0 to {(1 << trace.tree.depth) - 1}, not {str(leaf)[:40]}")
            data = trace.tree.leaf_bytes(leaf)
        assert len(data) == LEAF_BYTES
        return _content(data)

    @routes.get("/v1/trace/{root}/values/{value}", tags=["traces"], summary="A value of the trace", **_BINARY)
    def values(root: RootText, value: Number) -> Response:
        """Row-major little-endian integers of the input or of the op's output, without padding."""
        with archive.open(_root(root)) as trace:
            if value >= len(trace.roots):
                raise _nothing(f"the trace has values 0 to {len(trace.roots) - 1}, not {str(value)[:40]}")
            return _content(trace.value_bytes(value))

    return routes


def _root(text: str) -> Root:
    try:
        return root_of(text if text.startswith("0x") else f"0x{text}", "the trace root")
    except ClaimError as error:
        raise _nothing(str(error)) from None


def _nothing(detail: str) -> Problem:
    return Problem(404, "no-trace", "Nothing there", detail)


def _content(data: bytes | memoryview) -> Response:
    return Response(data, media_type="application/octet-stream", headers=CONTENT)
