"""Who signs for groups may be slow, lie, or say nothing that can be read: the claims are posted all the same."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prover.service.archive import Archive
from prover.service.worker import InferenceWorker
from rollup.claim import GROUP_GAS, Address, PostedClaim, posting_gas
from rollup.documents.claims import MAX_GROUP, GroupRequest
from rollup.errors import ClaimError, ClientError
from rollup.group import Group, runs
from rollup.l1.account.signing import Signer, group_digest
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.l1.events import ClaimPosted
from rollup.types import Duration
from sequencer import grouping
from sequencer.batcher import Batcher
from sequencer.grouping import Grouping, ProverSigner
from sequencer.intake.limits import Limits
from sequencer.states import State
from sequencer.store import Store
from tests.challenger.hostile import Answer, head, serving, whole
from tests.prover.service.world import TOKEN, served
from tests.sequencer.desk import Desk
from tests.sequencer.examples import new_claim
from tests.world import ETHER, PROGRAM, ToyWorld

LIMITS = Limits(count=8, age=Duration(0))


@pytest.fixture
def world() -> ToyWorld:
    return ToyWorld()


@pytest.fixture
def desk(world: ToyWorld) -> Iterator[Desk]:
    store = Store.open()
    yield Desk(world.client("sequencer"), world.client("claimant", deposit=100 * ETHER), store, LIMITS)
    store.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Desk]:
    """Of tests that post nothing."""
    world = ToyWorld()
    store = Store.open()
    yield Desk(world.client("sequencer"), world.client("claimant"), store, LIMITS)
    store.close()


def joining(desk: Desk, signer: grouping.GroupSigner) -> Batcher:
    """A batcher that asks this signer."""
    asked = Grouping(desk.client, signer)
    return Batcher(desk.client, desk.store, desk.mirror, desk.limits, clock=lambda: 0.0, grouping=asked)


def answering(body: bytes, status: int = 200) -> Answer:
    return lambda connection, line, data: connection.sendall(whole(body, status))


def hanging(connection: socket.socket, line: str, body: bytes) -> None:
    connection.sendall(head(200, 1000))
    time.sleep(2)


def signing(signer: Signer, desk: Desk) -> Answer:
    """A signature of the group by this key, whoever's claims it is of."""

    def answer(connection: socket.socket, line: str, body: bytes) -> None:
        claims = GroupRequest.model_validate_json(body).value
        digest = group_digest([desk.client.claim_id(one.claim) for one in claims], desk.client.domain)
        connection.sendall(whole(json.dumps({"signature": "0x" + signer.sign(digest).hex()}).encode()))

    return answer


ANSWERS: dict[str, Answer] = {
    "no JSON": answering(b"<html>"),
    "no UTF-8": answering(b"\xff\xfe{}"),
    "nested": answering(b"[" * 60_000),
    "a long number": answering(b'{"signature": ' + b"9" * 60_000 + b"}"),
    "no object": answering(b"7"),
    "no signature": answering(b"{}"),
    "a short signature": answering(b'{"signature": "0x00"}'),
    "zeros": answering(json.dumps({"signature": "0x" + "00" * 65}).encode()),
    "a high s": answering(json.dumps({"signature": "0x" + "ff" * 64 + "1b"}).encode()),
    "a refusal": answering(b'{"detail": "\\u0000\\n not yours"}', 422),
    "a refusal without words": answering(b"[" * 60_000, 500),
    "a redirect": answering(b"{}", 302),
    "too much": answering(b" " * 1_000_000),
    "nothing": lambda connection, line, data: None,
    "half of an answer": hanging,
}


@pytest.mark.parametrize("attack", ANSWERS)
def test_attack_a_prover_that_answers_this_is_asked_once(shared: Desk, attack: str) -> None:
    run = [shared.claim() for _ in range(3)]
    with serving(ANSWERS[attack]) as prover:
        asked = Grouping(shared.client, ProverSigner(prover.url, "secret", seconds=0.3))
        for _ in range(2):
            assert asked.groups(run) == [Group.alone(one) for one in run]
        assert len(prover.requests) == 1


def test_attack_a_prover_that_signs_with_another_key_is_found_out_before_it_costs_gas(shared: Desk) -> None:
    run = [shared.claim() for _ in range(3)]
    eve = Signer.from_key(b"\x0e" * 32)
    with serving(signing(eve, shared)) as prover:
        asked = Grouping(shared.client, ProverSigner(prover.url, None))
        assert asked.groups(run) == [Group.alone(one) for one in run]


def test_attack_brackets_without_end_delay_no_claim(desk: Desk) -> None:
    desk.take(3)
    with serving(ANSWERS["nested"]) as prover:
        assert joining(desk, ProverSigner(prover.url, None)).step() is not None
    assert desk.on_l1() == desk.taken


