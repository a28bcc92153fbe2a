"""Names, dtypes and structure belong to a model's id: one encoding, checked when it is read, another id for any change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollup.errors import CommitmentError, EncodingError
from rollup.form.encoding import Header, TensorType, TracePolicy
from rollup.form.interface import DTYPES, MOST_DEPTH, MOST_NAME, Interface, Named, decode_interface, encode_interface
from rollup.form.program import Program, proven_interface
from rollup.types import DType, Root
from tests.e2e.toy_program import toy_program

PROGRAM = toy_program()
OWN = Interface(
    (Named("x", "float32"), Named("y", "int16")), (Named("a", "float32"), Named("b", "int32")), {"a": 0, "b": (1,)}
)


LEAST, MOST = DType.I32.min, DType.I32.max
ENDS = st.one_of(
    st.none(),
    st.lists(st.integers(LEAST - 1, MOST + 1), min_size=2, max_size=2, unique=True)
    .map(lambda pair: (min(pair), max(pair)))
    .filter(lambda pair: pair != (LEAST, MOST)),
)


@st.composite
def interfaces(draw: st.DrawFn) -> tuple[Interface, Header]:
    """Any interface, with a header that it fits."""
    names = st.lists(
        st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()), min_size=1, max_size=5, unique=True
    )
    ports, tensors = [], []
    for _ in range(2):
        ports.append(tuple(Named(name, draw(st.sampled_from(DTYPES))) for name in draw(names)))
        if len(ports) == 2:
            ports[1] = tuple(replace(port, ends=draw(ENDS)) if port.real else port for port in ports[1])
        tensors.append(
            tuple(
                TensorType(
                    DType.I32,
                    draw(st.integers(-9, 9)) if port.real else 0,
                    tuple(draw(st.lists(st.just(2), max_size=3))),
                )
                for port in ports[-1]
            )
        )
    left = iter(range(len(ports[1])))
    shape = draw(st.recursive(st.just("leaf"), _trees, max_leaves=5))
    structure = _numbered(shape, left)
    structure = [structure, *left]
    header = Header(TracePolicy.WITH_CLAIM, 4, 0, 9, tensors[0], tuple((8, tensor) for tensor in tensors[1]))
    return Interface(*ports, structure), header


def _trees(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=2),
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(st.text(max_size=5), inner, max_size=2),
    )


def _numbered(shape: Any, left: Any) -> Any:
    """The tree with the outputs' numbers in order, empty where none are left."""
    if shape == "leaf":
        return next(left, ())
    if isinstance(shape, dict):
        return {key: _numbered(shape[key], left) for key in sorted(shape)}
    return type(shape)(_numbered(one, left) for one in shape)


@given(interfaces())
def test_an_interface_survives_its_encoding(made: tuple[Interface, Header]) -> None:
    interface, header = made
    assert list(interface.problems(header)) == []
    assert decode_interface(encode_interface(interface), header) == interface


