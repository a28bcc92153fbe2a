"""What an operator turns: the batcher and the intake."""

from __future__ import annotations

from fastapi import APIRouter, Request

from sequencer.admin.documents import Controls, Flushed
from sequencer.admin.guard import needs, note, router
from sequencer.admin.observe import controls
from sequencer.admin.operator import Operator
from sequencer.admin.tokens import Role
from sequencer.states import Switch


def controlling(operator: Operator) -> APIRouter:
    """The routes. A switch that stands as it is asked to is no error: the answer says how all stand."""
    routes = router("turn")

    def turn(switch: Switch, on: bool) -> Controls:
        operator.turn(switch, on)
        return controls(operator)

    @routes.post("/batcher/start", summary="Post what waits, from now on", openapi_extra=needs(Role.OPERATE))
    def start() -> Controls:
        return turn(Switch.BATCHER_STOPPED, False)

    @routes.post(
        "/batcher/stop",
        summary="Post nothing more; claims are still taken",
        description="A batch that is on its way is not called back. Holds over restarts, until the batcher is started.",
        openapi_extra=needs(Role.OPERATE),
    )
    def stop() -> Controls:
        return turn(Switch.BATCHER_STOPPED, True)

    @routes.post(
        "/batcher/flush",
        summary="Post everything that waits, now",
        description="Also while the batcher is stopped. Answers when all of it is mined.",
        openapi_extra=needs(Role.OPERATE),
    )
    def flush(request: Request) -> Flushed:
        batches = len(operator.batcher.flush())
        note(request, batches=batches)
        return Flushed(batches=batches, **controls(operator).model_dump())

    @routes.post(
        "/intake/pause",
        summary="Take no new claims; what was taken is posted",
        description="Holds over restarts, until the intake is resumed.",
        openapi_extra=needs(Role.OPERATE),
    )
    def pause() -> Controls:
        return turn(Switch.INTAKE_PAUSED, True)

    @routes.post("/intake/resume", summary="Take claims again", openapi_extra=needs(Role.OPERATE))
    def resume() -> Controls:
        return turn(Switch.INTAKE_PAUSED, False)

    return routes
