"""What goes between a watcher and its workers: a line of JSON and some bytes, nothing that is executed when it is read.

``length:u32 head:JSON (length:u64 bytes)*``, where the head's ``blobs`` is the number of byte strings behind it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import IO, Any

from rollup.form.program import parse_json

Message = tuple[dict[str, Any], Sequence[bytes]]

HEAD_BYTES = 1 << 16
BLOB_BYTES = 1 << 32


def send(stream: IO[bytes], message: Message) -> None:
    """Write it; raises OSError if nobody reads."""
    head, blobs = message
    data = json.dumps({**head, "blobs": len(blobs)}).encode()
    stream.write(struct.pack(">I", len(data)) + data)
    for blob in blobs:
        stream.write(struct.pack(">Q", len(blob)))
        stream.write(blob)
    stream.flush()


def receive(stream: IO[bytes]) -> Message:
    """Read it; raises EOFError where the stream ends, ValueError for what is no message."""
    head = parse_json(_exactly(stream, _length(stream, ">I", HEAD_BYTES)).decode())
    if not isinstance(head, dict):
        raise ValueError("a message begins with a JSON object")
    return head, [_exactly(stream, _length(stream, ">Q", BLOB_BYTES)) for _ in range(int(head.get("blobs", 0)))]


def _length(stream: IO[bytes], form: str, most: int) -> int:
    (length,) = struct.unpack(form, _exactly(stream, struct.calcsize(form)))
    if length > most:
        raise ValueError(f"a part of {length} bytes, {most} are allowed")
    return int(length)


def _exactly(stream: IO[bytes], length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError("the stream ended")
    return data
