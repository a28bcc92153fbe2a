"""Asking a service of ours over HTTP, for commands: an answer, or one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from rollup.errors import ServiceError
from rollup.form.program import parse_json

MOST_BYTES = 64 << 20
"""Longest answer that is read."""


class AnswerError(ServiceError):
    """A service did not answer, or said no; the sentence is its own where it gave one."""


@dataclass(frozen=True)
class Api:
    """``token`` goes to ``url`` and nowhere else: redirects and the environment's proxies are not followed."""

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
        headers = {} if self.token is None else {"authorization": f"Bearer {self.token}"}
        if content is not None:
            headers["content-type"] = "application/x-tar"
        given = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            with (
                httpx.Client(
                    base_url=self.url, timeout=self.timeout, follow_redirects=False, trust_env=False
                ) as client,
                client.stream(
                    method, path, params=given or None, json=body, content=content, headers=headers
                ) as response,
            ):
                return self._read(response)
        except httpx.TimeoutException:
            raise AnswerError(
                f"{self.url} did not answer within {self.timeout:g} s; it may still be at it: look before you repeat it"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError) as error:
            raise AnswerError(
                f"{self.url} can't be asked ({type(error).__name__}: {plain(error)}); check that it runs there, or give --url"
            ) from None

    def _read(self, response: httpx.Response) -> Any:
        data = bytearray()
        for part in response.iter_bytes():
            data += part
            if len(data) > MOST_BYTES:
                raise AnswerError(f"{self.url} sent more than {MOST_BYTES} bytes; check that it is the right service")
        try:
            document = parse_json(data.decode())
        except ValueError:
            document = None
        if response.is_success and document is not None:
            return document
        detail = document.get("detail") if isinstance(document, dict) else None
        if isinstance(detail, str):
            raise AnswerError(plain(detail))
        raise AnswerError(
            f"{self.url} answered {response.status_code} and nothing that can be read; check that it is the right service"
        )


def plain(text: object) -> str:
    """What a server said, for a terminal: control characters could move the cursor or change its title."""
    return "".join(
        character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}"
        for character in str(text)
    )
