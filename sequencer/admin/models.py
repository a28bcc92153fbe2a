"""The models that the sequencer offers."""

from __future__ import annotations

import tempfile
from typing import IO, Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool

from rollup.archive import CHUNK_BYTES
from rollup.service.problem import Problem, documented
from rollup.types import ModelId, Root, Timestamp
from rollup.wire import hex_of
from sequencer.admin.deciding import decide
from sequencer.admin.documents import AddedModel, AdminModel, AdminModels
from sequencer.admin.guard import needs, note, router
from sequencer.admin.money import sent
from sequencer.admin.operator import Operator
from sequencer.admin.tokens import Role
from sequencer.states import OfferedModel

PATH = "/admin/models"
"""Where archives come in; they may be larger than any other body."""

TAR = "application/x-tar"
IN_MEMORY = 1 << 20

NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"
ID = r"^(0x[0-9a-f]{64}|[a-z0-9][a-z0-9._-]{0,62})$"

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A plain tar of the folder that the model was saved to: manifest.json and constants/.",
        "content": {TAR: {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _view(operator: Operator, model: OfferedModel, registered: bool = False) -> AdminModel:
    """``registered``: it is known to be, though what L1 said of it may not have been read yet."""
    return AdminModel(
        id=model.id,
        name=model.name,
        retired=model.retired,
        held=model.id in operator.programs,
        registered=registered or operator.store.l1.header(model.id) is not None,
        added_at=model.added_at,
    )


def _found(operator: Operator, word: str) -> OfferedModel:
    models = operator.store.models
    known = models.get(_id(word)) if word.startswith("0x") else models.named(word)
    if known is None:
        raise Problem(404, "unknown-model", "No such model", f"no model {word} is offered here; GET {PATH} lists all")
    return known


def _taken(operator: Operator, archive: IO[bytes], name: str, replace: bool) -> AddedModel:
    """Unpack, register and offer the program in an archive."""
    store, client = operator.store, operator.client
    program = operator.programs.take(iter(lambda: archive.read(CHUNK_BYTES), b""))
    if not replace:
        store.models.require_free(program.id, name)
    registration = decide(client, lambda: None if client.is_registered(program.id) else client.register(program))
    store.models.add(OfferedModel.of(program, name, Timestamp(int(operator.now()))), replace)
    return AddedModel(
        model=_view(operator, _found(operator, name), registered=True),
        registration=None if registration is None else sent(registration),
    )


def _switched(operator: Operator, word: str, retired: bool, request: Request) -> AdminModel:
    known = _found(operator, word)
    operator.store.models.retire(known.id, retired)
    note(request, model=hex_of(known.id))
    return _view(operator, _found(operator, hex_of(known.id)))


def offering(operator: Operator) -> APIRouter:
    """The routes."""
    routes = router("models")

    @routes.get("/models", summary="All models, retired ones included", openapi_extra=needs(Role.READ))
    def models() -> AdminModels:
        return AdminModels(models=[_view(operator, model) for model in operator.store.models.all()])

    @routes.post(
        "/models",
        status_code=201,
        summary="Offer a model: unpacked, audited, registered on L1",
        description=(
            "The same program again takes it back into service if it was retired. A name stands for one model, and a model has one name. "
            "With `replace` a name moves to a new version: the model that had it stays in service under its id, and under the name with "
            "the beginning of its id. And a model that has another name changes it."
        ),
        responses=documented(409),
        openapi_extra={**needs(Role.OWN), **BODY},
    )
    async def add(
        request: Request,
        name: Annotated[str, Query(pattern=NAME, examples=["digits"])],
        replace: Annotated[
            bool, Query(description="Take the name from the model that has it, or change this model's.")
        ] = False,
    ) -> AddedModel:
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as archive:
            async for piece in request.stream():
                await run_in_threadpool(archive.write, piece)
            archive.seek(0)
            added = await run_in_threadpool(_taken, operator, archive, name, replace)
        note(request, model=hex_of(added.model.id))
        return added

    @routes.post(
        "/models/{model}/retire",
        summary="Offer a model no more",
        description="New claims of it are refused; those that were taken are posted, its program stays to be fetched.",
        responses=documented(404),
        openapi_extra=needs(Role.OWN),
    )
    def retire(model: Annotated[str, Path(pattern=ID, description="Id or name.")], request: Request) -> AdminModel:
        return _switched(operator, model, True, request)

    @routes.post(
        "/models/{model}/restore",
        summary="Offer a model again that was retired",
        responses=documented(404),
        openapi_extra=needs(Role.OWN),
    )
    def restore(model: Annotated[str, Path(pattern=ID, description="Id or name.")], request: Request) -> AdminModel:
        return _switched(operator, model, False, request)

    return routes


def _id(word: str) -> ModelId:
    return Root(bytes.fromhex(word.removeprefix("0x")))
