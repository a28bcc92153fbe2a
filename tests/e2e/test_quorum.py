"""Quorums on a real node: provers that see a request, commit in one block, reveal in the next, and are paid in the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Thread

import pytest

from challenger.state.l1_state import L1State
from prover.claims import MadeClaim
from prover.executor import Executor
from prover.model import Model
from prover.service.quorum import Answerer, QuorumPlayer
from prover.service.worker import InferenceWorker
from rollup.form.encoding import TensorType, TracePolicy
from rollup.form.ops import Access, Monoid, Op, Term, Value
from rollup.form.program import Program
from rollup.l1.client import L1Client
from rollup.l1.events import ChunkUploaded, TensorsAssembled
from rollup.l1.requests.asked import ANYBODY, NO_COMMITTEE, Request, Subscription
from rollup.l1.requests.calls import ask, renew, subscribe
from rollup.l1.requests.events import RequestAgreed, Requested, Subscribed
from rollup.l1.requests.lookup import find_request
from rollup.l1.requests.quorum import (
    DRAW_BLOCKS,
    Quorum,
    estimated_quorum_fee,
    join,
    members_of,
    name_committee,
    quorums,
    share,
    stake,
    stake_of,
)
from rollup.l1.requests.reads import earned
from rollup.l1.requests.standing import Progress
from rollup.settings import Parameters
from rollup.types import DType, Duration, ModelId, Root, Timestamp
from tests.anvil import Anvil
from tests.e2e.test_requests import meanwhile, until
from tests.world import ETHER, TERMS, deploy, sign_bytes

pytestmark = pytest.mark.anvil

INPUTS, OUTPUTS = bytes([1, 2, 3, 4]), bytes([1, 4, 9, 16])
FEE = ETHER // 100 + 1
NAMES = ("ada", "ben", "cleo")
PATIENCE = 60.0


def squared() -> Model:
    """A program whose output is the product of its input with itself."""
    access = Access(Value(0), DType.I8, (4,), (0,), (Term(0, 0, 1),))
    op = Op(1, 1, 1, Monoid.NONE, DType.I8, 2, (4,), (), (access, access), ())
    tensor = TensorType(DType.I8, 0, (4,))
    model = Model(Program.build([tensor], [(1, tensor)], [op], {}, TracePolicy.WITH_CLAIM))
    model.__dict__["executor"] = Executor(model.program, self_test=False)
    return model


MODEL = squared()


@dataclass
class Jury:
    """A chain with three bonded provers, and somebody who asks."""

    anvil: Anvil
    parameters: Parameters = TERMS
    clients: dict[str, L1Client] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chain = self.anvil.chain()
        self.asker = deploy(chain, self.anvil.signer("asker"), MODEL.program, parameters=self.parameters)
        for name in NAMES:
            client = self.asker.using(self.anvil.signer(name))
            client.deposit(10 * self.parameters.claim_bond)
            self.clients[name] = client

    def player(self, name: str, lies: bool = False) -> QuorumPlayer:
        """A prover as after a restart: it knows nothing but its key. ``lies``: it claims what comes out for another input."""
        client, signer = self.clients[name], self.anvil.signer(name)
        worker = InferenceWorker(signer, client.domain, client.chain.now)
        worker.hold(MODEL)
        honest = Answerer.of(worker, self.uploaded)
        return QuorumPlayer(client, replace(honest, claim=self._lie(client, worker)) if lies else honest)

    def _lie(self, client: L1Client, worker: InferenceWorker) -> Callable[[Requested, int, Timestamp], MadeClaim]:
        def claim(made: Requested, nonce: int, valid_until: Timestamp) -> MadeClaim:
            other = bytes(byte + 1 for byte in made.inputs)
            wrong = worker.answer(made.model_id, other, made.request_id, nonce, valid_until)[1]
            claim = replace(wrong.posted.claim, input_root=made.request.input_root)
            posted = client.sign(claim, made.inputs, wrong.posted.outputs)
            return replace(wrong, claim_id=client.claim_id(claim), posted=posted)

        return claim

    def uploaded(self, model_id: ModelId, root: Root) -> bytes:
        """As a prover's process knows it: from L1 alone."""
        l1 = L1State(self.asker.first)
        l1.read(self.asker)
        return l1.uploaded_inputs(model_id, root)

    def request(self, committee: bytes, commit_blocks: int = 10, fee: int = FEE) -> Request:
        until = Timestamp(self.asker.chain.now() + 3_000)
        return Request(
            MODEL.program.id, Root(bytes(32)), ANYBODY, ANYBODY, 100_000, fee, ANYBODY, Timestamp(0), until,
            ANYBODY, 0, len(NAMES), commit_blocks, committee, bytes(32), 0,
        )  # fmt: skip

    def ask(self, committee: bytes, commit_blocks: int = 10, fee: int = FEE) -> bytes:
        request = self.request(committee, commit_blocks, fee)
        return self.asker.send(ask(request, INPUTS, b"")).one(Requested).request_id

    def agree(self, request_id: bytes) -> None:
        """Two rounds of provers that were restarted before each."""
        for _ in range(2):
            self.together([self.player(name) for name in NAMES])
        assert self.progress(request_id) is Progress.AGREED

    def together(self, players: list[QuorumPlayer]) -> None:
        """One step of each, whose transactions, one each, come into one block."""
        before = self.anvil.height
        self.anvil.automine(False)
        steps = [Thread(target=player.step) for player in players]
        for step in steps:
            step.start()
        deadline = time.monotonic() + PATIENCE
        while any(step.is_alive() for step in steps):
            assert time.monotonic() < deadline, "the provers' transactions did not come"
            if self.anvil.height == before and len(self.anvil.pending()) == len(players):
                self.anvil.mine()
            for step in steps:
                step.join(0.05)
        self.anvil.automine(True)
        assert self.anvil.height == before + 1

    def quorum(self, request_id: bytes) -> Quorum:
        return quorums(self.asker.events(self.asker.first, self.anvil.height))[request_id]

    def agreed_in(self, request_id: bytes) -> int:
        """The block in which the quorum agreed."""
        events = self.asker.events(self.asker.first, self.anvil.height)
        found = [one for one in events if isinstance(one.event, RequestAgreed) and one.event.request_id == request_id]
        assert len(found) == 1
        return found[0].block

    def progress(self, request_id: bytes) -> Progress:
        return find_request(self.asker, request_id).standing.progress


