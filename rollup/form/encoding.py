"""Canonical bytes of headers and descriptors (big endian); the format is in docs/formats.md.

Decoding accepts exactly what encoding produces: every program has one encoding, and so one model id.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from rollup.errors import EncodingError
from rollup.form.ops import (
    INSTRUCTIONS,
    MAX_ACCESSES,
    MAX_CODE,
    MAX_RANK,
    NO_DIMENSION,
    Access,
    Carried,
    Constant,
    Instr,
    Monoid,
    Op,
    Opcode,
    Source,
    Term,
    Value,
)
from rollup.hashing import leaf_count
from rollup.merkle import depth_for
from rollup.types import DType, Root

VERSION = 2

MAX_DEPTH = 32
"""Most levels of a trace over its entries, and of an entry over its leaves: no contract registers a header with more."""

E = TypeVar("E", bound=IntEnum)


class TracePolicy(IntEnum):
    """Whether a claim carries its trace root, or gives it when first challenged."""

    WITH_CLAIM = 0
    ON_DISPUTE = 1


@dataclass(frozen=True)
class TensorType:
    """An input or output: dtype, fixed-point scale (real = integer * 2^-scale) and shape."""

    dtype: DType
    scale: int
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.elements * self.dtype.size


@dataclass(frozen=True)
class Header:
    """What L1 needs to know of a program. ``values`` counts used trace entries, inputs included."""

    policy: TracePolicy
    trace_depth: int
    tensor_depth: int
    values: int
    inputs: tuple[TensorType, ...]
    outputs: tuple[tuple[int, TensorType], ...]


class _Writer:
    def __init__(self) -> None:
        self.data = bytearray()

    def put(self, layout: str, *fields: int) -> None:
        try:
            self.data += struct.pack(">" + layout, *fields)
        except struct.error as error:
            raise EncodingError(f"fields {fields} do not fit the layout {layout!r} ({error})") from None

    def dims(self, dims: tuple[int, ...]) -> None:
        self.put(f"B{len(dims)}I", len(dims), *dims)


class _Reader:
    def __init__(self, data: bytes, what: str) -> None:
        self.data, self.at, self.what = data, 0, what

    def get(self, layout: str) -> tuple[int, ...]:
        size = struct.calcsize(">" + layout)
        if self.at + size > len(self.data):
            raise EncodingError(
                f"{self.what} ends after {len(self.data)} bytes in the middle of a field; it was cut off"
            )
        fields = struct.unpack_from(">" + layout, self.data, self.at)
        self.at += size
        return fields

    def one(self, layout: str) -> int:
        return self.get(layout)[0]

    def dims(self) -> tuple[int, ...]:
        rank = self.one("B")
        if rank > MAX_RANK:
            raise EncodingError(f"{self.what} has {rank} dimensions at byte {self.at}; at most {MAX_RANK} are allowed")
        return self.get(f"{rank}I")

    def enum(self, kind: type[E], code: int) -> E:
        try:
            return kind(code)
        except ValueError:
            raise EncodingError(f"{self.what} has no {kind.__name__} {code} (at byte {self.at})") from None

    def end(self) -> None:
        if self.at != len(self.data):
            raise EncodingError(f"{self.what} has {len(self.data) - self.at} bytes too many")


def _put_tensor(out: _Writer, tensor: TensorType) -> None:
    out.put("Bb", tensor.dtype, tensor.scale)
    out.dims(tensor.shape)


def _get_tensor(data: _Reader) -> TensorType:
    code, scale = data.get("Bb")
    return TensorType(data.enum(DType, code), scale, data.dims())


def encode_header(header: Header) -> bytes:
    out = _Writer()
    out.put("HBBBI", VERSION, header.policy, header.trace_depth, header.tensor_depth, header.values)
    out.put("B", len(header.inputs))
    for tensor in header.inputs:
        _put_tensor(out, tensor)
    out.put("B", len(header.outputs))
    for value, tensor in header.outputs:
        out.put("I", value)
        _put_tensor(out, tensor)
    return bytes(out.data)


def decode_header(data: bytes) -> Header:
    """Inverse of encode_header; raises EncodingError."""
    read = _Reader(data, "the program's header")
    version, policy, trace_depth, tensor_depth, values = read.get("HBBBI")
    if version != VERSION:
        raise EncodingError(
            f"the program has format version {version}, this release reads {VERSION}; lower the model again"
        )
    inputs = tuple(_get_tensor(read) for _ in range(read.one("B")))
    outputs = tuple((read.one("I"), _get_tensor(read)) for _ in range(read.one("B")))
    read.end()
    return Header(read.enum(TracePolicy, policy), trace_depth, tensor_depth, values, inputs, outputs)


def _put_access(out: _Writer, access: Access) -> None:
    match access.source:
        case Constant(root):
            out.put("BB", 0, access.dtype)
            out.data += root
        case Value(base, step):
            out.put("BBII", 1, access.dtype, base, step)
        case Carried(base, step, init):
            out.put("BBIII", 2, access.dtype, base % (1 << 32), step, init)
    dimension, index = access.indirect or (NO_DIMENSION, 0)
    out.put("IqBB", access.stack, access.fill, dimension, index)
    out.put("B", len(access.shape))
    for size, offset in zip(access.shape, access.offsets, strict=True):
        out.put("Ii", size, offset)
    out.put("B", len(access.terms))
    for term in access.terms:
        out.put("BBi", term.dimension, term.var, term.coef)


def _get_access(read: _Reader) -> Access:
    kind, code = read.get("BB")
    source: Source
    if kind == 0:
        source = Constant(Root(read.get("32s")[0]))  # type: ignore[arg-type]
    elif kind == 1:
        source = Value(*read.get("II"))
    elif kind == 2:
        base, step, init = read.get("III")
        source = Carried(base - (1 << 32) if base >> 31 else base, step, init)
    else:
        raise EncodingError(f"{read.what} has an access of kind {kind} (at byte {read.at}); kinds are 0, 1 and 2")
    stack, fill, dimension, index = read.get("IqBB")
    rank = read.one("B")
    if rank > MAX_RANK:
        raise EncodingError(
            f"{read.what} has an access of {rank} dimensions (at byte {read.at}); at most {MAX_RANK} are allowed"
        )
    sizes = [read.get("Ii") for _ in range(rank)]
    terms = tuple(Term(*read.get("BBi")) for _ in range(read.one("B")))
    if dimension == NO_DIMENSION and index:
        raise EncodingError(f"{read.what} names index access {index} for no dimension (at byte {read.at})")
    indirect = None if dimension == NO_DIMENSION else (dimension, index)
    shape, offsets = tuple(size for size, _ in sizes), tuple(offset for _, offset in sizes)
    return Access(source, read.enum(DType, code), shape, offsets, terms, fill, indirect, stack)


def encode_op(op: Op) -> bytes:
    if len(op.accesses) > MAX_ACCESSES or len(op.code) > MAX_CODE:
        raise EncodingError(
            f"an op has {len(op.accesses)} accesses and {len(op.code)} instructions; at most {MAX_ACCESSES} and {MAX_CODE} are allowed"
        )
    out = _Writer()
    out.put("IIIBBB", op.first, op.body, op.repeat, op.monoid, op.dtype, op.factors)
    out.dims(op.shape)
    out.dims(op.domain)
    out.put("I", op.part)
    out.put("B", len(op.accesses))
    for access in op.accesses:
        _put_access(out, access)
    out.put("B", len(op.code))
    for instr in op.code:
        out.put(f"B{len(instr.args)}B", instr.op, *instr.args)
        if instr.op is Opcode.CONST:
            out.put("q", instr.imm)
    return bytes(out.data)


def _get_instr(read: _Reader) -> Instr:
    op = read.enum(Opcode, read.one("B"))
    arity = len(INSTRUCTIONS[op].arguments)
    args = read.get(f"{arity}B")
    return Instr(op, args, read.one("q") if op is Opcode.CONST else 0)


def decode_op(data: bytes) -> Op:
    """Inverse of encode_op; raises EncodingError. Well-formedness beyond the encoding is the audit's duty."""
    read = _Reader(data, "an op's descriptor")
    first, body, repeat, monoid, dtype, factors = read.get("IIIBBB")
    shape, domain, part = read.dims(), read.dims(), read.one("I")
    accesses = tuple(_get_access(read) for _ in range(read.one("B")))
    code = tuple(_get_instr(read) for _ in range(read.one("B")))
    read.end()
    return Op(
        first,
        body,
        repeat,
        read.enum(Monoid, monoid),
        read.enum(DType, dtype),
        factors,
        shape,
        domain,
        accesses,
        code,
        part,
    )


def depths(values: int, byte_counts: list[int]) -> tuple[int, int]:
    """(trace depth, tensor depth) of a program with ``values`` trace entries, the tensors having ``byte_counts`` bytes."""
    return depth_for(values), max(depth_for(leaf_count(size)) for size in byte_counts)