def test_a_prover_signs_for_its_own_claims_and_they_are_one_group(desk: Desk, world: ToyWorld) -> None:
    worker = InferenceWorker(world.chain.signer("claimant"), desk.client.domain, world.chain.now)
    desk.take(3)
    with served(worker, Archive(worker.trace)) as prover:
        receipt = joining(desk, ProverSigner(str(prover.base_url), TOKEN)).step()
    assert receipt is not None
    assert [event.group for event in receipt.events if isinstance(event, ClaimPosted)] == [0, 0, 0]
    assert desk.states() == [State.POSTED] * 3


def test_attack_many_claimants_and_a_prover_that_hangs_hold_a_batch_up_once(
    desk: Desk, world: ToyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can hand in two claims that could be one group; whether the prover signs for them, it alone knows."""
    monkeypatch.setattr(grouping, "BATCH_SECONDS", 0.3)
    for number in range(4):
        other = desk.again(claimant=world.client(f"claimant {number}", deposit=ETHER), nonce=10 * number)
        other.taken = desk.taken
        other.take(2)
    with serving(hanging) as prover:
        assert joining(desk, ProverSigner(prover.url, None, seconds=0.4)).step() is not None
        assert len(prover.requests) == 1
    assert desk.states() == [State.POSTED] * 8


def test_a_batch_for_whose_groups_nobody_signs_is_cut_to_its_gas(desk: Desk) -> None:
    limit = 700_000
    desk.limits = replace(LIMITS, gas=limit)
    desk.take(8)
    sent: list[int] = []

    class Nobody:
        def sign(self, claims: Sequence[PostedClaim]) -> bytes:
            raise ClientError("there is no key here")

    class Noting(L1Client):
        def post_groups(self, groups: Sequence[Group]) -> Receipt:
            claims = [one for group in groups for one in group.claims]
            gas = sum(posting_gas(PROGRAM.header, one) for one in claims)
            sent.append(gas + GROUP_GAS * len(groups))
            return super().post_groups(groups)

    noting = Noting(desk.client.chain, desk.client.address, desk.client._key(), desk.client.first)
    batcher = joining(desk.again(client=noting), Nobody())
    while batcher.step() is not None:
        pass
    assert desk.states() == [State.POSTED] * 8
    assert len(sent) > 1 and max(sent) <= limit


def test_a_run_that_is_longer_than_a_prover_signs_for_is_several_groups(shared: Desk) -> None:
    key = shared.claimant._key()
    first = shared.claim()
    run = [replace(first, claim=replace(first.claim, nonce=1000 + j)) for j in range(MAX_GROUP + 2)]

    class Bounded:
        def sign(self, claims: Sequence[PostedClaim]) -> bytes:
            asked = GroupRequest.of(claims).value
            return key.sign(group_digest([shared.client.claim_id(one.claim) for one in asked], shared.client.domain))

    groups = Grouping(shared.client, Bounded()).groups(run)
    assert [len(group.claims) for group in groups] == [MAX_GROUP, 2]
    assert [one for group in groups for one in group.claims] == run


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.booleans()), max_size=12))
def test_runs_hold_every_claim_once_and_each_can_be_a_group(
    keys: list[tuple[int, int, bool]],
) -> None:
    accounts = [Address("0x" + f"{number}{number}" * 20) for number in (1, 2, 3)]
    plain = new_claim(1).posted
    claims = [
        replace(plain, claim=replace(plain.claim, claimant=accounts[who], nonce=nonce, valid_until=9 + late))
        for who, nonce, late in keys
    ]
    found = runs(claims)
    assert sorted(map(repr, claims)) == sorted(repr(one) for run in found for one in run)
    for run in found:
        Group(run, b"")


CHANGES: dict[str, Callable[[PostedClaim], PostedClaim]] = {
    "output": lambda one: replace(one, claim=replace(one.claim, output_root=one.claim.input_root)),
    "request": lambda one: replace(one, claim=replace(one.claim, request_id=b"\x01" * 32)),
    "no signature": lambda one: replace(one, signature=b""),
    "another's signature": lambda one: replace(one, signature=bytes(65)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_attack_a_prover_signs_no_group_with_a_claim_that_it_did_not_sign(shared: Desk, change: str) -> None:
    worker = InferenceWorker(shared.claimant._key(), shared.client.domain, shared.client.chain.now)
    right, other = shared.claim(), shared.claim()
    with pytest.raises(ClaimError):
        worker.sign_group([right, CHANGES[change](other)])
    assert worker.sign_group([right, other])
