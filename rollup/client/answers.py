"""What an answer holds, or why there is nothing in it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from rollup.errors import BadAnswer, ClientError
from rollup.form.program import parse_json
from rollup.http import HttpAnswer, Request

_SHOWN = 300


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


def parse(body: bytes, what: str) -> Any:
    """JSON of a stranger: its nesting is bounded before anything is built. Raises BadAnswer."""
    try:
        return parse_json(body.decode())
    except (ValueError, RecursionError) as error:
        reason = shown(str(error))
        raise BadAnswer(f"{what} was answered with what is no JSON ({reason}); check the URL and the service") from None


def content(request: Request, answer: HttpAnswer) -> Any:
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
