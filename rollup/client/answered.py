"""An answer of the OpenAI-compatible endpoint in whatever form a caller holds it: the bytes that were signed for, and the receipt.

The prover's bytes have one form (``rollup.receipt.canonical``), so that they can be made again from what a library read out of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from rollup.client.said import require_silent
from rollup.documents.fields import read
from rollup.documents.receipts import ReceiptDocument, ReceiptFile
from rollup.errors import BadAnswer, ClaimError
from rollup.form.program import parse_json
from rollup.receipt import (
    DONE,
    EMBEDDINGS,
    EVENT,
    MEMBER,
    body_of,
    canonical,
    embedding_of,
    event_of,
    numbers_of,
    stream_of,
)

MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class AnsweredBytes:
    """``response``: the bytes that the receipt is about. ``request``: the request's, if they are known."""

    receipt: ReceiptDocument
    response: bytes
    request: bytes | None = None

    def asked(self, request: bytes) -> AnsweredBytes:
        return replace(self, request=request)


def answered(answer: Any) -> AnsweredBytes:
    """``answer``: what a client library gave (or its chunks, in order), parsed JSON, the bytes of an answer or a stream, a receipt file
    as bytes, document or path. Raises BadAnswer for what is none, or was changed in a way that can be seen without the hashes.
    """
    if isinstance(answer, AnsweredBytes):
        return answer
    if isinstance(answer, Path):
        answer = _content(answer)
    if isinstance(answer, str):
        answer = answer.encode()
    try:
        if isinstance(answer, bytes | bytearray):
            data = bytes(answer)
            return _stream(data) if data.startswith(EVENT) else _whole(data)
        if isinstance(answer, Mapping):
            return _document(answer)
        if hasattr(answer, "model_dump"):
            return _document(_plain(answer))
        if isinstance(answer, Iterable):
            return _chunks([_plain(one) for one in answer])
    except ClaimError as error:
        raise BadAnswer(f"the receipt of the answer can't be read: {error}") from None
    raise BadAnswer(
        f"a {type(answer).__name__} is no answer; give what the client library returned, its bytes, or a receipt file"
    )


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadAnswer(f"{path} can't be read ({error.strerror}); name a receipt file") from None
    if len(data) > MOST_BYTES:
        raise BadAnswer(f"{path} has more than {MOST_BYTES} bytes; name a receipt file")
    return data


def _plain(one: Any) -> dict[str, Any]:
    """A library's object as the document that it was read from."""
    if isinstance(one, Mapping):
        return dict(one)
    if not hasattr(one, "model_dump"):
        raise BadAnswer(f"a {type(one).__name__} is no part of an answer; give what the client library returned")
    found: dict[str, Any] = one.model_dump(mode="json", exclude_unset=True, by_alias=True, warnings=False)
    return found


def _parsed(data: bytes) -> Any:
    try:
        return parse_json(data.decode())
    except (ValueError, RecursionError):
        raise BadAnswer("that is no JSON in UTF-8; give an answer's bytes, or a receipt file") from None


def _document(found: Mapping[str, Any]) -> AnsweredBytes:
    if "receipt" in found and "request" in found:
        file = read(ReceiptFile, dict(found))
        return AnsweredBytes(file.receipt, file.response.encode(), file.request.encode())
    if MEMBER not in found:
        raise BadAnswer(
            f"the answer has no receipt: its member {MEMBER!r} is missing; ask a prover that signs receipts, or give its last chunk, too"
        )
    receipt = read(ReceiptDocument, found[MEMBER])
    rest = {name: value for name, value in found.items() if name != MEMBER}
    response = canonical(rest)
    if receipt.endpoint == EMBEDDINGS and sha256(response).digest() != receipt.response_sha256:
        response = _packed(rest) or response
    return AnsweredBytes(receipt, response)


def _packed(found: Mapping[str, Any]) -> bytes | None:
    """The bytes of embeddings that came in base64, from the numbers that a library made of them; None if no float32 is these numbers."""
    try:
        data = [{**one, "embedding": embedding_of(one["embedding"], True)} for one in found["data"]]
        for given, one in zip(found["data"], data, strict=True):
            if numbers_of(one["embedding"]) != tuple(given["embedding"]):
                return None
    except (KeyError, TypeError, ValueError, OverflowError, struct.error):
        return None
    return canonical({**found, "data": data})


def _whole(data: bytes) -> AnsweredBytes:
    found = _parsed(data)
    if not isinstance(found, dict):
        raise BadAnswer("that is no JSON object; give an answer's bytes, or a receipt file")
    if MEMBER in found:
        rest = {name: value for name, value in found.items() if name != MEMBER}
        if not isinstance(found[MEMBER], dict) or body_of(rest, found[MEMBER]) != data:
            raise BadAnswer("the answer's bytes are not in the form in which they are signed; they were changed")
    return _document(found)


def _stream(data: bytes) -> AnsweredBytes:
    events = data.removesuffix(DONE)
    at = events.rstrip(b"\n").rfind(b"\n\n" + EVENT) + 2
    last = _parsed(events[at:].removeprefix(EVENT).strip())
    if not isinstance(last, dict) or MEMBER not in last:
        raise BadAnswer("the last event of the stream holds no receipt; it ended early, so that nothing was promised")
    if events[at:] != event_of(last) or data != events + DONE:
        raise BadAnswer("the stream's last bytes are not in the form in which they are sent; they were changed")
    receipt = read(ReceiptDocument, last[MEMBER])
    require_silent(last, receipt.endpoint)
    return AnsweredBytes(receipt, events[:at])


def _chunks(chunks: list[dict[str, Any]]) -> AnsweredBytes:
    if not chunks or MEMBER not in chunks[-1]:
        raise BadAnswer("the last chunk of the stream holds no receipt; give all chunks, in order")
    receipt = read(ReceiptDocument, chunks[-1][MEMBER])
    require_silent(chunks[-1], receipt.endpoint)
    return AnsweredBytes(receipt, stream_of(chunks[:-1]))