@pytest.fixture
def jury(anvil: Anvil) -> Jury:
    return Jury(anvil)


@pytest.fixture
def committee(jury: Jury) -> bytes:
    call = name_committee(client.account for client in jury.clients.values())
    jury.asker.send(call)
    made = jury.asker.chain.web3.eth.get_logs({"address": jury.asker.provers_address, "fromBlock": 0})
    name = bytes(made[-1]["topics"][1])
    assert set(members_of(jury.asker, name)) == {client.account for client in jury.clients.values()}
    return name


def test_three_provers_agree_two_blocks_after_pick_up_and_are_paid(jury: Jury, committee: bytes) -> None:
    request_id = jury.ask(committee)
    picked_up = jury.quorum(request_id).picked_up
    jury.together([jury.player(name) for name in NAMES])
    assert len(jury.quorum(request_id).committed) == 3
    # They were all restarted in between.
    players = [jury.player(name) for name in NAMES]
    jury.together(players)
    assert jury.agreed_in(request_id) - picked_up == 2
    assert jury.progress(request_id) is Progress.AGREED
    before = {name: earned(jury.asker, client.account) for name, client in jury.clients.items()}
    for player in players:
        assert player.step() == []
    jury.anvil.advance(jury.parameters.window + 1)
    for player in players:
        assert [receipt.call for receipt in player.step()] == ["settle"]
        assert player.step() == []
    assert jury.progress(request_id) is Progress.ANSWERED, "it names no callback"
    paid = [earned(jury.asker, client.account) - before[name] for name, client in jury.clients.items()]
    assert sorted(paid) == sorted([FEE // 3, FEE // 3, FEE - 2 * (FEE // 3)])


def test_provers_are_drawn_by_a_block_after_the_request(jury: Jury) -> None:
    for client in jury.clients.values():
        client.send(stake(2 * share(client)))
        client.send(join(MODEL.program.id))
    request_id = jury.ask(NO_COMMITTEE)
    jury.anvil.mine(DRAW_BLOCKS)
    players = [jury.player(name) for name in NAMES]
    jury.together(players)
    picked_up = jury.quorum(request_id).picked_up
    assert picked_up == jury.quorum(request_id).block + DRAW_BLOCKS + 1
    jury.together(players)
    jury.together(players)
    assert jury.agreed_in(request_id) - picked_up == 2
    unit = share(jury.asker)
    assert all(stake_of(jury.asker, client.account) == (0, 2 * unit) for client in jury.clients.values())
    jury.anvil.advance(jury.parameters.window + 1)
    for player in players:
        player.step()
    assert all(stake_of(jury.asker, client.account) == (unit, unit) for client in jury.clients.values())


def test_one_other_answer_leaves_it_to_the_game(jury: Jury, committee: bytes) -> None:
    request_id = jury.ask(committee)
    players = [jury.player("ada"), jury.player("ben"), jury.player("cleo", lies=True)]
    jury.together(players)
    jury.together(players)
    quorum = jury.quorum(request_id)
    assert quorum.is_split and not quorum.is_agreed and len(quorum.revealed) == 3
    assert jury.progress(request_id) is Progress.OPEN
    # Whose claim is final shows it, and has the whole fee.
    assert players[0].step() == []
    jury.anvil.advance(jury.parameters.window + 1)
    assert [receipt.call for receipt in jury.player("ada").step()] == ["answer"]
    found = find_request(jury.asker, request_id)
    assert (found.standing.claimant, found.standing.level) == (jury.clients["ada"].account, "final")
    assert earned(jury.asker, jury.clients["ada"].account) == FEE
    assert players[1].step() == []


def test_commitments_that_a_reorganisation_takes_are_made_again(jury: Jury, committee: bytes) -> None:
    request_id = jury.ask(committee)
    jury.together([jury.player(name) for name in NAMES])
    jury.anvil.reorg(1)
    assert not jury.quorum(request_id).committed
    players = [jury.player(name) for name in NAMES]
    jury.together(players)
    jury.together(players)
    assert jury.progress(request_id) is Progress.AGREED


def test_a_silent_prover_leaves_it_to_the_game_and_costs_nobody_anything(jury: Jury, committee: bytes) -> None:
    request_id = jury.ask(committee, commit_blocks=2)
    players = [jury.player("ada"), jury.player("ben")]
    jury.together(players)
    jury.anvil.mine(3)
    for player in [*players, jury.player("cleo")]:
        assert player.step() == []
    assert jury.progress(request_id) is Progress.OPEN and len(jury.quorum(request_id).committed) == 2


def test_inputs_that_were_uploaded_or_came_with_a_subscription_are_found(jury: Jury, committee: bytes) -> None:
    assembled = jury.asker.upload(INPUTS).one(ChunkUploaded)
    root = jury.asker.assemble(MODEL.program.id, False, [assembled.root]).one(TensorsAssembled).root
    uploaded = replace(jury.request(committee), input_root=root)
    jury.agree(jury.asker.send(ask(uploaded, b"", b"")).one(Requested).request_id)
    first = replace(jury.request(committee), until=Timestamp(0))
    kept = Subscription(first, Duration(60), Duration(0), Duration(3_000), 0)
    subscribed = jury.asker.send(subscribe(kept, 2, INPUTS, b"")).one(Subscribed)
    jury.anvil.mine(3)
    made = jury.asker.send(renew(subscribed.subscription, b"")).one(Requested)
    assert made.inputs == b""
    jury.agree(made.request_id)


def test_a_reveal_that_somebody_posts_the_claim_in_front_of_is_made_again_with_the_place(
    jury: Jury, committee: bytes
) -> None:
    request_id = jury.ask(committee)
    players = [jury.player(name) for name in NAMES]
    jury.together(players)
    rival = jury.asker.using(jury.anvil.signer("rival"))
    rival.deposit(jury.parameters.claim_bond)
    own = sign_bytes(rival, MODEL.program.header, INPUTS, OUTPUTS, model_id=MODEL.program.id)
    # What a reveal shows to whoever sees it before it is in a block.
    shown = players[0]._made[request_id].posted
    before = jury.anvil.height
    jury.anvil.automine(False)
    with meanwhile(lambda: rival.post_batch([own, shown])):
        until(jury.anvil.pending)
        with meanwhile(players[0].step):
            until(lambda: len(jury.anvil.pending()) == 2)
            # The block takes them in the order in which they came.
            jury.anvil.mine()
    jury.anvil.automine(True)
    assert jury.anvil.height == before + 1 and not jury.quorum(request_id).revealed
    jury.together(players)
    assert jury.progress(request_id) is Progress.AGREED
    jury.anvil.advance(jury.parameters.window + 1)
    assert [receipt.call for receipt in players[0].step()] == ["settle"]
    assert earned(jury.asker, jury.clients["ada"].account) == FEE - 2 * (FEE // 3)


def test_a_prover_neither_commits_to_what_is_not_worth_it_nor_beyond_its_bound(jury: Jury, committee: bytes) -> None:
    poor = jury.ask(committee, fee=estimated_quorum_fee(jury.asker, MODEL.program.id, 100_000, 3) + 10**12)
    ada = jury.player("ada")
    assert ada.step() == [] and ada.trouble is None and not jury.quorum(poor).committed
    rich = jury.ask(committee)
    ada.policy = replace(ada.policy, spend_wei=10)
    bounded = QuorumPlayer(ada.client, ada.answerer, ada.policy)
    assert bounded.step() == [] and bounded.trouble is not None and "--quorum-spend" in bounded.trouble
    assert [receipt.call for receipt in jury.player("ada").step()] == ["commitAnswer"]
    assert jury.quorum(rich).committed.keys() == {jury.clients["ada"].account}
