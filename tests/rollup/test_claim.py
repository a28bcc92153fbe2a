"""Claims and their roots."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollup.claim import (
    MAX_CLAIM_BYTES,
    NO_ROOT,
    Address,
    Claim,
    PostedClaim,
    arrays,
    input_root,
    join,
    output_root,
    output_types,
    problems,
    split,
)
from rollup.errors import ClaimError
from rollup.form.encoding import Header, TensorType, TracePolicy
from rollup.merkle import hash_node, tensor_tree, zero
from rollup.types import DType, Root

HEADER = Header(
    TracePolicy.WITH_CLAIM,
    3,
    2,
    8,
    (TensorType(DType.I16, 0, (3, 4)), TensorType(DType.I8, 0, (2000,)), TensorType(DType.I64, 0, ())),
    ((7, TensorType(DType.I32, 0, (5,))),),
)
INPUTS = [np.arange(12, dtype=np.int16).reshape(3, 4), np.arange(2000).astype(np.int8), np.array(-1, np.int64)]
OUTPUTS = [np.array([1, -2, 3, -4, 5], np.int32)]
ROOT = Root(b"r" * 32)


def posted(**changes: object) -> PostedClaim:
    inputs, outputs = join(INPUTS, HEADER.inputs), join(OUTPUTS, output_types(HEADER))
    account = Address("0x" + "a1" * 20)
    claim = Claim(ROOT, account, 1, 9, bytes(32), input_root(HEADER, inputs), output_root(HEADER, outputs), ROOT)
    return PostedClaim(replace(claim, **changes), bytes(65), inputs, outputs)  # type: ignore[arg-type]


def test_tensors_survive_the_way_through_bytes() -> None:
    back = arrays(join(INPUTS, HEADER.inputs), HEADER.inputs, "input")
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(INPUTS, back, strict=True))
    assert [array.shape for array in back] == [(3, 4), (2000,), ()]


def test_the_input_root_is_the_tree_over_extended_tensor_roots() -> None:
    roots = [tensor_tree(part, 2).root for part in split(join(INPUTS, HEADER.inputs), HEADER.inputs, "input")]
    expected = hash_node(hash_node(roots[0], roots[1]), hash_node(roots[2], zero(2)))
    assert input_root(HEADER, join(INPUTS, HEADER.inputs)) == expected


def test_one_tensor_is_its_own_root() -> None:
    data = join(OUTPUTS, output_types(HEADER))
    assert output_root(HEADER, data) == tensor_tree(data, 2).root


@given(st.binary(max_size=40))
def test_bytes_of_any_other_length_are_refused(data: bytes) -> None:
    if len(data) == 20:
        output_root(HEADER, data)
    else:
        with pytest.raises(ClaimError, match=f"has {len(data)} bytes, the model's header asks for 20"):
            output_root(HEADER, data)


def test_a_claim_in_order_has_no_problems() -> None:
    assert list(problems(posted(), HEADER)) == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (posted(input_root=ROOT), "the claim's input root is"),
        (posted(output_root=ROOT), "the claim's output root is"),
        (posted(trace_root=NO_ROOT), "hash the trace and sign"),
        (replace(posted(), inputs=b""), "the claim's input has 0 bytes"),
        (replace(posted(), outputs=bytes(MAX_CLAIM_BYTES)), "upload them before"),
    ],
)
def test_every_problem_is_a_sentence_with_its_remedy(wrong: PostedClaim, sentence: str) -> None:
    found = list(problems(wrong, HEADER))
    assert len(found) == 1
    assert sentence in found[0]


def test_uploaded_bytes_are_left_out() -> None:
    bare = replace(posted(), inputs=b"", outputs=b"")
    assert list(problems(bare, HEADER, (True, True))) == []
    assert len(list(problems(bare, HEADER, (True, False)))) == 1


def test_a_trace_root_must_be_left_out_where_it_is_given_on_dispute() -> None:
    lazy = replace(HEADER, policy=TracePolicy.ON_DISPUTE)
    assert list(problems(posted(trace_root=NO_ROOT), lazy)) == []
    assert "zero trace root" in next(problems(posted(), lazy))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("model_id", b"short", "model_id has 5 bytes"),
        ("claimant", "0x12", "no address"),
        ("nonce", 1 << 256, "256 bits"),
        ("nonce", -1, "256 bits"),
        ("valid_until", 1 << 64, "64 bits"),
    ],
)
def test_a_malformed_claim_names_its_field(field: str, value: object, sentence: str) -> None:
    with pytest.raises(ClaimError, match=sentence):
        posted(**{field: value})
