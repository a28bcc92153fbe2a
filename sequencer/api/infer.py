"""Inferences: a prover runs the model and signs, and its claim is handed in like any other."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from rollup.documents.claims import SignedClaim
from rollup.documents.fields import read
from rollup.documents.inference import InferAnswer, InferRequest
from rollup.form.encoding import decode_header
from rollup.form.interface import decode_interface
from rollup.service.problem import Problem, documented
from sequencer.api import parts as shared
from sequencer.api.idempotency import Halfway, Idempotency, IdempotencyKey
from sequencer.api.parts import Parts
from sequencer.states import OfferedModel


def infer_routes(parts: Parts, idempotency: Idempotency) -> APIRouter:
    routes = shared.router("inference")

    @routes.post(
        "/infer",
        status_code=201,
        response_model=InferAnswer,
        operation_id="infer",
        summary="Run a model, and claim what came out",
        description=(
            "A prover runs the model and signs the claim; the answer holds as soon as the claim is final. 422: the model "
            "does not take these inputs. 503: no prover runs just now."
        ),
        responses=documented(409, 502),
    )
    async def infer(asked: InferRequest, request: Request, idempotency_key: IdempotencyKey = None) -> Response:
        async def work(noted: bytes | None, note: Halfway) -> tuple[int, bytes]:
            if noted is None:
                model = await run_in_threadpool(parts.model, asked.model)
                noted = await _inferred(parts, model, asked)
                # The signed claim is noted first: whoever goes on after a crash hands in the same one, not a second.
                await note(noted)
            kept = json.loads(noted)
            accepted = await run_in_threadpool(parts.intake.submit, read(SignedClaim, kept["posted"]).value)
            answer = InferAnswer(
                claim_id=accepted.claim_id,
                outputs=kept["outputs"],
                clamped=kept["clamped"],
                saturated=kept["saturated"],
                saturated_inside=kept["saturated_inside"],
                state=accepted.state.value,
            )
            return 201, answer.model_dump_json().encode()

        return await idempotency.answer(request, idempotency_key, await request.body(), work)

    return routes


async def _inferred(parts: Parts, model: OfferedModel, asked: InferRequest) -> bytes:
    """The signed claim and the outputs, as they are noted."""
    if model.retired:
        raise Problem(
            422,
            "retired",
            "The model is retired",
            f"the model {model.name} is offered no more; GET /v1/models lists all",
        )
    if parts.prover is None:
        raise Problem(
            503, "prover", "No prover", "nobody runs inferences here; run the model yourself and POST /v1/claims"
        )
    header = decode_header(model.header)
    interface = decode_interface(model.interface, header)
    found = await parts.prover.infer(model.id, header, interface, asked.inputs, asked.clamp)
    kept = {
        "posted": SignedClaim.of(found.posted).model_dump(),
        "outputs": found.outputs,
        "clamped": found.clamped,
        "saturated": found.saturated,
        "saturated_inside": found.saturated_inside,
    }
    return json.dumps(kept).encode()
