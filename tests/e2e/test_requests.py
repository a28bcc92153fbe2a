"""Requests on L1 from end to end: how many blocks an answer takes, who is paid when somebody lies, and the command line."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from challenger.checkers.re_execute import Reference
from challenger.play.trace import SharedTraces
from challenger.watch.watcher import Watcher
from prover.service.archive import Archive
from prover.service.worker import InferenceWorker
from rollup.archive import Programs
from rollup.audit import audit
from rollup.game.moves import Rule
from rollup.l1.client import L1Client
from rollup.l1.deployment import Deployment
from rollup.l1.events import Convicted
from rollup.l1.node.embedded import EmbeddedChain
from rollup.l1.requests import calls
from rollup.l1.requests.asked import Subscription
from rollup.l1.requests.events import RequestAnswered, Requested, Subscribed
from rollup.l1.requests.reads import earned
from rollup.service.logs import configure
from rollup.service.server import serve
from rollup.settings import Parameters
from rollup.types import Duration, Timestamp, hex_of
from rollup.words import show_wei
from sequencer.intake.limits import Limits
from sequencer.requests.policy import Policy
from sequencer.service import SequencerOptions, SequencerService
from sequencer.states import OfferedModel, State
from sequencer.store import Store
from tests.anvil import Anvil
from tests.e2e.toy_program import outputs_of, toy_inputs, values_of
from tests.prover.service.world import TOKEN, model_of_toy, served
from tests.sequencer.requests.world import SWITCH, TAKES, AskingWorld, consumer_of, input_bytes, request_of
from tests.world import ETHER, PROGRAM, TERMS, deploy, sign_claim, terms
from touchstone.cli import main

PATIENCE = 120.0

QUICK = terms(window=Duration(5), clock=Duration(5), spacing=Duration(1), withdrawal_delay=Duration(5))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AskingWorld]:
    chain = EmbeddedChain()
    deployer = deploy(chain, chain.signer("deployer"), PROGRAM)
    store = Store.open(f"sqlite:///{tmp_path}/sequencer.db")
    yield asking_world(lambda name: deployer.using(chain.signer(name)), store)
    store.close()


def asking_world(chain_of: Callable[[str], L1Client], store: Store) -> AskingWorld:
    names = ("sequencer", "asking", "claimant", "requester")
    world = AskingWorld(chain_of("deployer"), *(chain_of(name) for name in names), store)
    world.claimant.deposit(10 * ETHER)
    return world


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """The work goes on in a thread, and has ended without an error after the block."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(PATIENCE)
    assert not failures and not thread.is_alive(), failures


