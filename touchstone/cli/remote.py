"""Asking a service of ours over HTTP, for commands: an answer, or one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rollup.errors import ClientError, ServiceError
from rollup.form.program import parse_json
from rollup.http import Bounds, HttpAnswer, Request, TooSlow, ask, bearer
from rollup.redact import place_of

MOST_BYTES = 64 << 20
"""Longest answer that is read."""


class AnswerError(ServiceError):
    """A service did not answer, or said no; the sentence is its own where it gave one."""


@dataclass(frozen=True)
class Api:
    """``token`` goes to ``url`` and nowhere else. ``timeout``: seconds for a whole answer, or for each piece of what is streamed."""

    url: str
    timeout: float = 30.0
    token: str | None = None

    def __repr__(self) -> str:
        return f"Api({self.url!r})"

    def ask(
        self,
        method: str,
        route: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content: Iterable[bytes] | None = None,
        **parts: str,
    ) -> Any:
        """The JSON that the service answers. ``parts`` fill the route's braces; ``content`` is streamed as a tar.

        Raises AnswerError.
        """
        path = route.format(**{name: quote(part, safe="") for name, part in parts.items()})
        headers = bearer(self.token) | ({} if content is None else {"content-type": "application/x-tar"})
        given = {name: value for name, value in (query or {}).items() if value is not None}
        request = Request(method, self.url.rstrip("/") + path, given, json=body, content=content, headers=headers)
        try:
            return self._read(ask(request, Bounds(MOST_BYTES, self.timeout)))
        except TooSlow:
            raise AnswerError(
                f"{place_of(self.url)} did not answer within {self.timeout:g} s; it may still be at it: look before you repeat it"
            ) from None
        except ClientError as error:
            raise AnswerError(plain(error)) from None

    def _read(self, answer: HttpAnswer) -> Any:
        try:
            document = parse_json(answer.body.decode())
        except ValueError:
            document = None
        if 200 <= answer.status < 300 and document is not None:
            return document
        detail = document.get("detail") if isinstance(document, dict) else None
        if isinstance(detail, str):
            raise AnswerError(plain(detail))
        raise AnswerError(
            f"{place_of(self.url)} answered {answer.status} and nothing that can be read; check that it is the right service"
        )


def plain(text: object) -> str:
    """What a server said, for a terminal: control characters could move the cursor or change its title."""
    return "".join(
        character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}"
        for character in str(text)
    )
