"""The wire format of a model file, walked before protobuf builds objects of it.

A message of two bytes becomes an object of a hundred, so a small file could take a large memory. The walk counts fields and
levels without building anything, and stops at the first byte that is not what the ONNX schema says.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import onnx

from rollup.errors import LoweringError

MOST_FIELDS = 1 << 21
"""Fields of all messages together; a graph of 100,000 nodes has about a million."""

MOST_LEVELS = 96
"""Messages inside messages; a subgraph takes three levels, and protobuf itself stops at 100."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@cache
def _messages(descriptor: Any) -> dict[int, Any]:
    """The fields of a message that are messages."""
    return {field.number: field.message_type for field in descriptor.fields if field.message_type is not None}


def _varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        value |= (byte & 127) << shift
        place += 1
        if byte < 128:
            return value, place
        shift += 7
    raise LoweringError(f"is truncated or no ONNX model: a number at byte {place} does not end")


def check(data: bytes) -> None:
    """Raise LoweringError unless ``data`` can be an ONNX model of bounded structure."""
    fields = 0
    stack = [(0, len(data), onnx.ModelProto.DESCRIPTOR)]
    while stack:
        place, end, descriptor = stack.pop()
        inner = _messages(descriptor)
        while place < end:
            fields += 1
            if fields > MOST_FIELDS:
                raise LoweringError(f"has more than {MOST_FIELDS} fields; split the model")
            tag, place = _varint(data, place, end)
            kind = tag & 7
            if kind == _VARINT:
                _, place = _varint(data, place, end)
            elif kind in (_FIXED32, _FIXED64):
                place += 4 if kind == _FIXED32 else 8
            elif kind == _BYTES:
                size, place = _varint(data, place, end)
                message = inner.get(tag >> 3)
                if message is not None and place + size <= end:
                    stack.append((place + size, end, descriptor))
                    if len(stack) > MOST_LEVELS:
                        raise LoweringError(f"nests messages more than {MOST_LEVELS} deep at byte {place}")
                    end, descriptor = place + size, message
                    inner = _messages(descriptor)
                else:
                    place += size
            else:
                raise LoweringError(f"is no ONNX model: byte {place} starts a field of an unknown kind")
            if place > end:
                raise LoweringError(
                    f"is truncated or no ONNX model: a field of {descriptor.name} passes its end, byte {end}"
                )
