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
from rollup.l1.requests.asked import ANYBODY, NO_COMMITTEE, Request
from rollup.l1.requests.calls import ask
from rollup.l1.requests.events import RequestAgreed, Requested
from rollup.l1.requests.lookup import find_request
from rollup.l1.requests.quorum import (
    DRAW_BLOCKS,
    Quorum,
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
from rollup.types import DType, ModelId, Root, Timestamp
from tests.anvil import Anvil
from tests.world import ETHER, TERMS, deploy

pytestmark = pytest.mark.anvil

INPUTS = bytes([1, 2, 3, 4])
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

    def ask(self, committee: bytes, commit_blocks: int = 10) -> bytes:
        now = self.asker.chain.now()
        request = Request(
            MODEL.program.id, Root(bytes(32)), ANYBODY, ANYBODY, 100_000, FEE, ANYBODY, Timestamp(0), Timestamp(now + 3_000),
            ANYBODY, 0, len(NAMES), commit_blocks, committee, bytes(32), 0,
        )  # fmt: skip
        return self.asker.send(ask(request, INPUTS, b"")).one(Requested).request_id

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
    assert jury.progress(request_id) is Progress.UNDELIVERED
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
