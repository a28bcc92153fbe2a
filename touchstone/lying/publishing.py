"""One trace on a port, true or false, with the routes of a prover: where a publishing liar shows what it committed to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prover.model import Model
from prover.service.archive import Archive, TraceSource
from prover.service.traces import trace_routes
from prover.trace import ExecutionTrace
from rollup.claim import ClaimId, PostedClaim
from rollup.errors import ClaimError
from rollup.service.health import Health
from rollup.service.web import create_app, serve
from rollup.types import ModelId


@contextmanager
def published(trace: ExecutionTrace, claim_id: ClaimId, posted: PostedClaim, port: int) -> Iterator[str]:
    """The address at which the trace of this claim can be read; raises ServiceError if the port is taken."""

    def derive(model_id: ModelId, inputs: bytes) -> ExecutionTrace:
        raise ClaimError("nothing but one trace is published here; ask its prover for others")

    archive = Archive(derive, trace_bytes=max(trace.memory, 1))
    archive.put(trace, TraceSource(claim_id, posted.claim.model_id, posted.inputs))
    model = Model(trace.executor.program)
    app = create_app("One trace", "The trace that one claim commits to.", Health())
    app.include_router(trace_routes(archive, lambda model_id: model if model_id == model.program.id else None))
    server = serve(app, "127.0.0.1", port).start()
    try:
        yield server.url
    finally:
        server.stop()
