"""Models: what they take and give, and their programs."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from rollup.form.encoding import TensorType, decode_header
from rollup.form.interface import Named, decode_interface
from rollup.service.problem import Problem
from rollup.wire import hex_of
from sequencer.api import parts as shared
from sequencer.api.documents import Models, ModelView, TensorView
from sequencer.api.parts import Parts
from sequencer.states import Model

TAR = "application/x-tar"


def models_routes(parts: Parts) -> APIRouter:
    routes = shared.router("models")

    @routes.get("/models", operation_id="listModels", summary="All models, retired ones included")
    def list_models() -> Models:
        return Models(models=[_view(parts, model) for model in parts.store.models.all()])

    @routes.get("/models/{model}", operation_id="getModel", summary="One model, by id or name")
    def get_model(model: shared.ModelPath) -> ModelView:
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


def _view(parts: Parts, model: Model) -> ModelView:
    header = decode_header(model.header)
    interface = decode_interface(model.interface, header)
    return ModelView(
        id=hex_of(model.id),
        name=model.name,
        inputs=_tensors(header.inputs, interface.inputs),
        outputs=_tensors([tensor for _, tensor in header.outputs], interface.outputs),
        header=hex_of(model.header),
        interface=hex_of(model.interface),
        proof=[hex_of(sibling) for sibling in model.proof],
        policy=header.policy.name.lower().replace("_", " "),
        retired=model.retired,
        program=model.id in parts.programs,
    )


def _tensors(tensors: Sequence[TensorType], ports: Sequence[Named]) -> list[TensorView]:
    return [
        TensorView(
            name=port.name,
            shape=list(tensor.shape),
            dtype=port.dtype,
            integer=tensor.dtype.name.lower(),
            scale=tensor.scale,
        )
        for tensor, port in zip(tensors, ports, strict=True)
    ]
