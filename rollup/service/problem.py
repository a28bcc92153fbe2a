"""Errors as problem details (RFC 9457): what went wrong, in one sentence, and nothing of the inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from rollup.errors import (
    ChainError,
    ClaimError,
    ClientError,
    CommitmentError,
    ExecutionError,
    InexactMachine,
    LoweringError,
    MoveError,
    ProgramError,
    Reverted,
    ServiceError,
    TouchstoneError,
)
from rollup.redact import without_endpoints

MEDIA_TYPE = "application/problem+json"
URN = "urn:touchstone:problem:"

_KINDS: tuple[tuple[type[TouchstoneError], int, str, str], ...] = (
    (Reverted, 409, "refused-by-l1", "The contract refused"),
    (ChainError, 503, "chain", "L1 can't be asked"),
    (MoveError, 409, "move", "Not allowed now"),
    (ClaimError, 422, "claim", "The claim is not acceptable"),
    (CommitmentError, 422, "commitment", "The proof does not fit"),
    (ProgramError, 422, "program", "The program is not acceptable"),
    (LoweringError, 422, "lowering", "The model can't be lowered"),
    (InexactMachine, 503, "machine", "The machine can't run this"),
    (ExecutionError, 422, "execution", "The program can't run on this"),
    (ServiceError, 503, "service", "The service can't work now"),
    (ClientError, 502, "upstream", "Another service failed"),
    (TouchstoneError, 422, "request", "The request is not acceptable"),
)
"""Which status and slug each expected failure gets; the first that fits."""


class Problem(TouchstoneError):
    """An answer other than 2xx, to be raised anywhere below a route; ``extra`` are further members of the document."""

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.slug, self.title, self.detail = status, slug, title, detail
        self.headers = dict(headers or {})
        self.extra = extra

    def document(self) -> dict[str, Any]:
        """Members of the document, in JSON's types."""
        return {
            "type": URN + self.slug,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }

    def response(self) -> Response:
        # Escaped, so that half a surrogate pair which came in can go out again.
        body = json.dumps(self.document(), ensure_ascii=True, allow_nan=False, default=str)
        return Response(body, self.status, {"cache-control": "no-store", **self.headers}, media_type=MEDIA_TYPE)


def problem_of(error: TouchstoneError) -> Problem:
    """The problem behind an expected failure."""
    if isinstance(error, Problem):
        return error
    _, status, slug, title = next(row for row in _KINDS if isinstance(error, row[0]))
    headers = {"retry-after": "2"} if status == 503 else {}
    told = error.told if isinstance(error, ServiceError) else None
    return Problem(status, slug, title, told or without_endpoints(str(error)), headers)


def outward(error: Exception) -> str:
    """An error as strangers may read it, who ask how a service is; its log says the rest."""
    return problem_of(error).detail if isinstance(error, TouchstoneError) else type(error).__name__


def http_problem(status: int, detail: str | None = None, headers: Mapping[str, str] | None = None) -> Problem:
    """A problem that is no more than its status."""
    phrase = HTTPStatus(status).phrase
    return Problem(status, phrase.lower().replace(" ", "-"), phrase, detail or phrase, headers)


SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": [URN + "claim"]},
        "title": {"type": "string", "examples": ["The claim is not acceptable"]},
        "status": {"type": "integer", "examples": [422]},
        "detail": {
            "type": "string",
            "description": "What is wrong and what to do.",
            "examples": ["nonce 7 is used; sign with another"],
        },
    },
    "additionalProperties": True,
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries of the problems that a route answers with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}
