"""Canonical bytes: every program comes back as it was, and no other bytes are accepted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollup.errors import EncodingError
from rollup.form.encoding import (
    Header,
    TensorType,
    TracePolicy,
    decode_header,
    decode_op,
    depths,
    encode_header,
    encode_op,
)
from rollup.form.ops import INSTRUCTIONS, Access, Carried, Constant, Instr, Monoid, Op, Opcode, Term, Value
from rollup.types import DType, Root
from tests.lockstep.programs import draw

u32 = st.integers(0, (1 << 32) - 1)
i32 = st.integers(-(1 << 31), (1 << 31) - 1)
i64 = st.integers(-(1 << 63), (1 << 63) - 1)
byte = st.integers(0, 255)
dims = st.lists(u32, max_size=12).map(tuple)
sources = st.one_of(
    st.binary(min_size=32, max_size=32).map(lambda root: Constant(Root(root))),
    st.builds(Value, u32, u32),
    st.builds(Carried, i32, u32, u32),
)


@st.composite
def accesses(draw: st.DrawFn) -> Access:
    shape = draw(dims)
    offsets = tuple(draw(i32) for _ in shape)
    terms = tuple(draw(st.lists(st.builds(Term, byte, byte, i32), max_size=5)))
    indirect = draw(st.none() | st.tuples(st.integers(0, 254), byte))
    return Access(draw(sources), draw(st.sampled_from(DType)), shape, offsets, terms, draw(i64), indirect, draw(u32))


@st.composite
def instructions(draw: st.DrawFn) -> Instr:
    op = draw(st.sampled_from(Opcode))
    kinds = [kind for kind in INSTRUCTIONS[op].operands.split() if kind != "imm64"]
    return Instr(op, tuple(draw(byte) for _ in kinds), draw(i64) if op is Opcode.CONST else 0)


ops = st.builds(
    Op,
    u32,
    u32,
    u32,
    st.sampled_from(Monoid),
    st.sampled_from(DType),
    byte,
    dims,
    dims,
    st.lists(accesses(), max_size=4).map(tuple),
    st.lists(instructions(), max_size=8).map(tuple),
)
tensors = st.builds(TensorType, st.sampled_from(DType), st.integers(-128, 127), dims)
headers = st.builds(
    Header,
    st.sampled_from(TracePolicy),
    byte,
    byte,
    u32,
    st.lists(tensors, max_size=4).map(tuple),
    st.lists(st.tuples(u32, tensors), max_size=4).map(tuple),
)


@given(ops)
def test_ops_come_back(op: Op) -> None:
    assert decode_op(encode_op(op)) == op


@given(headers)
def test_headers_come_back(header: Header) -> None:
    assert decode_header(encode_header(header)) == header


@given(ops, st.data())
def test_damaged_descriptors_are_refused_or_mean_something_else(op: Op, data: st.DataObject) -> None:
    encoded = bytearray(encode_op(op))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        other = decode_op(bytes(encoded))
    except EncodingError:
        return
    assert other != op
    assert encode_op(other) == bytes(encoded)


@given(headers, st.data())
def test_damaged_headers_are_refused_or_mean_something_else(header: Header, data: st.DataObject) -> None:
    encoded = bytearray(encode_header(header))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        other = decode_header(bytes(encoded))
    except EncodingError:
        return
    assert other != header
    assert encode_header(other) == bytes(encoded)


@given(ops, st.data())
def test_cut_and_extended_descriptors_are_refused(op: Op, data: st.DataObject) -> None:
    encoded = encode_op(op)
    with pytest.raises(EncodingError):
        decode_op(encoded[: data.draw(st.integers(0, len(encoded) - 1))])
    with pytest.raises(EncodingError, match="too many"):
        decode_op(encoded + b"\x00")


@given(st.binary(max_size=200))
def test_noise_is_refused_or_canonical(noise: bytes) -> None:
    for decode, encode in ((decode_op, encode_op), (decode_header, encode_header)):
        try:
            decoded = decode(noise)
        except EncodingError:
            continue
        assert encode(decoded) == noise  # type: ignore[operator]


@pytest.mark.parametrize("seed", range(30))
def test_random_programs_come_back(seed: int) -> None:
    program, _ = draw(seed)
    assert decode_header(program.header_bytes) == program.header
    assert tuple(decode_op(data) for data in program.descriptors) == program.ops


def test_fields_that_do_not_fit_are_refused() -> None:
    op = Op(0, 1, 1, Monoid.NONE, DType.I8, 0, (1,), (), (), ())
    with pytest.raises(EncodingError, match="do not fit the layout"):
        encode_op(replace(op, first=1 << 32))
    with pytest.raises(EncodingError, match="201 accesses"):
        encode_op(replace(op, accesses=(Access(Value(0), DType.I8, (), ()),) * 201))


def test_an_older_format_is_named() -> None:
    header = Header(TracePolicy.WITH_CLAIM, 0, 0, 1, (), ())
    data = encode_header(header)
    with pytest.raises(EncodingError, match="format version 7"):
        decode_header(b"\x00\x07" + data[2:])


def test_depths_are_the_smallest_that_hold_everything() -> None:
    assert depths(1, [1]) == (0, 0)
    assert depths(5, [1024, 1025]) == (3, 1)
    assert depths(4, [9000]) == (2, 4)
