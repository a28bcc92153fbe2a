"""Errors as OpenAI's clients know them: whatever goes wrong below ``/openai/v1`` takes that shape on its way out."""

from __future__ import annotations

import json
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollup.service.problem import MEDIA_TYPE, URN, Problem

PREFIX = "/openai/v1"

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "invalid_request_error", 429: "rate_limit_error"}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded", 503: "overloaded"}


def status_of(status: int) -> int:
    """OpenAI says 400 of whatever is wrong with a request's content."""
    return 400 if status == 422 else status


def error_of(problem: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's error object for a problem document."""
    status = int(problem.get("status", 500))
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    code = problem.get("code") or _CODES.get(status) or str(problem.get("type", "")).removeprefix(URN) or None
    return {"error": {"message": problem.get("detail"), "type": kind, "param": problem.get("param"), "code": code}}


def error_event(problem: Problem) -> dict[str, Any]:
    """What a stream says when it ends early."""
    return error_of(problem.document())


class OpenAiErrors:
    """Middleware, the outermost: problem documents below ``PREFIX`` become OpenAI's errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def translated(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_problem(message):
                start = message
                return
            if start is None:
                await send(message)
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                await _send(start, body, send)

        await self._app(scope, receive, translated)


def _is_problem(message: Message) -> bool:
    return any(name == b"content-type" and value == MEDIA_TYPE.encode() for name, value in message.get("headers", []))


async def _send(start: Message, body: bytes, send: Send) -> None:
    found = json.dumps(error_of(json.loads(body))).encode()
    replaced = {b"content-type": b"application/json", b"content-length": str(len(found)).encode()}
    headers = [(name, replaced.get(name, value)) for name, value in start.get("headers", [])]
    await send({**start, "status": status_of(start["status"]), "headers": headers})
    await send({"type": "http.response.body", "body": found})
