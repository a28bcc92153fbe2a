"""Models: what they take and give, and their programs."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from rollup.documents.models import ModelDocument, ModelList, TensorView, policy_name
from rollup.form.encoding import decode_header
from rollup.form.interface import decode_interface
from rollup.service.problem import Problem
from sequencer.api import parts as shared
from sequencer.api.parts import Parts
from sequencer.states import OfferedModel

TAR = "application/x-tar"


def models_routes(parts: Parts) -> APIRouter:
    routes = shared.router("models")

    @routes.get("/models", operation_id="listModels", summary="All models, retired ones included")
    def list_models() -> ModelList:
        return ModelList(models=[_view(parts, model) for model in parts.store.models.all()])

    @routes.get("/models/{model}", operation_id="getModel", summary="One model, by id or name")
    def get_model(model: shared.ModelPath) -> ModelDocument:
        return _view(parts, parts.model(model))

    @routes.get(
        "/models/{model}/program",
        operation_id="getProgram",
        summary="The program, as a tar of its folder",
        description="Whoever fetches it computes its id and audits it: nobody has to believe who gave it.",
        response_class=StreamingResponse,
        responses={200: {"content": {TAR: {"schema": {"type": "string", "format": "binary"}}}}},
    )
    def get_program(model: shared.ModelPath) -> StreamingResponse:
        found = parts.model(model)
        if found.id not in parts.programs:
            raise Problem(
                404,
                "no-program",
                "Not held here",
                f"the program of {found.name} is not held here; ask its owner for it",
            )
        return StreamingResponse(
            parts.programs.pack(found.id),
            media_type=TAR,
            headers={
                "content-disposition": f'attachment; filename="{found.id.hex()}.tar"',
                "etag": f'"{found.id.hex()}"',
            },
        )

    return routes


def _view(parts: Parts, model: OfferedModel) -> ModelDocument:
    header = decode_header(model.header)
    interface = decode_interface(model.interface, header)
    return ModelDocument(
        id=model.id,
        name=model.name,
        inputs=TensorView.inputs_of(header, interface),
        outputs=TensorView.outputs_of(header, interface),
        header=model.header,
        interface=model.interface,
        proof=list(model.proof),
        policy=policy_name(header.policy),
        retired=model.retired,
        program=model.id in parts.programs,
    )
