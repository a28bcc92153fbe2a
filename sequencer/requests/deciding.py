"""Whether a request is answered, and if not, why: decided from what L1 said and what was done, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollup.claim import MAX_CLAIM_BYTES, Address, output_types
from rollup.form.encoding import Header
from rollup.l1.requests.asked import ANYBODY
from rollup.types import Timestamp
from rollup.words import show_wei, when
from sequencer.requests.policy import Policy, request_gas
from sequencer.requests.states import Answering, Asked
from sequencer.states import State


@dataclass(frozen=True)
class Attempt:
    """The request is to be answered by a claim, the ``number``-th that is made for it."""

    number: int


@dataclass(frozen=True)
class Refusal:
    """It is not answered now, and whoever asks is told this."""

    reason: str


@dataclass(frozen=True)
class UnderWay:
    """A claim of ours answers it, or it needs none any more."""


Decision = Attempt | Refusal | UnderWay


@dataclass(frozen=True)
class Circumstances:
    """What a decision rests on beside the request. ``now``, ``height``: of the newest block that is known; ``price``: wei a gas at its base
    fee; ``account``: that signs the prover's claims now, ``accounts``: all that did; ``header`` None: the model is not served here;
    ``known``: the input's bytes are.
    """

    now: Timestamp
    height: int
    price: int
    account: Address
    accounts: frozenset[Address]
    header: Header | None
    known: bool


def decide(asked: Asked, answering: Sequence[Answering], here: Circumstances, policy: Policy) -> Decision:
    """``answering``: every claim that names the request."""
    mine = [one for one in answering if one.ours and one.claimant in here.accounts]
    live = any(one.state is not State.INVALID for one in mine)
    over = any(one.state is State.FINAL for one in answering)
    if not asked.standing.is_open or live or over:
        return UnderWay()
    reason = _unserved(asked, here) or _untimely(asked, here, policy) or _unpaid(asked, here, policy)
    if reason is not None:
        return Refusal(reason)
    false = next((one for one in mine if one.posted), None)
    if false is not None:
        return Refusal(
            f"the claim 0x{false.claim_id.hex()} that answered it was proven false; the operator must look at the prover"
        )
    if len(mine) >= policy.attempts:
        return Refusal(
            f"{len(mine)} claims that answer it could not be posted, the last one because: {mine[-1].reason}"
        )
    return Attempt(len(mine))


def _unserved(asked: Asked, here: Circumstances) -> str | None:
    if here.header is None:
        return f"model 0x{asked.request.model_id.hex()} is not served here"
    size = sum(tensor.bytes for tensor in (*here.header.inputs, *output_types(here.header)))
    if size > MAX_CLAIM_BYTES:
        return f"input and output have {size} bytes, {MAX_CLAIM_BYTES} can be posted with a claim"
    if not here.known:
        return "its input was uploaded in pieces, which are not gathered here; ask with the input's bytes"
    return None


def _untimely(asked: Asked, here: Circumstances, policy: Policy) -> str | None:
    request, last = asked.request, asked.standing.until - policy.margin
    if here.now > last:
        return f"claims that answer it may be posted until {when(asked.standing.until)}, and less than {policy.margin} s are left"
    if here.height < asked.standing.quorum_until:
        return (
            f"its quorum of {request.quorum} may still agree, and then no other claim is paid; it is answered if that fails, which is "
            f"known behind block {asked.standing.quorum_until}"
        )
    favoured = "its quorum's members" if request.quorum else request.prover
    if favoured not in (ANYBODY, here.account) and here.now <= request.prover_until:
        if request.prover_until >= last:
            return f"it is reserved to {favoured} as long as it can be answered"
        return f"it is reserved to {favoured} until {when(request.prover_until)}"
    if here.height < asked.block + policy.confirmations:
        return f"it has {here.height - asked.block} confirmations of {policy.confirmations}"
    return None


def _unpaid(asked: Asked, here: Circumstances, policy: Policy) -> str | None:
    assert here.header is not None
    gas = request_gas(here.header, asked.request, len(asked.data))
    needed = gas * here.price * policy.percent // 100
    if asked.request.pay < needed:
        return (
            f"it pays {show_wei(asked.request.pay)}, an answer of {gas} gas must earn {show_wei(needed)} at {show_wei(here.price)} a gas; "
            "it is looked at again when gas is cheaper"
        )
    return None
