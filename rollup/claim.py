"""A claim: what a claimant signs about one execution, and what is posted with it.

The claim id is the EIP-712 digest; it needs Keccak and is computed where web3 lives, in ``rollup.l1.account.signing``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NewType

import numpy as np

from rollup.errors import ClaimError
from rollup.form.constants import pack
from rollup.form.encoding import Header, TensorType, TracePolicy
from rollup.merkle import join_root, tensor_root
from rollup.types import ModelId, Root

Address = NewType("Address", str)
"""An account, as a checksummed ``0x...`` string of 20 bytes."""

ClaimId = NewType("ClaimId", bytes)
"""32 bytes: the EIP-712 digest of a claim."""

NO_ROOT = Root(bytes(32))
"""Stands for a trace root that is given on dispute, and for a claim without a request."""

MAX_CLAIM_BYTES = 96 * 1024
"""Input plus output of one claim."""


@dataclass(frozen=True)
class Claim:
    """(model, input, output, trace root), with a nonce of the claimant's choice and the last second at which it may be
    posted.
    """

    model_id: ModelId
    claimant: Address
    nonce: int
    valid_until: int
    request_id: bytes
    input_root: Root
    output_root: Root
    trace_root: Root

    def __post_init__(self) -> None:
        for name in ("model_id", "request_id", "input_root", "output_root", "trace_root"):
            if len(getattr(self, name)) != 32:
                raise ClaimError(f"the claim's {name} has {len(getattr(self, name))} bytes, it must have 32")
        if len(self.claimant) != 42 or not self.claimant.startswith("0x"):
            raise ClaimError(
                f"the claimant {self.claimant!r} is no address of 20 bytes; write it as 0x and 40 hex digits"
            )
        if not 0 <= self.nonce < 1 << 256:
            raise ClaimError(f"the nonce {self.nonce} does not fit 256 bits; choose a smaller one")
        if not 0 <= self.valid_until < 1 << 64:
            raise ClaimError(f"validUntil {self.valid_until} does not fit 64 bits; give seconds since the epoch")


@dataclass(frozen=True)
class PostedClaim:
    """A claim as it travels: signature (65 bytes r, s, v) and the bytes behind its input and output root."""

    claim: Claim
    signature: bytes
    inputs: bytes
    outputs: bytes


def split(data: bytes, tensors: Sequence[TensorType], what: str) -> list[bytes]:
    """Cut concatenated tensors apart; raises ClaimError if the length is not the header's."""
    expected = sum(tensor.bytes for tensor in tensors)
    if len(data) != expected:
        raise ClaimError(
            f"the claim's {what} has {len(data)} bytes, the model's header asks for {expected}; "
            "send every tensor in header order"
        )
    parts, at = [], 0
    for tensor in tensors:
        parts.append(data[at : at + tensor.bytes])
        at += tensor.bytes
    return parts


def join(arrays: Sequence[np.ndarray], tensors: Sequence[TensorType]) -> bytes:
    """Concatenated little-endian bytes of tensors, as they are posted."""
    return b"".join(pack(array, tensor) for array, tensor in zip(arrays, tensors, strict=True))


def arrays(data: bytes, tensors: Sequence[TensorType], what: str) -> list[np.ndarray]:
    """The tensors in ``data``, each with its header's dtype and shape; raises ClaimError."""
    parts = split(data, tensors, what)
    return [
        np.frombuffer(part, dtype=tensor.dtype.numpy).reshape(tensor.shape)
        for part, tensor in zip(parts, tensors, strict=True)
    ]


def tensor_roots(data: bytes, tensors: Sequence[TensorType], tensor_depth: int, what: str) -> list[Root]:
    """Roots of concatenated tensors, each extended to the program's tensor depth."""
    return [tensor_root(part, tensor_depth) for part in split(data, tensors, what)]


def output_types(header: Header) -> list[TensorType]:
    return [tensor for _, tensor in header.outputs]


def input_root(header: Header, data: bytes) -> Root:
    """Input root of a claim; raises ClaimError if ``data`` does not have the header's length."""
    return join_root(tensor_roots(data, header.inputs, header.tensor_depth, "input"), header.tensor_depth)


def output_root(header: Header, data: bytes) -> Root:
    """Output root of a claim; raises ClaimError if ``data`` does not have the header's length."""
    return join_root(tensor_roots(data, output_types(header), header.tensor_depth, "output"), header.tensor_depth)


def posting_gas(header: Header, posted: PostedClaim) -> int:
    """Gas that L1 uses for this claim in a group, at most, without what the group itself takes (``GROUP_GAS``).

    Every tensor costs its way up to the header's depth, however few its bytes are: 510 bytes of somebody's model can cost
    more than a transaction may use.
    """
    paths = (len(header.inputs) + len(header.outputs)) * (3_000 + 700 * header.tensor_depth)
    size = len(posted.inputs) + len(posted.outputs)
    return 10_000 + paths + 60 * size


GROUP_GAS = 160_000
"""Gas that a group takes in a batch besides its claims, at most: its signature, and its words of bonds and nonces."""


def problems(posted: PostedClaim, header: Header, assembled: tuple[bool, bool] = (False, False)) -> Iterator[str]:
    """What L1 would find wrong in the bytes, as sentences; signature, nonce, expiry and bond need the chain's state.

    ``assembled``: whether input and output were uploaded before, so that empty bytes stand for them.
    """
    claim = posted.claim
    size = len(posted.inputs) + len(posted.outputs)
    if size > MAX_CLAIM_BYTES:
        yield f"input and output have {size} bytes, {MAX_CLAIM_BYTES} can be posted; upload them before"
        return
    if header.policy is TracePolicy.WITH_CLAIM and claim.trace_root == NO_ROOT:
        yield "the model's trace policy is 'with the claim'; hash the trace and sign the claim with its root"
    if header.policy is TracePolicy.ON_DISPUTE and claim.trace_root != NO_ROOT:
        yield "the model's trace policy is 'on dispute'; sign the claim with a zero trace root"
    for what, root, derive, data, uploaded in (
        ("input", claim.input_root, input_root, posted.inputs, assembled[0]),
        ("output", claim.output_root, output_root, posted.outputs, assembled[1]),
    ):
        if uploaded and not data:
            continue
        try:
            derived = derive(header, data)
        except ClaimError as error:
            yield str(error)
            continue
        if derived != root:
            yield (
                f"the claim's {what} root is {root.hex()[:16]}... but its {what} bytes hash to "
                f"{derived.hex()[:16]}...; sign the bytes that are sent"
            )
