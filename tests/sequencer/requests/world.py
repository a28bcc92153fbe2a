"""A chain on which contracts ask, the parts of a sequencer that answer them, and consumers of every kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rollup.claim import Address, ClaimId, PostedClaim, join
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.l1.node.chain import Chain
from rollup.l1.requests import calls
from rollup.l1.requests.asked import ANYBODY, NO_COMMITTEE, Request, Subscription
from rollup.l1.requests.events import Requested, Subscribed
from rollup.types import Duration, ModelId, Root, Timestamp
from sequencer.batcher import Batcher
from sequencer.intake.admission import Admission
from sequencer.intake.intake import Intake
from sequencer.intake.limits import Limits
from sequencer.mirror import Mirror
from sequencer.requests.answering import Answerer
from sequencer.requests.errands import Errands
from sequencer.requests.policy import Policy
from sequencer.requests.purse import Purse
from sequencer.requests.states import Asked
from sequencer.states import OfferedModel
from sequencer.store import Store
from tests.e2e.toy_program import toy_inputs, values_of
from tests.world import ETHER, PROGRAM, sign_claim

LIMITS = Limits(count=64, age=Duration(60))
POLICY = Policy(percent=100)

TAKES = bytes.fromhex("00")
"""STOP: whatever it is told, it takes."""
REVERTS = bytes.fromhex("60006000fd")
BURNS = bytes.fromhex("5b600056")
"""A loop without an end."""
BOMB = bytes.fromhex("6203ffff6000f3")
"""Returns a quarter of a megabyte."""
DIES = bytes.fromhex("33ff")
"""SELFDESTRUCT to whoever calls."""
SWITCH = bytes.fromhex("36602014601457600054601257600060 00fd5b005b60003560005500".replace(" ", ""))
"""Reverts until it is told a word that is not zero; that call is the only one of 32 bytes."""


@dataclass
class LocalProver:
    """Signs for the toy program in this process; ``lie``: what it does to the outputs. ``down``: raises this."""

    client: L1Client
    asked: list[tuple[bytes, int]] = field(default_factory=list)
    lie: Callable[[list[np.ndarray]], list[np.ndarray]] | None = None
    down: Exception | None = None

    async def account(self) -> Address:
        if self.down is not None:
            raise self.down
        return self.client.account

    async def answer(
        self, model_id: ModelId, inputs: bytes, request_id: bytes, nonce: int, valid_until: Timestamp
    ) -> PostedClaim:
        if self.down is not None:
            raise self.down
        self.asked.append((request_id, nonce))
        arrays, at = [], 0
        for kind in PROGRAM.header.inputs:
            arrays.append(np.frombuffer(inputs[at : at + kind.bytes], kind.dtype.numpy).reshape(kind.shape))
            at += kind.bytes
        values = values_of(PROGRAM, arrays)
        changes: dict[str, Any] = {"request_id": request_id, "nonce": nonce, "valid_until": valid_until}
        if self.lie is not None:
            outputs = [np.array(values[index]) for index in PROGRAM.header.outputs]
            changes["outputs"] = self.lie(outputs)
        return sign_claim(self.client, PROGRAM, arrays, values, **changes)


@dataclass
class AskingWorld:
    """``deployer``: the contracts; ``client`` pays for batches, ``asking`` for transactions about requests, ``claimant`` signs."""

    deployer: L1Client
    client: L1Client
    asking: L1Client
    claimant: L1Client
    requester: L1Client
    store: Store
    policy: Policy = POLICY
    limits: Limits = LIMITS
    clock: float = 0.0

    def __post_init__(self) -> None:
        if self.store.models.get(PROGRAM.id) is None:
            self.store.models.add(OfferedModel.of(PROGRAM, "toy", Timestamp(0)))
        self.mirror = Mirror(self.client, self.store)
        self.mirror.sync()
        self.intake = Intake(self.client, self.store, Admission(self.client, self.store, self.limits))
        self.batcher = Batcher(self.client, self.store, self.mirror, self.limits, clock=lambda: 0.0)
        self.prover = LocalProver(self.claimant)
        self.purse = Purse(self.asking, self.store, self.policy)
        self.answerer = Answerer(
            self.store,
            self.prover,
            self.intake,
            self.policy,
            self.purse.price,
            self.batcher.hurry,
            lambda: self.clock,
        )
        self.errands = Errands(self.asking, self.store, self.mirror, self.policy, self.purse)

    @property
    def chain(self) -> Chain:
        return self.deployer.chain

    def again(self, **changes: object) -> AskingWorld:
        """A new life of the process, which knows nothing but the store and L1."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def consumer(self, code: bytes) -> Address:
        """A contract whose runtime code this is."""
        return consumer_of(self.requester, code)

    def ask(
        self,
        seed: int = 1,
        callback: Address | None = None,
        fee: int = ETHER,
        patience: int = 3600,
        gas_limit: int = 100_000,
        prover: Address = ANYBODY,
        exclusive: int = 0,
        data: bytes = b"along",
        uploaded: bool = False,
    ) -> Requested:
        now = self.chain.now()
        request = request_of(now, callback or self.consumer(TAKES), fee, patience, gas_limit, prover, exclusive)
        receipt = self.requester.send(calls.ask(request, b"" if uploaded else input_bytes(seed), data))
        return receipt.one(Requested)

    def subscribe(self, times: int, interval: int, fee: int = ETHER, patience: int = 3600) -> Subscribed:
        first = request_of(0, self.consumer(TAKES), fee, 0)
        subscription = Subscription(first, Duration(interval), Duration(0), Duration(patience), 0)
        return self.requester.send(calls.subscribe(subscription, times, input_bytes(1), b"along")).one(Subscribed)

    def read(self, request_id: bytes) -> Asked:
        self.mirror.sync()
        found = self.store.requests.get(request_id)
        assert found is not None
        return found

    def post(self) -> Receipt | None:
        """A round of what takes and posts claims."""
        self.mirror.sync()
        self.answerer.step()
        return self.batcher.step()

    def claims(self, request_id: bytes) -> list[ClaimId]:
        return [one.claim_id for one in self.store.requests.answering([request_id]).get(request_id, [])]

    def finish(self) -> None:
        """Let the challenge period of what was posted go by."""
        self.chain.advance(self.deployer.parameters.window + 1)  # type: ignore[attr-defined]


def consumer_of(client: L1Client, code: bytes) -> Address:
    """A contract whose runtime code this is, deployed by the client's account."""
    creation = bytes([0x61, *len(code).to_bytes(2, "big"), 0x80, 0x60, 12, 0x60, 0, 0x39, 0x60, 0, 0xF3]) + code
    receipt = client.chain.transact(client._key(), None, creation)
    return Address(str(receipt["contractAddress"]))


def request_of(
    now: int,
    callback: Address,
    fee: int = ETHER,
    patience: int = 3600,
    gas_limit: int = 100_000,
    prover: Address = ANYBODY,
    exclusive: int = 0,
) -> Request:
    """What the requester says of a request; the contract fills in the rest."""
    until, mine = Timestamp(now + patience), Timestamp(now + exclusive)
    unsaid = bytes(32)
    return Request(
        PROGRAM.id,
        Root(unsaid),
        ANYBODY,
        callback,
        gas_limit,
        fee,
        prover,
        mine if prover != ANYBODY else Timestamp(0),
        until,
        ANYBODY,
        0,
        0,
        0,
        NO_COMMITTEE,
        unsaid,
        0,
    )


def input_bytes(seed: int) -> bytes:
    return join(toy_inputs(seed), PROGRAM.header.inputs)
