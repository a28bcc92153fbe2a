"""Asking on L1, as a contract does: a request made, followed and ended by an account of one's own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rollup.claim import Address
from rollup.client.views import ModelView
from rollup.errors import ClientError, MoveError, WaitTimeout
from rollup.l1.client import L1Client
from rollup.l1.requests import calls
from rollup.l1.requests.asked import ANYBODY, NO_COMMITTEE, Request
from rollup.l1.requests.costs import member_gas
from rollup.l1.requests.events import AnswerRevealed, AnswerSettled, Requested
from rollup.l1.requests.lookup import FoundRequest, answer_of, asked_events, find_request
from rollup.l1.requests.quorum import committee_of, members_of, name_committee
from rollup.numbers import cuts, input_bytes, outputs_of, prepared
from rollup.types import Root, Timestamp
from rollup.words import show_wei, when
from sequencer.requests.policy import request_gas

LOOK_SECONDS = (0.2, 2.0)
"""Pauses between two looks at L1: the first and the longest."""

GENEROUS = 3
"""What is offered, in costs of an answer at the present price of gas."""


@dataclass(frozen=True)
class Wanted:
    """What a request is to say. ``fee`` None: enough at the present price of gas. Times in seconds from now.

    ``quorum``: so many equal answers make it agreed, 0: it waits for finality; by the ``committee``, or by provers that are drawn if
    there is none, who commit within ``commit_blocks`` blocks. ``exclusive``: for so long only the prover's claim answers, or the members'.
    """

    callback: Address = ANYBODY
    gas_limit: int = 0
    data: bytes = b""
    fee: int | None = None
    lasting: int = 24 * 3600
    prover: Address = ANYBODY
    exclusive: int = 0
    quorum: int = 0
    committee: tuple[Address, ...] = ()
    commit_blocks: int = 0


def posted_inputs(model: ModelView, arrays: Sequence[Any], clamp: bool = False) -> bytes:
    """The input's bytes as a request carries them; raises ClientError for arrays that the model does not take."""
    if len(arrays) != len(model.inputs):
        raise ClientError(
            f"model {model.name} takes {len(model.inputs)} inputs, {len(arrays)} were given; pass one array per input"
        )
    given = [
        prepared(array, tensor.name, tensor.shape, tensor.dtype)
        for array, tensor in zip(arrays, model.inputs, strict=True)
    ]
    found = cuts(model.header, model.interface, given)
    if found and not clamp:
        raise ClientError(found[0].refusal)
    return input_bytes(model.header, given)


def offered(client: L1Client, model: ModelView, wanted: Wanted) -> int:
    """Wei that are offered if nobody says how many."""
    asked = _request(client, model, wanted, 0)
    price = client.chain.base_fee() + client.chain.fees.priority
    if wanted.quorum:
        return GENEROUS * price * wanted.quorum * member_gas(asked, model.header, len(wanted.data))
    return GENEROUS * price * request_gas(model.header, asked, len(wanted.data))


def ask(client: L1Client, model: ModelView, inputs: bytes, wanted: Wanted) -> Requested:
    """Make the request with the client's account, and its committee known before. Raises Reverted if L1 refuses it, MoveError if it
    can't be paid or told.
    """
    if wanted.callback != ANYBODY and not client.chain.has_code(wanted.callback):
        raise MoveError(f"{wanted.callback} has no code on this chain, so nobody would be told; deploy it first")
    fee = offered(client, model, wanted) if wanted.fee is None else wanted.fee
    held = client.chain.wei_of(client.account)
    if held <= fee:
        raise MoveError(
            f"{client.account} has {show_wei(held)}, the fee alone is {show_wei(fee)}; send it some (on a development chain: "
            "touchstone ledger faucet), or offer less by --fee"
        )
    if wanted.committee and not members_of(client, committee_of(wanted.committee)):
        client.send(name_committee(wanted.committee))
    return client.send(calls.ask(_request(client, model, wanted, fee), inputs, wanted.data)).one(Requested)


def _request(client: L1Client, model: ModelView, wanted: Wanted, fee: int) -> Request:
    now = client.chain.now()
    reserved = wanted.exclusive > 0 and (wanted.prover != ANYBODY or wanted.quorum > 0)
    return Request(
        model.id,
        Root(bytes(32)),
        ANYBODY,
        wanted.callback,
        wanted.gas_limit,
        fee,
        wanted.prover,
        Timestamp(now + wanted.exclusive) if reserved else Timestamp(0),
        Timestamp(now + wanted.lasting),
        ANYBODY,
        0,
        wanted.quorum,
        wanted.commit_blocks if wanted.quorum else 0,
        committee_of(wanted.committee) if wanted.committee else NO_COMMITTEE,
        bytes(32),
        0,
    )


def wait_answer(
    client: L1Client, request_id: bytes, patience: float, final: bool = False, first: int | None = None
) -> FoundRequest:
    """The request once it is answered, agreed (unless it is to be ``final``) or refunded. Raises WaitTimeout after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    pause, longest = LOOK_SECONDS
    while True:
        found = find_request(client, request_id, first)
        if found.is_over and not (final and found.standing.level == "agreed"):
            return found
        if time.monotonic() >= deadline:
            how = "the quorum's answer is not final" if found.is_over else "nobody answered it"
            raise WaitTimeout(
                f"after {patience:g} s {how}, request 0x{request_id.hex()}; claims that answer it may be posted until "
                f"{when(found.standing.until)}, see touchstone request show"
            )
        time.sleep(pause)
        pause = min(longest, 1.5 * pause)


def outputs(client: L1Client, found: FoundRequest) -> list[Any] | None:
    """The answer in the model's numbers, a nested list for each output; None while there is none."""
    posted = answer_of(client, found)
    if posted is None:
        return None
    return [array.tolist() for array in outputs_of(client.header(found.request.model_id), posted.outputs)]


def paid_to(client: L1Client, found: FoundRequest) -> list[Address]:
    """Whom the fee was paid: who answered alone, or the members of a quorum whose claims are settled and final, in that order."""
    if found.standing.claimant is not None:
        return [found.standing.claimant]
    if not found.request.quorum:
        return []
    events = [one.event for one in asked_events(client, found.block, client.chain.height(), found.request_id)]
    provers = {event.claim_id: event.prover for event in events if isinstance(event, AnswerRevealed)}
    return [provers[event.claim_id] for event in events if isinstance(event, AnswerSettled) and event.paid]


def undelivered_answer(client: L1Client, request_id: bytes) -> tuple[FoundRequest, bytes]:
    """A request whose callback failed, and the output's bytes that it is to be told. Raises MoveError if nothing is to be delivered."""
    found = find_request(client, request_id)
    if found.standing.told or not found.standing.failures:
        raise MoveError(
            f"no callback of request 0x{request_id.hex()} failed (it is {found.state}); nothing is to be done"
        )
    posted = answer_of(client, found)
    if posted is None:
        raise MoveError(f"request 0x{request_id.hex()} has no answer (it is {found.state}); nothing is to be delivered")
    if not posted.outputs:
        raise MoveError(
            f"the output of request 0x{request_id.hex()} was uploaded apart; deliver it with its bytes by a contract call"
        )
    return found, posted.outputs
