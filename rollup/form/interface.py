"""What a program's inputs and outputs mean to whoever gives and reads them: names, dtypes, the structure of the result.

Leaf 1 of the program tree (docs/formats.md, *Program tree*): whoever exchanges two outputs' names has another
model. A number of a float dtype is ``integer * 2^-scale``, with the header's scale; one of an integer dtype is the integer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rollup.errors import EncodingError
from rollup.form.encoding import Header, TensorType
from rollup.types import DType

DTYPES = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
)
"""Of the arrays that go in and come out; their codes are their numbers here."""

ENDED = 1 << 7
"""Added to an output's code if its ends follow the name."""

FLOATS = DTYPES[9:]

MOST_NAME = 200
"""Bytes of a name in UTF-8."""

MOST_DEPTH = 32
"""Levels of a result's structure."""

LEAF, DICT, LIST, TUPLE = range(4)

Structure = Any
"""Of a result: the number of an output, or a dict (of text), list or tuple of structures. Outputs are numbered in the order in which
they stand in it, a dict's entries in the order of their keys.
"""


@dataclass(frozen=True)
class Named:
    """An input or output: its name (unique among them), and the dtype of the arrays that go in or come out.

    ``ends``: of a real output, the integers at which its format ends if these are not the ends of the header's dtype (24 bits in int32);
    one step beyond the dtype: no end, an element there is meant. See ``rollup.numbers.at_end``.
    """

    name: str
    dtype: str
    ends: tuple[int, int] | None = None

    @property
    def real(self) -> bool:
        """Whether it stands for real numbers; else for integers, or for booleans."""
        return self.dtype in FLOATS


@dataclass(frozen=True)
class Interface:
    """In the header's order; ``structure``: of the result, as one array, or a tree of the outputs."""

    inputs: tuple[Named, ...]
    outputs: tuple[Named, ...]
    structure: Structure

    @classmethod
    def of(cls, header: Header) -> Interface:
        """Of a program that nobody named anything in: numbered, float64 where there is a scale."""
        outputs = [tensor for _, tensor in header.outputs]
        structure = 0 if len(outputs) == 1 else list(range(len(outputs)))
        return cls(_numbered("input", header.inputs), _numbered("output", outputs), structure)

    def problems(self, header: Header) -> Iterator[str]:
        """Why this is no program's interface, or not that of one with this header."""
        outputs = tuple(tensor for _, tensor in header.outputs)
        for what, ports, tensors in (("input", self.inputs, header.inputs), ("output", self.outputs, outputs)):
            if len(ports) != len(tensors):
                yield f"it names {len(ports)} {what}s, the header has {len(tensors)}"
                return
            names: set[str] = set()
            for port, tensor in zip(ports, tensors, strict=True):
                if not port.name or not port.name.isprintable() or len(port.name.encode()) > MOST_NAME:
                    yield f"{what} {port.name[:MOST_NAME]!r} needs a printable name of 1 to {MOST_NAME} bytes"
                if port.name in names:
                    yield f"two {what}s are called {port.name!r}"
                names.add(port.name)
                if port.dtype not in DTYPES:
                    yield f"{what} {port.name!r} is of dtype {port.dtype!r}; there are {', '.join(DTYPES)}"
                elif tensor.scale and not port.real:
                    yield f"{what} {port.name!r} is of dtype {port.dtype}, but has a scale of {tensor.scale}"
                if port.ends is not None:
                    yield from _misplaced(what, port, tensor)
        if list(_leaves(self.structure)) != list(range(len(outputs))):
            yield f"its structure does not name the {len(outputs)} outputs in order, in at most {MOST_DEPTH} levels"

    def output(self, name: str) -> int:
        """Number of the output of this name; raises ValueError if there is none."""
        return [port.name for port in self.outputs].index(name)

    def restored(self, arrays: Sequence[Any]) -> Any:
        """The outputs in the structure of the result."""
        return _restored(self.structure, arrays)


def _misplaced(what: str, port: Named, tensor: TensorType) -> Iterator[str]:
    """Why a port can't have its ends."""
    assert port.ends is not None
    (low, high), (least, most) = port.ends, (tensor.dtype.min, tensor.dtype.max)
    if what != "output" or not port.real:
        yield f"{what} {port.name!r} of dtype {port.dtype} has ends of its own; only real outputs have"
    elif not max(least - 1, DType.I64.min) <= low < high <= min(most + 1, DType.I64.max):
        yield f"output {port.name!r} ends at {low} and {high}; {tensor.dtype.name.lower()} holds {least} to {most}"
    elif (low, high) == (least, most):
        yield f"output {port.name!r} ends where its dtype does; leave that out"


