"""The page: static files of the package, and a policy that lets nothing else in."""

from __future__ import annotations

import gzip
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from starlette.responses import Response

from rollup.form.program import Program

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {"content-security-policy": POLICY, "referrer-policy": "no-referrer", "cache-control": "no-cache"}


@dataclass(frozen=True)
class Portrait:
    """A model's program, taken apart. ``figures``: fields of a ModelAnatomy; ``picture``: SVG, None if its graph can't be drawn."""

    figures: dict[str, Any]
    picture: str | None


Portray = Callable[[Program], Portrait]


@dataclass(frozen=True)
class PageOptions:
    """What the page can do beside. ``explorer``: a block explorer's URL with {kind} (tx, address or block) and {id}; ``playground``: path
    of an OpenAI-compatible endpoint, below the page's own; ``portray``: takes programs apart.
    """

    explorer: str | None = None
    playground: str | None = None
    portray: Portray | None = None

    @property
    def head(self) -> str:
        """As HTML, for the page's own code."""
        given = {"explorer": self.explorer, "playground": self.playground}
        return "".join(f'  <meta name="{name}" content="{escape(value)}">\n' for name, value in given.items() if value)


DEFAULT_PAGE = PageOptions()


def folder() -> Path:
    """Where the page's files are."""
    return Path(str(resources.files("sequencer") / "page"))


@dataclass(frozen=True)
class _File:
    """A file of the page, as it is and compressed; ``tag`` tells versions apart."""

    data: bytes
    compressed: bytes
    media_type: str
    tag: str

    @classmethod
    def of(cls, data: bytes, name: str) -> _File:
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return cls(data, gzip.compress(data, mtime=0), kind, f'"{sha256(data).hexdigest()[:32]}"')

    def answer(self, request: Request) -> Response:
        headers = {**HEADERS, "etag": self.tag, "vary": "accept-encoding"}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                self.compressed, headers={**headers, "content-encoding": "gzip"}, media_type=self.media_type
            )
        return Response(self.data, headers=headers, media_type=self.media_type)


def add_page(app: FastAPI, options: PageOptions = DEFAULT_PAGE) -> None:
    """Serve ``/`` and ``/static``: a hundred kilobytes, read once."""
    root = folder()
    html = (root / "index.html").read_text().replace("</head>", f"{options.head}</head>", 1)
    index = _File.of(html.encode(), "index.html")
    static = root / "static"
    files = {
        path.relative_to(static).as_posix(): _File.of(path.read_bytes(), path.name)
        for path in static.rglob("*")
        if path.is_file()
    }

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    def page(request: Request) -> Response:
        return index.answer(request)

    @app.api_route("/static/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    def file(path: str, request: Request) -> Response:
        if path not in files:
            raise HTTPException(404)
        return files[path].answer(request)
