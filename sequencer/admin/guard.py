"""Nobody gets past this without a token of the right role, and nothing is done that the audit log does not know.

A route names its role; who has none is refused before anything of the request but its head was read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

from fastapi import APIRouter, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from rollup.errors import TouchstoneError
from rollup.service.logs import logger
from rollup.service.problem import Problem, problem_of
from rollup.types import Timestamp
from sequencer.admin.tokens import Actor, Role, RoleTokens

ROLE = "x-role"
"""Where a route says in the OpenAPI which role it needs at least."""

SHOWN = 600
"""Characters of a request's body or an error that the audit log keeps."""

NOBODY = "nobody"

_log = logger("touchstone.admin")


class ActionOutcome:
    """How an action ended, in the audit log. What has ``begun`` and nothing else was cut off: the process was killed."""

    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"


class AuditTrail(Protocol):
    """Where actions are written, one row each time: nothing is ever changed there."""

    def write(
        self, at: Timestamp, role: str, actor: str, action: str, detail: Mapping[str, Any], outcome: str
    ) -> object: ...


@dataclass
class Allowance:
    """How many refusals of strangers are written: who has no token must not be able to fill the disk."""

    burst: float = 60.0
    per_second: float = 1 / 60
    clock: Callable[[], float] = time.monotonic
    left_out: int = 0
    _left: float = field(init=False)
    _at: float = field(init=False)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._left, self._at = self.burst, self.clock()

    def take(self) -> int | None:
        """How many were left out since the last one that was written; None if this one is left out, too."""
        with self._lock:
            now = self.clock()
            self._left = min(self.burst, self._left + (now - self._at) * self.per_second)
            self._at = now
            if self._left < 1:
                self.left_out += 1
                return None
            self._left -= 1
            left_out, self.left_out = self.left_out, 0
            return left_out


@dataclass(frozen=True)
class TokenGuard:
    """Knows the tokens, and writes down what is done and what is refused. ``now``: the machine's time."""

    tokens: RoleTokens
    audit: AuditTrail
    strangers: Allowance = field(default_factory=Allowance)
    now: Callable[[], float] = time.time

    def admit(self, request: Request, needed: Role) -> Actor:
        """Who asks; raises Problem 401 for nobody, 403 for somebody whose role is too low. Both are written down."""
        header = request.headers.get("authorization")
        scheme, _, secret = (header or "").partition(" ")
        known = scheme.lower() == "bearer" and self.tokens.actor(secret.strip())
        if not known:
            self._stranger(request, "no token" if header is None else "a token that is nobody's")
            raise Problem(
                401,
                "unauthorized",
                "Who are you?",
                "the admin API asks for a token; send it as `Authorization: Bearer ...`"
                if header is None
                else "the token is nobody's; send one that this server was started with as `Authorization: Bearer ...`",
                {"www-authenticate": 'Bearer realm="touchstone admin"'},
            )
        if known.role < needed:
            why = f"{_path(request)} needs the role {needed.word}, the token has {known.role.word}; use another token"
            self.write(known, request, ActionOutcome.REFUSED, {"why": why})
            raise Problem(403, "forbidden", "Not with this role", why)
        return known

    def write(self, actor: Actor | None, request: Request, outcome: str, detail: Mapping[str, Any]) -> None:
        """``actor`` None: nobody that is known."""
        role, name = (actor.role.word, str(actor)) if actor else (NOBODY, NOBODY)
        facts = {**_facts(request), **detail}
        self.audit.write(Timestamp(int(self.now())), role, name, _action(request), facts, outcome)

    def _stranger(self, request: Request, why: str) -> None:
        left_out = self.strangers.take()
        _log.warning("refused", action=_action(request), caller=_caller(request), why=why)
        if left_out is not None:
            skipped = {"not_written": left_out} if left_out else {}
            self.write(None, request, ActionOutcome.REFUSED, {"why": why, **skipped})


class GuardedRoute(APIRoute):
    """A route that can't be made without a role."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.role = Role.of((self.openapi_extra or {}).get(ROLE, ""))

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            guard: TokenGuard = request.app.state.guard
            actor = await run_in_threadpool(guard.admit, request, self.role)
            if request.method in ("GET", "HEAD"):
                return await handle(request)
            return await _written(guard, actor, request, handle)

        return guarded


async def _written(
    guard: TokenGuard, actor: Actor, request: Request, handle: Callable[[Request], Coroutine[Any, Any, Response]]
) -> Response:
    """Act, written down before and after: if the log can't be written, nothing is done."""
    detail: dict[str, Any] = {}
    if "json" in request.headers.get("content-type", ""):
        detail["body"] = _cut((await request.body()).decode("utf-8", "backslashreplace"))
    await run_in_threadpool(guard.write, actor, request, ActionOutcome.BEGUN, detail)
    try:
        response = await handle(request)
    except BaseException as error:
        await run_in_threadpool(_finish, guard, actor, request, *_ended(error))
        raise
    notes: dict[str, Any] = getattr(request.state, "notes", {})
    await run_in_threadpool(_finish, guard, actor, request, ActionOutcome.DONE, notes)
    _log.info("done", action=_action(request), actor=str(actor), **notes)
    return response


def _finish(guard: TokenGuard, actor: Actor, request: Request, outcome: str, detail: Mapping[str, Any]) -> None:
    """Write how an action ended. It can't be undone where that fails, and whoever asked is to know what became of it; the
    log then has its beginning.
    """
    try:
        guard.write(actor, request, outcome, detail)
    except TouchstoneError as error:
        _log.error(
            "the end of an action is not in the audit log", action=_action(request), outcome=outcome, error=str(error)
        )


def _ended(error: BaseException) -> tuple[str, dict[str, Any]]:
    if isinstance(error, RequestValidationError):
        return ActionOutcome.REFUSED, {"why": "the request is malformed"}
    if isinstance(error, TouchstoneError):
        # As whoever asked reads it: without what an endpoint's address may hold.
        problem = problem_of(error)
        return ActionOutcome.REFUSED if problem.status < 500 else ActionOutcome.FAILED, {"why": _cut(problem.detail)}
    return ActionOutcome.FAILED, {"why": f"{type(error).__name__}; see the server's log"}


def note(request: Request, **facts: Any) -> None:
    """What the audit log is to keep of an action that succeeds."""
    request.state.notes = {**getattr(request.state, "notes", {}), **facts}


def needs(role: Role) -> dict[str, Any]:
    """What a route gives as ``openapi_extra``."""
    return {ROLE: role.word}


def router(tag: str) -> APIRouter:
    """A router whose routes are all guarded."""
    bearer = HTTPBearer(auto_error=False, description="A token of the role read, operate or own.")
    return APIRouter(prefix="/admin", tags=[tag], route_class=GuardedRoute, dependencies=[Security(bearer)])


def _action(request: Request) -> str:
    return f"{request.method} {_path(request)}"


def _path(request: Request) -> str:
    return _cut(request.url.path)


def _facts(request: Request) -> dict[str, Any]:
    query = {"query": _cut(request.url.query)} if request.url.query else {}
    return {"caller": _caller(request), **query}


def _caller(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."
