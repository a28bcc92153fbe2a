"""A liar on a development network: convicted whatever it lies about and however it behaves; refused where money is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from challenger.defender import Behaviour
from challenger.publications.remote import RemoteTraces
from challenger.watch.watcher import Watcher
from prover.executor import Executor
from rollup.archive import Programs
from rollup.client import Client
from rollup.errors import ChainError
from rollup.form.program import Program
from rollup.game.moves import Rule
from rollup.l1.account.fees import FeePolicy
from rollup.l1.account.keys import load_signer
from rollup.l1.answers import ClaimStatus
from rollup.l1.client import L1Client
from rollup.l1.node.chain import Chain
from rollup.l1.node.development import KEYS, DevelopmentChain
from rollup.l1.node.embedded import EmbeddedChain
from rollup.machine.reference import Memory
from rollup.service.health import Health
from rollup.service.loop import Loop
from rollup.service.server import serve
from rollup.settings import Parameters
from rollup.types import Duration, Timestamp
from sequencer.api.app import create_api
from sequencer.api.parts import Parts
from sequencer.batcher import Batcher
from sequencer.intake.admission import Admission
from sequencer.intake.intake import Intake
from sequencer.intake.writer import Writer
from sequencer.mirror import Mirror
from sequencer.states import OfferedModel
from sequencer.store import Store
from tests.e2e.toy_program import toy_inputs, toy_program, values_of
from tests.world import deploy
from touchstone.devnet import PUBLISHED_PORT
from touchstone.devnet.chain import ChainServer
from touchstone.lying.liar import Liar
from touchstone.lying.lies import About, lie

TERMS = Parameters(window=Duration(10**8), clock=Duration(10**6), arity=2)
TICK = 0.03
PACE, HURRY = 1, 20_000
"""Seconds of the chain's time per tick: clocks run out when a test is in a hurry, and never because a machine is slow."""


class LiarWorld:
    """A development chain that is in a hurry, a sequencer with its API, and a watcher; one thread moves them all."""

    def __init__(self, folder: Path) -> None:
        self.now, self.pace = int(time.time()), PACE
        self.time = Loop("time", self.tick, TICK)
        self.time.start()
        self.chain_server = ChainServer(DevelopmentChain(lambda: self.now, 1), "127.0.0.1", 0)
        self.chain_server.__enter__()
        self.program = toy_program()
        accounts = [load_signer(key) for key in KEYS[:3]]
        deployer = deploy(self.chain(), accounts[0], self.program, parameters=TERMS)
        self.client = L1Client(self.chain(), deployer.address, accounts[1], deployer.first, deployer.asking)
        self.store = Store.open(f"sqlite:///{folder}/sequencer.db")
        self.mirror = Mirror(self.client, self.store)
        self.mirror.sync()
        self.admission = Admission(self.client, self.store)
        self.writer = Writer(self.store).start()
        intake = Intake(self.client, self.store, self.admission, self.writer)
        self.batcher = Batcher(self.client, self.store, self.mirror)
        programs = Programs(folder / "models")
        programs.add(self.program)
        self.store.models.add(OfferedModel.of(self.program, "toy", Timestamp(0)))
        parts = Parts(self.store, self.client, intake, programs, Health())
        self.api = serve(create_api(parts), "127.0.0.1", 0).start()
        watching = L1Client(self.chain(), deployer.address, accounts[2], deployer.first)
        watching.fund(10 * TERMS.challenge_bond)
        traces = RemoteTraces([f"http://127.0.0.1:{PUBLISHED_PORT + 1000}"])
        self.watcher = Watcher(watching, traces, lambda program: Executor(program, self_test=False))
        self.watcher.hold(self.program)
        self.moving = Loop("network", self.step, 0.05)
        self.moving.start()

    def tick(self) -> None:
        self.now += self.pace

    def chain(self) -> Chain:
        return Chain.connect(self.chain_server.url, FeePolicy(poll=0.1))

    def step(self) -> None:
        self.mirror.sync()
        self.admission.refresh()
        self.batcher.flush()
        self.watcher.poll()

    def stop(self) -> None:
        self.moving.stop()
        self.api.stop()
        self.writer.stop()
        self.store.close()
        self.chain_server.__exit__()
        self.time.stop()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiarWorld]:
    made = LiarWorld(tmp_path_factory.mktemp("network"))
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("about", "behaviour", "rule", "words"),
    [
        (About.INTERMEDIATE, Behaviour.WITHHOLDS, Rule.STEP, "goes down to node"),
        (About.OUTPUT, Behaviour.PUBLISHES, Rule.OUTPUT, "named the place already"),
        (About.INPUT, Behaviour.SILENT, Rule.TIMEOUT, "asks to see the trace"),
    ],
    ids=["element, withheld", "output, published", "input, silent"],
)
def test_a_liar_is_convicted_in_front_of_our_eyes(
    network: LiarWorld, about: About, behaviour: Behaviour, rule: Rule, words: str
) -> None:
    story: list[str] = []

    def say(sentence: str) -> None:
        story.append(sentence)
        if behaviour is Behaviour.SILENT and "challenges the claim" in sentence:
            network.pace = HURRY

    liar = Liar(network.chain(), network.api.url, say, seed=3)
    assert liar.run("toy", about, behaviour, PUBLISHED_PORT + 1000, patience=120) is ClaimStatus.INVALID
    network.pace = PACE
    told = "\n".join(story)
    assert f"/#/claims/0x{liar.claim_id.hex()}" in told
    assert words in told and f"Convicted by the rule '{rule.name.lower()}'" in told
    with Client(network.api.url) as client:
        deadline = time.monotonic() + 60
        while client.get(liar.claim_id).state != "invalid":
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_no_lie_is_told_on_a_chain_that_may_hold_money() -> None:
    chain = EmbeddedChain()
    with pytest.raises(ChainError, match="development chains alone"):
        Liar(chain, "http://127.0.0.1:1", lambda sentence: None)


@pytest.mark.parametrize("about", list(About))
def test_a_lie_is_one_difference_in_an_otherwise_consistent_execution(about: About) -> None:
    program, inputs = toy_program(), toy_inputs(1)
    machine, right = Executor(program, self_test=False), values_of(program, inputs)
    for seed in range(5):
        told = lie(program, machine, inputs, about, np.random.default_rng(seed))
        values = list(told.trace.values())
        outputs_wrong = any(
            not np.array_equal(ours, values[value].reshape(ours.shape))
            for ours, (value, _) in zip(told.outputs, program.header.outputs, strict=True)
        )
        false = [
            value
            for value, descriptor, _ in program.op_values()
            if not np.array_equal(values[value], values_of_one(program, values, value, descriptor))
        ]
        assert outputs_wrong == (about is About.OUTPUT)
        assert len(false) == (1 if about is About.INTERMEDIATE else 0)
        assert (np.array_equal(values[0], right[0]) and np.array_equal(values[1], right[1])) or about is About.INPUT
        assert told.sentence


def values_of_one(program: Program, values: list[np.ndarray], value: int, descriptor: int) -> np.ndarray:
    """One value as its op gives it from the values before."""
    memory = Memory(program, list(values[:value]))
    op = program.ops[descriptor]
    return np.array([memory.element(value, at) for at in range(op.elements)], dtype=op.dtype.numpy).reshape(op.shape)
