"""What a model is made of, and the picture of its graph: made once for a model, by whoever put the service together."""

from __future__ import annotations

from threading import Lock

from cachetools import FIFOCache
from fastapi import APIRouter, Response

from rollup.documents.explorer import ModelAnatomy
from rollup.errors import ProgramError
from rollup.service.limits import busy
from rollup.service.problem import Problem
from rollup.types import ModelId
from sequencer.api import parts as shared
from sequencer.api.page import Portrait, Portray
from sequencer.api.parts import Parts
from sequencer.states import OfferedModel

SVG = "image/svg+xml"
KEPT = 64
"""Models whose anatomy is kept."""

DRAWN = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "cache-control": "public, max-age=86400, immutable",
}
"""Of a picture: it may style itself, and do nothing else."""


class Portraits:
    """One is made at a time: a large program takes seconds."""

    def __init__(self, parts: Parts, portray: Portray | None) -> None:
        self._parts, self._portray = parts, portray
        self._kept: FIFOCache[ModelId, Portrait] = FIFOCache(KEPT)
        self._lock = Lock()

    def of(self, model: OfferedModel) -> Portrait:
        """Raises Problem 404 if the program is not held here, 503 while another one's is made."""
        known = self._kept.get(model.id)
        if known is not None:
            return known
        if self._portray is None or model.id not in self._parts.programs:
            raise Problem(
                404,
                "no-anatomy",
                "Not known here",
                f"the program of {model.name} is not held here, or this service takes none apart; "
                "touchstone model show does it from the program's folder",
            )
        if not self._lock.acquire(blocking=False):
            raise busy("another model is being drawn")
        try:
            portrait = self._portray(self._parts.programs.get(model.id))
            self._kept[model.id] = portrait
            return portrait
        except ProgramError as error:
            raise Problem(404, "no-anatomy", "Not known here", str(error)) from None
        finally:
            self._lock.release()


def anatomy_routes(parts: Parts) -> APIRouter:
    routes = shared.router("models")
    portraits = Portraits(parts, parts.page.portray)

    @routes.get(
        "/models/{model}/anatomy",
        operation_id="getAnatomy",
        summary="What a model's program is made of",
        description="Sizes, the dearest proof's gas, and how close it is to the float model that it stands for.",
    )
    def get_anatomy(model: shared.ModelPath) -> ModelAnatomy:
        offered = parts.model(model)
        portrait = portraits.of(offered)
        registered = parts.store.l1.header(offered.id) is not None
        return ModelAnatomy(
            id=offered.id, registered=registered, picture=portrait.picture is not None, **portrait.figures
        )

    @routes.get(
        "/models/{model}/picture",
        operation_id="getPicture",
        summary="A model's graph, as SVG",
        response_class=Response,
        responses={200: {"content": {SVG: {"schema": {"type": "string"}}}}},
    )
    def get_picture(model: shared.ModelPath) -> Response:
        offered = parts.model(model)
        picture = portraits.of(offered).picture
        if picture is None:
            raise Problem(404, "no-picture", "No picture", f"the graph of {offered.name} can't be drawn here")
        return Response(picture, media_type=SVG, headers={**DRAWN, "etag": f'"{offered.id.hex()}"'})

    return routes
