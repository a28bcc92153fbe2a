"""Make a claim: quantise, execute, commit, sign. What the prover does for others, anyone can do for themselves."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prover.executor import Executor
from prover.model import Model
from prover.saturation import Saturated, elements, run_counted_each
from prover.trace import ExecutionTrace
from rollup.claim import (
    MAX_CLAIM_BYTES,
    NO_ROOT,
    Claim,
    ClaimId,
    PostedClaim,
    input_root,
    join,
    output_root,
    output_types,
)
from rollup.errors import ClaimError, ExecutionError
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.l1.account.signing import Domain, Signer, claim_id
from rollup.numbers import saturated
from rollup.types import Timestamp

NO_REQUEST = bytes(32)


@dataclass(frozen=True)
class MadeClaim:
    """A signed claim, ready to be posted.

    ``integers``: the program's outputs as claimed, in header order; ``trace``: the execution's trace, None where the
    model's policy is to commit to it on dispute only, so that nothing was hashed; ``clamped``: numbers of the inputs that were cut;
    ``saturated``: elements of the outputs that lie at an end of their format; ``inside``: ops inside that have such elements.
    """

    claim_id: ClaimId
    posted: PostedClaim
    integers: tuple[np.ndarray, ...]
    trace: ExecutionTrace | None
    clamped: int
    saturated: int
    inside: tuple[Saturated, ...]

    @property
    def saturated_inside(self) -> int:
        """Elements inside the program that lie at an end of their format."""
        return elements(self.inside)

    def outputs(self, model: Model) -> list[np.ndarray]:
        """The real numbers that were claimed, one array per output in header order."""
        return model.reals(self.integers)


def make_claim(
    model: Model,
    arrays: Sequence[Any],
    signer: Signer,
    domain: Domain,
    valid_until: Timestamp,
    nonce: int | None = None,
    request_id: bytes = NO_REQUEST,
    clamp: bool = False,
) -> MadeClaim:
    """Run ``model`` on ``arrays`` (as its function takes them) and sign what comes out.

    ``valid_until``: the last second, on the chain's clock, at which the claim may be posted. ``nonce``: any that the
    account has not used; by default random. ``clamp``: numbers beyond an input's format are cut to its ends. Raises
    ExecutionError for arrays that the model does not take, ClaimError if input and output are too large to be posted with the claim.
    """
    integers, clamped = quantised(model, arrays, clamp)
    number = secrets.randbits(256) if nonce is None else nonce
    return claim_integers(model, integers, signer, domain, valid_until, number, request_id, clamped)


def quantised(model: Model, arrays: Sequence[Any], clamp: bool = False) -> tuple[list[np.ndarray], int]:
    """(the program's integers for ``arrays``, how many numbers were cut). Raises ExecutionError as ``make_claim`` does."""
    integers, cuts = model.quantize(*arrays), model.cuts(*arrays)
    if cuts and not clamp:
        raise ExecutionError(cuts[0].refusal)
    return integers, sum(one.count for one in cuts)


def claim_integers(
    model: Model,
    integers: Sequence[np.ndarray],
    signer: Signer,
    domain: Domain,
    valid_until: Timestamp,
    nonce: int,
    request_id: bytes = NO_REQUEST,
    clamped: int = 0,
) -> MadeClaim:
    """As ``make_claim``, for the program's own integers, one array per input. ``clamped``: numbers that were cut on the way to them."""
    require_postable(model.program)
    (execution,) = execute(model.executor, [integers], hashed(model.program))
    return signed(model, integers, execution, signer, domain, valid_until, nonce, request_id, clamped)


@dataclass(frozen=True)
class Execution:
    """One execution: the program's outputs in header order, the ops inside that saturate, and the trace if it was hashed."""

    outputs: list[np.ndarray]
    inside: tuple[Saturated, ...]
    trace: ExecutionTrace | None = None


def execute(machine: Executor, claims: Sequence[Sequence[np.ndarray]], traced: bool) -> list[Execution]:
    """Execute on the inputs of several claims, as few times as can be; ``traced``: hash each one's values. Raises ExecutionError."""
    if traced:
        return [Execution(trace.outputs, trace.inside, trace) for trace in ExecutionTrace.many(machine, claims)]
    rows = [machine.check_inputs(inputs) for inputs in claims]
    return [Execution(outputs, inside) for outputs, inside in run_counted_each(machine, rows)]


def hashed(program: Program) -> bool:
    """Whether a claim about the program commits to its trace at once."""
    return program.header.policy is TracePolicy.WITH_CLAIM


def require_postable(program: Program) -> None:
    """Raise ClaimError if input and output are too large to be posted with a claim."""
    header = program.header
    size = sum(tensor.bytes for tensor in (*header.inputs, *output_types(header)))
    if size > MAX_CLAIM_BYTES:
        raise ClaimError(
            f"input and output of this model have {size} bytes, {MAX_CLAIM_BYTES} can be posted with a claim; "
            "upload them before, and sign the claim by hand"
        )


def signed(
    model: Model,
    integers: Sequence[np.ndarray],
    execution: Execution,
    signer: Signer,
    domain: Domain,
    valid_until: Timestamp,
    nonce: int,
    request_id: bytes = NO_REQUEST,
    clamped: int = 0,
) -> MadeClaim:
    """The signed claim about an execution on ``integers``."""
    program, trace = model.program, execution.trace
    header = program.header
    inputs_posted, outputs_posted = join(integers, header.inputs), join(execution.outputs, output_types(header))
    claim = Claim(
        program.id,
        signer.address,
        nonce,
        valid_until,
        request_id,
        input_root(header, inputs_posted),
        output_root(header, outputs_posted),
        NO_ROOT if trace is None else trace.root,
    )
    identity = claim_id(claim, domain)
    posted = PostedClaim(claim, signer.sign(identity), inputs_posted, outputs_posted)
    cut = saturated(header, program.interface, execution.outputs)
    return MadeClaim(identity, posted, tuple(execution.outputs), trace, clamped, cut, execution.inside)
