"""Claims made in Python: what L1 would find wrong in them is found before they are signed."""

from __future__ import annotations

import numpy as np
import pytest

from prover.claims import make_claim
from prover.executor import Executor
from prover.model import Model
from rollup.claim import MAX_CLAIM_BYTES, NO_ROOT, problems
from rollup.errors import ClaimError, ExecutionError
from rollup.form.encoding import TensorType, TracePolicy
from rollup.form.ops import Access, Monoid, Op, Term, Value
from rollup.form.program import Program
from rollup.l1.account.signing import Domain, Signer, claim_id, recover
from rollup.types import DType, Timestamp

SIGNER = Signer.from_key(b"\x01" * 32)
DOMAIN = Domain(1337, SIGNER.address)
LATER = Timestamp(2_000_000_000)


def doubled(elements: int, policy: TracePolicy = TracePolicy.WITH_CLAIM) -> Model:
    """A program whose output is the product of its input with itself."""
    access = Access(Value(0), DType.I8, (elements,), (0,), (Term(0, 0, 1),))
    op = Op(1, 1, 1, Monoid.NONE, DType.I8, 2, (elements,), (), (access, access), ())
    tensor = TensorType(DType.I8, 0, (elements,))
    model = Model(Program.build([tensor], [(1, tensor)], [op], {}, policy))
    model.__dict__["executor"] = Executor(model.program, self_test=False)
    return model


@pytest.mark.parametrize("policy", list(TracePolicy))
def test_a_claim_is_complete_signed_and_names_its_trace_as_the_policy_says(policy: TracePolicy) -> None:
    model = doubled(5, policy)
    made = make_claim(model, [np.arange(5, dtype=np.int8)], SIGNER, DOMAIN, LATER)
    claim = made.posted.claim
    assert list(problems(made.posted, model.program.header)) == []
    assert made.claim_id == claim_id(claim, DOMAIN) and recover(made.claim_id, made.posted.signature) == SIGNER.address
    assert made.posted.outputs == bytes([0, 1, 4, 9, 16])
    assert (made.trace is None) == (claim.trace_root == NO_ROOT) == (policy is TracePolicy.ON_DISPUTE)
    assert (claim.valid_until, claim.request_id, claim.model_id) == (LATER, bytes(32), model.program.id)


def test_nonce_and_request_are_the_callers_and_a_nonce_is_drawn_otherwise() -> None:
    model, arrays = doubled(5), [np.zeros(5, np.int8)]
    chosen = make_claim(model, arrays, SIGNER, DOMAIN, LATER, nonce=7, request_id=b"\x02" * 32)
    assert (chosen.posted.claim.nonce, chosen.posted.claim.request_id) == (7, b"\x02" * 32)
    drawn = {make_claim(model, arrays, SIGNER, DOMAIN, LATER).posted.claim.nonce for _ in range(5)}
    assert len(drawn) == 5


def test_what_can_not_be_posted_with_a_claim_is_not_executed() -> None:
    half = MAX_CLAIM_BYTES // 2
    assert make_claim(doubled(half), [np.zeros(half, np.int8)], SIGNER, DOMAIN, LATER).posted.inputs == bytes(half)
    with pytest.raises(ClaimError, match="upload them before"):
        make_claim(doubled(half + 1), [np.zeros(half + 1, np.int8)], SIGNER, DOMAIN, LATER)


def test_arrays_that_the_model_does_not_take_are_named() -> None:
    with pytest.raises(ExecutionError, match="input input0 has shape"):
        make_claim(doubled(5), [np.zeros(4, np.int8)], SIGNER, DOMAIN, LATER)