def until(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.anvil
def test_a_request_is_answered_within_the_challenge_period_and_three_blocks(anvil: Anvil, tmp_path: Path) -> None:
    deployer = deploy(anvil.chain(), anvil.signer("deployer"), PROGRAM)
    store = Store.open(f"sqlite:///{tmp_path}/sequencer.db")
    world = asking_world(lambda name: deployer.using(anvil.signer(name)), store)
    asked = world.ask(1)
    anvil.automine(False)
    try:
        begun = anvil.height
        world.mirror.sync()
        assert world.answerer.step() == 1
        with meanwhile(world.batcher.step):
            until(anvil.pending)
            anvil.mine()
        world.mirror.sync()
        (claim_id,) = world.claims(asked.request_id)
        entry = store.claims.get(claim_id)
        assert entry is not None and entry.state is State.POSTED and entry.closes_at is not None
        assert entry.block == begun + 1
        anvil.at(entry.closes_at + 1)
        anvil.mine()
        with meanwhile(world.errands.step):
            until(anvil.pending)
            anvil.mine()
        (answered,) = [one for one in deployer.events(begun, anvil.height) if isinstance(one.event, RequestAnswered)]
    finally:
        anvil.automine(True)
    # One block for the claim, the first behind the challenge period, and one for the answer.
    assert answered.block - begun == 3
    assert world.read(asked.request_id).standing.told
    store.close()


@pytest.mark.anvil
def test_what_a_reorganisation_takes_back_is_neither_shown_nor_answered_twice(anvil: Anvil, tmp_path: Path) -> None:
    deployer = deploy(anvil.chain(), anvil.signer("deployer"), PROGRAM)
    store = Store.open(f"sqlite:///{tmp_path}/sequencer.db")
    world = asking_world(lambda name: deployer.using(anvil.signer(name)), store)
    consumer = world.consumer(TAKES)
    gone = world.ask(1, consumer)
    assert world.read(gone.request_id).state == "open"
    anvil.reorg(1)
    world.mirror.sync()
    assert store.requests.get(gone.request_id) is None
    asked = world.ask(2, consumer)
    world.post()
    assert len(world.claims(asked.request_id)) == 1
    anvil.advance(TERMS.window + 1)
    assert world.errands.step() == 1
    assert world.read(asked.request_id).state == "answered"
    # The answer's block vanishes, with its transaction: it is shown again, and paid once.
    anvil.reorg(1)
    assert world.read(asked.request_id).state == "open"
    anvil.mine()
    assert world.errands.step() == 1
    assert world.read(asked.request_id).standing.told
    anvil.reorg_keeping(1)
    assert world.read(asked.request_id).standing.told
    assert world.errands.step() == 0
    assert earned(deployer, world.claimant.account) == asked.request.fee
    store.close()


def test_a_false_claim_for_a_request_is_convicted_and_the_honest_one_is_paid(world: AskingWorld) -> None:
    deployer, chain = world.deployer, world.chain
    liar = deployer.using(chain.signer("liar"))  # type: ignore[attr-defined]
    liar.deposit(ETHER)
    asked = world.ask(3)
    inputs, values = toy_inputs(3), values_of(PROGRAM, toy_inputs(3))
    wrong = [array.copy() for array in outputs_of(PROGRAM, values)]
    wrong[0].flat[0] ^= 1
    false = sign_claim(liar, PROGRAM, inputs, values, wrong, nonce=1, request_id=asked.request_id)
    # It stands on L1 first, from whoever posts it.
    liar.post_batch([false])
    world.post()
    watching = deployer.using(chain.signer("watcher"))  # type: ignore[attr-defined]
    watcher = Watcher(watching, SharedTraces(), Reference, audit)
    watcher.hold(PROGRAM)
    for _ in range(40):
        watcher.poll()
        chain.advance(20)  # type: ignore[attr-defined]
        world.errands.step()
        if world.read(asked.request_id).state == "answered":
            break
    convicted = [
        one.event for one in deployer.events(deployer.first, chain.height()) if isinstance(one.event, Convicted)
    ]
    assert [(one.claim_id, one.rule) for one in convicted] == [(deployer.claim_id(false.claim), Rule.OUTPUT)]
    found = world.read(asked.request_id)
    assert (found.state, found.standing.claimant) == ("answered", world.claimant.account)
    assert earned(deployer, world.claimant.account) == asked.request.fee
    assert earned(deployer, liar.account) == 0
    assert len(world.claims(asked.request_id)) == 2


class Services:
    """A sequencer as a process has it, and the real prover, on a chain that makes a block a second."""

    def __init__(self, node: Anvil, folder: Path, parameters: Parameters = QUICK) -> None:
        self.folder = folder
        # The command's stdout is read: the services in this process must not write into it.
        configure("error")
        deployer = deploy(node.chain(), node.signer("deployer"), PROGRAM, parameters=parameters)
        self.deployment = folder / "deployment.json"
        Deployment.of(deployer).save(self.deployment)
        prover = deployer.using(node.signer("prover"))
        prover.deposit(10 * ETHER)
        self.prover, self.deployer, self.node = prover, deployer, node
        node.signer("user")
        worker = InferenceWorker(node.signer("prover"), deployer.domain, node.chain().now)
        worker.hold(model_of_toy(), "toy")
        self.served = served(worker, Archive(worker.trace))
        options = SequencerOptions(
            Limits(age=Duration(3600)),
            prover=str(self.served.__enter__().base_url),
            prover_token=TOKEN,
            poll=0.1,
            max_lag=1e12,
            requests=Policy(margin=Duration(95)),
        )
        store = Store.open(f"sqlite:///{folder}/sequencer.db")
        store.models.add(OfferedModel.of(PROGRAM, "toy", Timestamp(0)))
        sequencer, asking = (deployer.using(node.signer(name)) for name in ("sequencer", "asking"))
        self.service = SequencerService(sequencer, store, Programs(folder / "models"), options, asking=asking)
        self.service.start()
        self.server = serve(self.service.api(), "127.0.0.1", 0).start()

    def run(self, *arguments: str) -> Result:
        environ = {
            "TOUCHSTONE_RPC": self.node.url,
            "TOUCHSTONE_DEPLOYMENT": str(self.deployment),
            "TOUCHSTONE_KEY": self.node.key("user"),
            "TOUCHSTONE_URL": self.server.url,
        }
        return CliRunner(env=environ).invoke(main, ["request", *arguments])

    def end(self) -> None:
        self.server.stop()
        self.service.stop()
        self.served.__exit__(None, None, None)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with Anvil(interval=1) as node:
        services = Services(node, tmp_path)
        yield services
        services.end()


@pytest.mark.anvil
def test_the_command_line_asks_waits_shows_cancels_and_takes_back(services: Services) -> None:
    inputs = toy_inputs(5)
    file = services.folder / "input.json"
    file.write_text(json.dumps([(inputs[0] / 256).tolist(), inputs[1].tolist()]))
    done = services.run("ask", "toy", "--input", str(file), "--wait", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["state"], found["level"], found["paid"]) == ("answered", "final", services.prover.account)
    right = outputs_of(PROGRAM, values_of(PROGRAM, inputs))
    header = PROGRAM.header
    scales = [header.outputs[number][1].scale for number in range(len(right))]
    for given, array, scale in zip(found["outputs"], right, scales, strict=True):
        assert np.array_equal(np.asarray(given) * 2.0**scale, array)
    shown = services.run("show", found["request_id"])
    assert shown.exit_code == 0 and f"answer   {found['answer']}" in shown.stdout and "level    final" in shown.stdout
    listed = json.loads(services.run("list", "--json").stdout)
    assert [(one["request_id"], one["state"]) for one in listed] == [(found["request_id"], "answered")]

    # One that is worth nothing is refused with a reason, cancelled, and paid back.
    cheap = services.deployer.chain.base_fee() * 2 * 260_000
    poor = services.run("ask", "toy", "--input", str(file), "--fee", f"{cheap} wei", "--until", "200s", "--json")
    assert poor.exit_code == 0, poor.output
    request_id = json.loads(poor.stdout)["request_id"]
    until(lambda: "an answer of" in services.run("list", "--state", "open").stdout)
    cancelled = services.run("cancel", request_id)
    assert cancelled.exit_code == 0 and "cancelled" in cancelled.stdout
    early = services.run("refund", request_id)
    assert early.exit_code == 1 and "can be taken back after" in early.output
    services.node.advance(60)
    assert services.run("refund", request_id).exit_code == 0
    taken = services.run("withdraw")
    assert taken.exit_code == 0 and f"took {show_wei(cheap)} out" in taken.stdout
    assert json.loads(services.run("show", request_id, "--json").stdout)["state"] == "refunded"
    unknown = services.run("show", "0x" + "12" * 32)
    assert unknown.exit_code == 1 and "nobody made request" in unknown.output
    assert services.run("ask", "toy", "--input", str(file), "--callback", "0x12").exit_code == 2


@pytest.mark.anvil
def test_the_command_line_makes_failed_callbacks_and_due_renewals(services: Services) -> None:
    inputs = toy_inputs(6)
    file = services.folder / "input.json"
    file.write_text(json.dumps([(inputs[0] / 256).tolist(), inputs[1].tolist()]))
    user = services.deployer.using(services.node.signer("user"))
    nobody = services.run("ask", "toy", "--input", str(file), "--callback", user.account)
    assert nobody.exit_code == 1 and "has no code on this chain" in nobody.output and "deploy it first" in nobody.output

    switch = consumer_of(user, SWITCH)
    done = services.run("ask", "toy", "--input", str(file), "--callback", switch, "--wait", "--json")
    found = json.loads(done.stdout)
    assert (found["state"], found["told"]) == ("undelivered", False)
    shown = services.run("show", found["request_id"]).stdout
    assert "told     no" in shown and " UTC" in shown and f"paid     {services.prover.account}" in shown
    failed = services.run("deliver", found["request_id"])
    assert failed.exit_code == 1 and "failed again" in failed.output
    user.chain.transact(user._key(), switch, (1).to_bytes(32, "big"))
    told = services.run("deliver", found["request_id"])
    assert told.exit_code == 0 and f"delivered to {switch}" in told.stdout, told.output
    assert json.loads(services.run("show", found["request_id"], "--json").stdout)["state"] == "answered"
    again = services.run("deliver", found["request_id"])
    assert again.exit_code == 1 and "nothing is to be done" in again.output

    # What nobody would answer is renewed by hand alone.
    fee = services.deployer.chain.base_fee() * 2 * 360_000
    first = request_of(0, switch, fee, 0)
    subscription = Subscription(first, Duration(60), Duration(0), Duration(3600), 0)
    begun = user.send(calls.subscribe(subscription, 2, input_bytes(1), b"along")).one(Subscribed)
    renewed = services.run("renew", hex_of(begun.subscription_id))
    assert renewed.exit_code == 0 and " UTC" in renewed.stdout, renewed.output
    early = services.run("renew", hex_of(begun.subscription_id))
    assert early.exit_code == 1 and "next request is due at" in early.output
    unknown = services.run("renew", hex_of(bytes(32)))
    assert unknown.exit_code == 1 and "nobody began subscription" in unknown.output


def test_every_event_of_the_contract_is_known(world: AskingWorld) -> None:
    asked = world.ask(1)
    logged = [one for one in world.deployer.events(0, world.chain.height()) if isinstance(one.event, Requested)]
    assert [one.event for one in logged] == [asked]
