"""A claimant who makes the sequencer pay for claims that L1 then skips: the whole kind, each way measured.

The claims are as large as any: 94 KiB of calldata each, so that posting one in vain costs the most that it can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from rollup.claim import PostedClaim
from rollup.errors import ClaimError, Reverted
from rollup.form.encoding import Header, TensorType, TracePolicy, encode_header
from rollup.group import Group
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.l1.events import ClaimPosted, ModelRegistered
from rollup.l1.node.embedded import EmbeddedChain
from rollup.types import DType, Duration, ModelId, Root
from sequencer.intake.limits import Limits
from sequencer.sequencer import Sequencer
from sequencer.states import State, inclusion_of
from sequencer.store import Store
from tests.world import TERMS, deploy, sign_bytes

BOND = TERMS.claim_bond
CLAIMS = 3
LARGE = TensorType(DType.I8, 0, (94 * 1024,))
SMALL = TensorType(DType.I8, 0, (1,))
LIMITS = Limits(age=Duration(0))
MOST = 25
"""What a batch in vain costs the sequencer, over what its claimant pays for that: claims in front have to be posted, too."""


@dataclass
class Ground:
    """Eve with two models and bonds for her claims, a sequencer, and what each of them paid."""

    def __post_init__(self) -> None:
        self.chain = EmbeddedChain()
        deployer = deploy(self.chain, self.chain.signer("deployer"))
        self.eve = deployer.using(self.chain.signer("eve"))
        self.large, self.small = (self._model(tensor) for tensor in (LARGE, SMALL))
        self.paid, self.spent, self.posted, self.nonce = 0, 0, 0, 0
        self.attack: Callable[[Sequence[PostedClaim]], None] = lambda claims: None
        ground = self

        class Overtaken(L1Client):
            """Whose every batch is overtaken by whatever Eve does."""

            def post_groups(self, groups: Sequence[Group]) -> Receipt:
                ground.attack([one for group in groups for one in group.claims])
                receipt = super().post_groups(groups)
                ground.paid += receipt.gas
                ground.posted += sum(isinstance(event, ClaimPosted) for event in receipt.events)
                return receipt

        client = Overtaken(self.chain, deployer.address, self.chain.signer("sequencer"), deployer.first)
        self.sequencer = Sequencer(client, Store.open(), LIMITS)
        self.eve.deposit(CLAIMS * BOND)

    def _model(self, tensor: TensorType) -> tuple[ModelId, Header]:
        header = Header(TracePolicy.WITH_CLAIM, 1, 7, 2, (tensor,), ((1, SMALL),))
        receipt = self.eve._send("RollupChain", "registerModel", encode_header(header), bytes(32))
        return receipt.one(ModelRegistered).model_id, header

    def claim(self, large: bool = True, nonce: int | None = None) -> PostedClaim:
        model_id, header = self.large if large else self.small
        self.nonce += 1
        rng = np.random.default_rng(self.nonce)
        inputs = rng.integers(1, 255, header.inputs[0].bytes, np.uint8).tobytes()
        return sign_bytes(
            self.eve,
            header,
            inputs,
            b"\x01",
            model_id=model_id,
            nonce=self.nonce if nonce is None else nonce,
            valid_until=self.chain.now() + 10**6,
            trace_root=Root(b"\x01" * 32),
        )

    def eve_does(self, receipt: Receipt) -> None:
        self.spent += receipt.gas

    def offer(self, count: int = CLAIMS) -> list[bytes]:
        return [self.sequencer.submit(self.claim()) for _ in range(count)]

    def states(self, ids: Sequence[bytes]) -> list[State | None]:
        return [self.sequencer.store.claims.state(one) for one in ids]  # type: ignore[arg-type]


@pytest.fixture
def ground() -> Ground:
    return Ground()


def test_attack_taking_the_balance_out_in_front_of_a_batch_is_too_late(ground: Ground) -> None:
    def attack(_: Sequence[PostedClaim]) -> None:
        ground.eve_does(ground.eve.announce_withdrawal(ground.eve.balance(ground.eve.account)))
        with pytest.raises(Reverted, match=r"can leave from .* on; wait"):
            ground.eve.complete_withdrawal()

    ids = ground.offer(1)
    ground.attack = attack
    ground.sequencer.flush()
    assert ground.states(ids) == [State.POSTED]
    # Announced is gone: nothing more is taken, and what waits is not posted.
    with pytest.raises(ClaimError, match="has 0 free and not announced to leave"):
        ground.sequencer.submit(ground.claim())


def test_attack_a_withdrawal_that_is_due_already_costs_the_sequencer_nothing(ground: Ground) -> None:
    ids = ground.offer()
    ground.eve.announce_withdrawal(CLAIMS * BOND)
    ground.chain.advance(TERMS.withdrawal_delay)
    ground.attack = lambda claims: pytest.fail("nothing is posted that may be skipped")
    assert ground.sequencer.flush() == []
    assert (ground.paid, ground.states(ids)) == (0, [State.PENDING] * CLAIMS)


def test_attack_cancelling_the_nonces_in_front_of_a_batch_is_too_late(ground: Ground) -> None:
    def attack(claims: Sequence[PostedClaim]) -> None:
        for one in claims:
            ground.eve_does(ground.eve.cancel_nonce(one.claim.nonce))

    ground.attack = attack
    ids = ground.offer()
    ground.sequencer.flush()
    assert ground.states(ids) == [State.POSTED] * CLAIMS


def test_attack_claims_money_bonds_no_challenge_in_front_of_a_batch(ground: Ground) -> None:
    (first,) = ground.offer(1)
    ground.sequencer.flush()
    ids = ground.offer(2)
    store = ground.sequencer.store
    entry, batch = store.claims.get(first), store.batches.get(0)  # type: ignore[arg-type]
    assert entry is not None and batch is not None
    where = inclusion_of(entry, batch)
    assert where is not None

    def attack(_: Sequence[PostedClaim]) -> None:
        with pytest.raises(Reverted, match="of earnings and needs"):
            ground.eve.challenge(entry.posted.claim, where)
        with pytest.raises(Reverted, match="of earnings and needs"):
            ground.eve.withdraw(1)

    ground.attack = attack
    ground.sequencer.flush()
    assert ground.states(ids) == [State.POSTED] * 2


@pytest.mark.parametrize("way", ["nonces", "balance"])
def test_attack_own_claims_in_front_of_a_batch_spoil_one_and_cost_a_bond_and_gas(ground: Ground, way: str) -> None:
    """What remains: claims with the same nonces, or ones that use the balance up, posted by Eve herself in front. They lock bonds for
    a challenge period; the sequencer loses one batch, a bounded multiple of Eve's gas, and takes nothing from her for a while.
    """
    ids = ground.offer()

    def attack(claims: Sequence[PostedClaim]) -> None:
        count = len(claims) if way == "nonces" else ground.eve.balance(ground.eve.account) // BOND
        nonces = [one.claim.nonce for one in claims] if way == "nonces" else [None] * count
        own = [
            ground.claim(large=False, nonce=nonce if nonce is not None else 1000 + j) for j, nonce in enumerate(nonces)
        ]
        if own:
            ground.eve_does(ground.eve.post_batch(own))

    ground.attack = attack
    batches = ground.sequencer.flush()
    assert len(batches) == 1 and ground.posted == 0
    ratio = ground.paid / ground.spent
    print(f"{way}: the sequencer paid {ground.paid:,} gas, Eve {ground.spent:,}: {ratio:.1f} times")
    assert ratio < MOST
    assert ground.eve.locked(ground.eve.account) >= BOND
    # Nothing more for as long as she is not trusted, whatever she deposits.
    ground.eve.deposit(5 * BOND)
    before = ground.paid
    with pytest.raises(ClaimError, match="its claims are taken again from"):
        ground.sequencer.submit(ground.claim())
    ground.chain.advance(LIMITS.distrust - 60)
    assert ground.sequencer.flush() == []
    assert ground.paid == before
    assert State.POSTED not in ground.states(ids)
    # Others are not held up, and she is taken again afterwards.
    ground.attack = lambda claims: None
    ground.chain.advance(120)
    ground.sequencer.submit(ground.claim(large=False))
    assert ground.sequencer.flush()
    assert ground.posted > 0