@given(interfaces(), st.data())
def test_what_decodes_is_what_encodes(made: tuple[Interface, Header], data: st.DataObject) -> None:
    """Bytes that were changed are refused, or are another interface's one encoding."""
    interface, header = made
    changed = bytearray(encode_interface(interface))
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        found = decode_interface(bytes(changed), header)
    except EncodingError:
        return
    assert encode_interface(found) == changed and list(found.problems(header)) == []


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        found = decode_interface(data, PROGRAM.header)
    except EncodingError:
        return
    assert encode_interface(found) == data


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": OWN.inputs[:1]}, "names 1 inputs, the header has 2"),
        ({"outputs": ()}, "names 0 outputs, the header has 2"),
        ({"inputs": (Named("", "float32"), Named("y", "int16"))}, "needs a printable name"),
        ({"inputs": (Named("x\x1b[31m", "float32"), Named("y", "int16"))}, "needs a printable name"),
        ({"inputs": (Named("é" * MOST_NAME, "float32"), Named("y", "int16"))}, f"of 1 to {MOST_NAME} bytes"),
        ({"inputs": (Named("x", "float32"), Named("x", "int16"))}, "two inputs are called 'x'"),
        ({"inputs": (Named("x", "complex64"), Named("y", "int16"))}, "dtype 'complex64'; there are bool"),
        ({"inputs": (Named("x", "int32"), Named("y", "int16"))}, "is of dtype int32, but has a scale of 8"),
        ({"inputs": (Named("x", "float32", (0, 9)), Named("y", "int16"))}, "only real outputs have"),
        ({"outputs": (OWN.outputs[0], Named("b", "int32", (0, 9)))}, "'b' of dtype int32 has ends of its own"),
        ({"outputs": (Named("a", "float32", (LEAST - 2, 9)), OWN.outputs[1])}, "ends at -2147483650 and 9; i32 holds"),
        ({"outputs": (Named("a", "float32", (0, MOST + 2)), OWN.outputs[1])}, "ends at 0 and 2147483649"),
        ({"outputs": (Named("a", "float32", (9, 9)), OWN.outputs[1])}, "ends at 9 and 9"),
        ({"outputs": (Named("a", "float32", (LEAST, MOST)), OWN.outputs[1])}, "ends where its dtype does"),
        ({"structure": 0}, "structure does not name the 2 outputs"),
        ({"structure": {"a": 1, "b": 0}}, "structure does not name the 2 outputs"),
        ({"structure": {"b": 0, "a": 1}}, "structure does not name the 2 outputs"),
        ({"structure": [0, 1, 2]}, "structure does not name the 2 outputs"),
        ({"structure": [0, None]}, "no part of type NoneType"),
    ],
)
def test_what_does_not_fit_the_header_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(EncodingError, match=said):
        Program.of(PROGRAM.header, PROGRAM.ops, PROGRAM.constants, interface=replace(OWN, **changes))


def test_a_structure_that_is_too_deep_is_refused_before_the_stack_is_full() -> None:
    deep: Any = [0, 1]
    for _ in range(MOST_DEPTH):
        deep = [deep]
    with pytest.raises(EncodingError, match="structure"):
        Program.of(PROGRAM.header, PROGRAM.ops, PROGRAM.constants, interface=replace(OWN, structure=deep))
    with pytest.raises(EncodingError, match="levels at most"):
        decode_interface(encode_interface(OWN)[:-14] + b"\x02\x00\x01" * 10_000, PROGRAM.header)


def test_another_name_dtype_or_structure_is_another_model() -> None:
    others = [
        OWN,
        replace(OWN, inputs=(Named("X", "float32"), OWN.inputs[1])),
        replace(OWN, inputs=(Named("x", "float64"), OWN.inputs[1])),
        replace(OWN, outputs=(Named("b", "float32"), Named("a", "int32"))),
        replace(OWN, outputs=(Named("a", "float32", (-9, 9)), OWN.outputs[1])),
        replace(OWN, outputs=(Named("a", "float32", (-9, 8)), OWN.outputs[1])),
        replace(OWN, structure=(0, 1)),
        replace(OWN, structure=[0, 1]),
        replace(OWN, structure={"b": 0, "c": (1,)}),
    ]
    ids = {replace(PROGRAM, interface=interface).id for interface in [PROGRAM.interface, *others]}
    assert len(ids) == 1 + len(others)


def test_an_interface_is_proven_against_the_id_alone() -> None:
    data, proof = PROGRAM.interface_bytes, PROGRAM.interface_proof
    assert proven_interface(PROGRAM.id, PROGRAM.header, data, proof) == PROGRAM.interface
    other = replace(PROGRAM, interface=OWN)
    for given_data, given_proof in (
        (other.interface_bytes, proof),
        (data, [Root(bytes(32)), *proof[1:]]),
        (data, proof[:-1]),
        (data, [*proof, Root(bytes(32))]),
    ):
        with pytest.raises(CommitmentError, match="belongs to model"):
            proven_interface(PROGRAM.id, PROGRAM.header, given_data, given_proof)