def _numbered(what: str, tensors: Sequence[TensorType]) -> tuple[Named, ...]:
    dtypes = ["float64" if tensor.scale else f"int{tensor.dtype.bits}" for tensor in tensors]
    return tuple(Named(f"{what}{number}", dtype) for number, dtype in enumerate(dtypes))


def _children(structure: Structure) -> tuple[int, list[str], list[Structure]]:
    """(kind, keys, children) of a node; raises EncodingError for what is none."""
    if type(structure) is int:
        return LEAF, [], []
    if type(structure) is dict and all(isinstance(key, str) for key in structure):
        keys = sorted(structure)
        return DICT, keys, [structure[key] for key in keys]
    if type(structure) in (list, tuple):
        return LIST if type(structure) is list else TUPLE, [], list(structure)
    raise EncodingError(f"a result has no part of type {type(structure).__name__}; give dicts, lists and tuples")


def _leaves(structure: Structure, depth: int = 0) -> Iterator[int]:
    if depth > MOST_DEPTH:
        yield -1
        return
    kind, _, children = _children(structure)
    if kind == LEAF:
        yield structure
    for child in children:
        yield from _leaves(child, depth + 1)


def _restored(structure: Structure, arrays: Sequence[Any]) -> Any:
    kind, keys, children = _children(structure)
    if kind == LEAF:
        return arrays[structure]
    items = [_restored(child, arrays) for child in children]
    if kind == DICT:
        return dict(zip(keys, items, strict=True))
    return items if kind == LIST else tuple(items)


def encode_interface(interface: Interface) -> bytes:
    """The bytes that are hashed into the program tree."""
    out = bytearray()
    for ports in (interface.inputs, interface.outputs):
        out += struct.pack(">B", len(ports))
        for port in ports:
            ended = port.ends is not None
            out += struct.pack(">B", DTYPES.index(port.dtype) + ENDED * ended) + _text(port.name)
            out += struct.pack(">2q", *port.ends) if port.ends is not None else b""
    _put(out, interface.structure)
    return bytes(out)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def _put(out: bytearray, structure: Structure) -> None:
    kind, keys, children = _children(structure)
    out += struct.pack(">B", kind)
    if kind == LEAF:
        return
    out += struct.pack(">H", len(children))
    for number, child in enumerate(children):
        if kind == DICT:
            out += _text(keys[number])
        _put(out, child)


def decode_interface(data: bytes, header: Header) -> Interface:
    """Inverse of encode_interface, for a program with this header; raises EncodingError."""
    read = _Reader(data)
    inputs, outputs = read.ports(), read.ports()
    interface = Interface(inputs, outputs, read.structure(0))
    if read.at != len(data):
        raise EncodingError(f"the program's interface has {len(data) - read.at} bytes too many")
    refuse(interface.problems(header))
    if encode_interface(interface) != data:
        raise EncodingError(
            "the program's interface is not written as it would be written; the keys of a dict are in order"
        )
    return interface


def refuse(problems: Iterable[str]) -> None:
    """Raise EncodingError for the first of an interface's problems."""
    for problem in problems:
        raise EncodingError(f"the program's interface does not fit: {problem}")


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.leaves = data, 0, 0

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise EncodingError(f"the program's interface ends after {len(self.data)} bytes in the middle of a field")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def text(self) -> str:
        try:
            return self.take(self.number(2)).decode()
        except UnicodeDecodeError:
            raise EncodingError(
                f"the program's interface has a name that is no UTF-8 (before byte {self.at})"
            ) from None

    def ports(self) -> tuple[Named, ...]:
        found = []
        for _ in range(self.number(1)):
            code, ended = self.number(1), False
            if code >= ENDED:
                code, ended = code - ENDED, True
            if code >= len(DTYPES):
                raise EncodingError(f"the program's interface has no dtype {code} (at byte {self.at})")
            name = self.text()
            found.append(Named(name, DTYPES[code], struct.unpack(">2q", self.take(16)) if ended else None))
        return tuple(found)

    def structure(self, depth: int) -> Structure:
        kind = self.number(1)
        if kind > TUPLE or depth > MOST_DEPTH:
            raise EncodingError(
                f"the program's interface has a structure of kind {kind} in level {depth} (at byte {self.at}); "
                f"kinds are 0 to {TUPLE}, levels at most {MOST_DEPTH}"
            )
        if kind == LEAF:
            self.leaves += 1
            return self.leaves - 1
        count = self.number(2)
        if kind == DICT:
            return {self.text(): self.structure(depth + 1) for _ in range(count)}
        items = [self.structure(depth + 1) for _ in range(count)]
        return items if kind == LIST else tuple(items)
