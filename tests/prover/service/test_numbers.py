"""Numbers on their way in: what a prover signs about is what its callers compute for themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prover.claims import make_claim
from prover.executor import Executor
from prover.model import Model
from prover.service.numbers import array_of, list_of
from prover.service.worker import InferenceWorker
from rollup.claim import arrays
from rollup.errors import ExecutionError
from rollup.form.interface import Named
from rollup.l1.account.signing import Domain, Signer
from rollup.numbers import cut, input_bytes, outputs_of, prepared
from rollup.types import Timestamp
from tests.e2e.toy_program import WIDTH, toy_program

SIGNER = Signer.from_key(b"\x01" * 32)


def described(dtype: str) -> InferenceWorker:
    """A worker with the toy, whose interface says that its first input has this dtype."""
    plain = toy_program()
    inputs = (Named("x", dtype), Named("n", "int16"))
    program = replace(plain, interface=replace(plain.interface, inputs=inputs))
    model = Model(program)
    model.__dict__["executor"] = Executor(program, self_test=False)
    worker = InferenceWorker(SIGNER, Domain(1337, SIGNER.address), lambda: Timestamp(0))
    worker.hold(model, "toy")
    return worker


WORKERS = {dtype: described(dtype) for dtype in ("float32", "float64")}


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(WORKERS)),
    st.lists(st.floats(-200, 200) | st.floats(allow_nan=False, allow_infinity=False), min_size=8, max_size=8),
)
def test_the_claim_is_about_the_very_bytes_that_a_caller_computes(dtype: str, numbers: list[float]) -> None:
    worker = WORKERS[dtype]
    nested = [numbers * (WIDTH // 8), [1, -2, 3, 4]]
    header = toy_program().header
    with np.errstate(over="ignore"):
        expected = [prepared(nested[0], "x", (WIDTH,), dtype), prepared(nested[1], "n", (4,), "int16")]
    held, made = worker.infer("toy", nested, clamp=True)
    assert made.posted.inputs == input_bytes(header, expected)
    cuts = [cut("", array, tensor) for array, tensor in zip(expected, header.inputs, strict=True)]
    assert made.clamped == sum(one.count for one in cuts if one is not None)
    if made.clamped:
        with pytest.raises(ExecutionError, match=r"-128 to 127\.996 there; give smaller numbers, or say clamp"):
            worker.infer("toy", nested)
    for ours, theirs in zip(made.outputs(held.model), outputs_of(header, made.posted.outputs), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_claim_made_in_python_is_the_one_that_the_service_makes() -> None:
    worker = WORKERS["float32"]
    nested = [[0.1] * WIDTH, [1, 2, 3, 4]]
    held, made = worker.infer("toy", nested)
    own = make_claim(
        held.model,
        [np.full(WIDTH, 0.1, np.float32), np.array(nested[1], np.int16)],
        SIGNER,
        Domain(1337, SIGNER.address),
        Timestamp(made.posted.claim.valid_until),
        nonce=made.posted.claim.nonce,
    )
    assert own.posted == made.posted and own.claim_id == made.claim_id
    assert len(arrays(own.posted.inputs, toy_program().header.inputs, "input")) == 2


@pytest.mark.parametrize("nested", [[1, "a"], [None], {}, "abc", [[1], [1, 2]], [True, 1.5, None], [10**40]])
def test_what_is_no_array_of_numbers_is_named(nested: Any) -> None:
    with pytest.raises(ExecutionError, match="input x has"):
        array_of(nested, "x")


def test_numbers_come_back_as_they_stand_for() -> None:
    assert list_of(np.array([0.1], np.float32)) == [float(np.float32(0.1))]
    assert list_of(np.array([[1, 2]], np.int16)) == [[1, 2]]
    assert list_of(np.array(3, np.int64)) == 3
    assert array_of([True, False], "x").dtype == bool
