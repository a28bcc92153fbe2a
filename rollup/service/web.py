"""The web app of a service: every error a problem document, every caller bounded, health and metrics on board."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollup.errors import TouchstoneError
from rollup.service.health import Health
from rollup.service.limits import BodyLimit, Concurrency, RateLimit, WebLimits
from rollup.service.logs import logger
from rollup.service.metrics import CONTENT_TYPE, counter, exposition, histogram
from rollup.service.problem import SCHEMA, Problem, documented, http_problem, problem_of
from rollup.service.server import Server, serve

__all__ = ["Problem", "Server", "Telemetry", "WebLimits", "create_app", "documented", "serve"]

REQUESTS = counter("http", "requests", "Requests answered", ["app", "method", "route", "status"])
DURATION = histogram("http", "request_seconds", "Time to answer a request", ["app", "method", "route"])

READY_SECONDS = 1.0
"""How long an answer of ``/readyz`` is kept, so that asking costs nothing."""

COMMON = (400, 408, 413, 422, 429, 500, 503)
"""Statuses of problems that any route may answer with."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = logger("touchstone.web")


def create_app(
    title: str,
    description: str,
    health: Health,
    limits: WebLimits | None = None,
    *,
    version: str = "1",
    tags: Sequence[dict[str, Any]] = (),
    clock: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """An app without routes of its own but ``/healthz``, ``/readyz``, ``/metrics`` and ``/openapi.json``.

    ``app.state.stopping`` is an event that is set when the server begins to stop: streams end then.
    """
    limits = limits or WebLimits()
    app = FastAPI(
        title=title,
        description=description,
        version=version,
        openapi_tags=[*tags, {"name": "service", "description": "For whoever watches over the service."}],
        # The interactive pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=documented(*COMMON),
    )
    app.state.stopping = threading.Event()
    app.state.limits = limits
    app.add_exception_handler(TouchstoneError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    # The last one added is the outermost.
    app.add_middleware(Concurrency, limits=limits)
    app.add_middleware(BodyLimit, limits=limits)
    app.add_middleware(RateLimit, limits=limits, clock=clock)
    app.add_middleware(Telemetry, name=title)
    _service_routes(app, health)
    app.openapi = lambda: _schema(app)  # type: ignore[method-assign]
    return app


def _schema(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = SCHEMA
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        app.openapi_schema = schema
    return app.openapi_schema


def _service_routes(app: FastAPI, health: Health) -> None:
    kept: list[tuple[float, dict[str, str]]] = []

    @app.get("/healthz", tags=["service"], operation_id="health", summary="The process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        tags=["service"],
        operation_id="ready",
        summary="The service can do its work",
        description="200 if every check is fine, else 503 with a sentence for each that is not.",
    )
    async def readyz() -> Response:
        now = time.monotonic()
        if not kept or now - kept[-1][0] > READY_SECONDS:
            kept[:] = [(now, await run_in_threadpool(health.problems))]
        problems = kept[-1][1]
        if problems:
            detail = "; ".join(f"{name}: {sentence}" for name, sentence in problems.items())
            raise Problem(503, "not-ready", "Not ready", detail, {"retry-after": "2"}, checks=problems)
        return JSONResponse({"status": "ready", "checks": dict.fromkeys(health.names, "ok")})

    @app.get(
        "/metrics",
        tags=["service"],
        operation_id="metrics",
        summary="Prometheus metrics",
        response_class=PlainTextResponse,
    )
    def metrics() -> Response:
        return Response(exposition(), media_type=CONTENT_TYPE)


async def _expected(_: Request, error: Exception) -> Response:
    assert isinstance(error, TouchstoneError)
    problem = problem_of(error)
    if problem.status >= 500 and not isinstance(error, Problem):
        _log.warning("request failed", error=str(error))
    return problem.response()


async def _invalid(_: Request, error: Exception) -> Response:
    """What a caller sent is never sent back: it may be huge, no JSON, or a secret."""
    assert isinstance(error, RequestValidationError)
    errors = [
        {"at": ".".join(str(part)[:80] for part in one["loc"]), "message": str(one["msg"])[:300]}
        for one in error.errors()[:20]
    ]
    detail = "; ".join(f"{one['at']}: {one['message']}" for one in errors)
    return Problem(422, "validation", "The request does not fit", detail, errors=errors).response()


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {
        404: "there is nothing at this path; /openapi.json lists what there is",
        405: "the path does not take this method; /openapi.json lists what it takes",
    }
    detail = sentences.get(error.status_code) if error.detail in ("Not Found", "Method Not Allowed") else error.detail
    return http_problem(error.status_code, detail, error.headers).response()


class Telemetry:
    """Middleware, the outermost: counts and times requests, and turns what nobody expected into a bare 500."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app, self._name = app, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _hardened(message.get("headers", []))}
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            _log.error("request failed unexpectedly", method=scope["method"], path=scope["path"][:200], exc_info=error)
            if status:
                # Half an answer is out; the server closes the connection, so that nobody takes it for a whole one.
                raise
            problem = Problem(
                500, "internal", "Something went wrong here", "the service failed; its operator finds why in its log"
            )
            await problem.response()(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            REQUESTS.labels(self._name, method, route, str(status)).inc()
            DURATION.labels(self._name, method, route).observe(time.perf_counter() - begun)


def _hardened(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Answers are never guessed at, framed or run as a page, unless the route says otherwise."""
    names = {name.lower() for name, _ in headers}
    added = [(b"x-content-type-options", b"nosniff"), (b"content-security-policy", b"default-src 'none'")]
    return [*headers, *(one for one in added if one[0] not in names)]
