"""One request and its whole answer, as values; and what bounds an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from rollup.errors import BadAnswer, ClientError
from rollup.form.program import parse_json

_SHOWN = 300


@dataclass(frozen=True)
class Bounds:
    """``bytes``: of an answer. ``seconds``: for one request, from its first to its last byte. ``attempts``: at most,
    counting the first, while connections are lost; ``busy_attempts``: while the service says that it is busy, or not ready
    yet. ``patience``: the longest pause between two of them, in seconds, whatever the server asks for.
    """

    bytes: int = 16 * 1024 * 1024
    seconds: float = 30.0
    attempts: int = 5
    busy_attempts: int = 12
    patience: float = 10.0


@dataclass(frozen=True)
class Request:
    """``path`` is below the base URL, ``key`` the Idempotency-Key that makes a POST safe to repeat."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        return headers if self.key is None else headers | {"Idempotency-Key": self.key}

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """A complete answer. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def base_url(url: str) -> str:
    """A service's URL without a slash at its end; raises ClientError for what is none."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 0) >= 0
        usable = usable and not parts.query and not parts.fragment
    except ValueError:
        usable = False
    if not usable:
        raise ClientError("that is no URL of a service; write it like http://127.0.0.1:8080")
    return url.rstrip("/")


def without_secrets(url: str) -> str:
    """A URL as errors show it: what names a user may be a key."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def parse(body: bytes, what: str) -> Any:
    """JSON of a stranger: its nesting is bounded before anything is built. Raises BadAnswer."""
    try:
        return parse_json(body.decode())
    except (ValueError, RecursionError) as error:
        reason = shown(str(error))
        raise BadAnswer(f"{what} was answered with what is no JSON ({reason}); check the URL and the service") from None


def content(request: Request, answer: Answer) -> Any:
    """The parsed body of a 2xx answer; raises ClientError with the server's words for any other, BadAnswer for no JSON."""
    if 200 <= answer.status < 300:
        return parse(answer.body, str(request))
    if 300 <= answer.status < 400:
        raise BadAnswer(
            f"{request} was answered with a redirect ({answer.status}), which is not followed; give the service's own URL",
            answer.status,
        )
    problem: Any = {}
    if answer.headers.get("content-type", "").split(";")[0].strip().endswith("json"):
        try:
            problem = parse(answer.body, str(request))
        except BadAnswer:
            problem = {}
    problem = problem if isinstance(problem, dict) else {}
    detail = problem.get("detail") or problem.get("title")
    said = shown(detail) if isinstance(detail, str) else "it gave no reason"
    raise ClientError(f"{request} was refused with {answer.status}: {said}", answer.status, problem)


def shown(text: str) -> str:
    """A stranger's words, fit to be printed: one line, no control characters, not too long."""
    line = "".join(character if character.isprintable() else " " for character in text[: 2 * _SHOWN])
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "..."
