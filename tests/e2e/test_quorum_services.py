"""Quorums through the services: three provers, a sequencer, the command line that asks, and a watcher."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from challenger.checkers.re_execute import Reference
from challenger.play.trace import SharedTraces
from challenger.watch.watcher import Watcher
from prover.claims import MadeClaim
from prover.service.quorum import Answerer, QuorumPolicy
from rollup.audit import audit
from rollup.claim import ClaimId, join, output_types
from rollup.game.moves import Rule
from rollup.l1.events import Convicted
from rollup.l1.requests.events import RequestAgreed, Requested
from rollup.l1.requests.quorum import name_committee
from rollup.l1.requests.reads import earned
from rollup.types import Timestamp
from tests.anvil import Anvil
from tests.e2e.test_requests import Services, meanwhile, until
from tests.e2e.toy_program import outputs_of, toy_inputs, values_of
from tests.prover.service.world import model_of_toy
from tests.sequencer.requests.world import TAKES
from tests.world import ETHER, PROGRAM, TERMS, sign_claim
from touchstone.services.prover import ProverOptions, ProverService

pytestmark = pytest.mark.anvil

NAMES = ("ada", "ben", "cleo")
SEED = 5
INPUTS = toy_inputs(SEED)
OUTPUTS = outputs_of(PROGRAM, values_of(PROGRAM, INPUTS))


class Court:
    """The services of a network, and three provers that answer for quorums, of one process each but for the process."""

    def __init__(self, node: Anvil, folder: Path) -> None:
        self.services, self.node, self.deployer = (services := Services(node, folder, TERMS)), node, services.deployer
        self.input = folder / "input.json"
        self.input.write_text(json.dumps([(INPUTS[0] / 256).tolist(), INPUTS[1].tolist()]))
        self.clients = {name: self.deployer.using(node.signer(name)) for name in NAMES}
        options = ProverOptions(
            models_from=services.server.url, deposit=ETHER, poll=0.05, max_lag=1e12, quorum=QuorumPolicy()
        )
        self.provers = {name: ProverService(one, node.signer(name), options) for name, one in self.clients.items()}
        for one in self.provers.values():
            one.worker.hold(model_of_toy(), "toy")
        self.deployer.send(name_committee(one.account for one in self.clients.values()))
        creation = bytes([0x60, len(TAKES), 0x80, 0x60, 11, 0x60, 0, 0x39, 0x60, 0, 0xF3]) + TAKES
        receipt = node.chain().transact(node.signer("user"), None, creation)
        self.consumer = str(receipt["contractAddress"])

    def start(self) -> None:
        for one in self.provers.values():
            one.start()
        until(lambda: all(self.deployer.balance(one.account) for one in self.clients.values()))

    def end(self) -> None:
        for one in self.provers.values():
            one.stop()
        self.services.end()

    def together(self, count: int) -> None:
        """So many transactions come into one block."""
        until(lambda: len(self.node.pending()) == count)
        self.node.mine()

    def ask(self) -> Any:
        """A request in a block of its own, which the provers' commitments and reveals follow in one block each."""
        asked: list[Any] = []
        members = [word for one in self.clients.values() for word in ("--committee", one.account)]
        words = ("--quorum", "3", *members, "--callback", self.consumer, "--callback-gas", "100000", "--json")
        self.node.automine(False)
        with meanwhile(lambda: asked.append(self.services.run("ask", "toy", "--input", str(self.input), *words))):
            self.together(1)
        assert asked[0].exit_code == 0, asked[0].output
        made = json.loads(asked[0].stdout)
        assert (made["state"], made["level"], made["quorum"], made["outputs"]) == ("open", "none", 3, None)
        return made

    def reveal(self, request_id: str) -> None:
        """The commitments, while the sequencer holds back, and the reveals."""
        until(lambda: "may still agree" in self.services.run("list").stdout)
        self.together(3)
        self.together(3)
        self.node.automine(True)

    def show(self, request_id: str) -> Any:
        shown = self.services.run("show", request_id, "--json")
        assert shown.exit_code == 0, shown.output
        return json.loads(shown.stdout)

    def block_of(self, kind: type[Any]) -> int:
        found = [one for one in self.deployer.events(0, self.node.height) if isinstance(one.event, kind)]
        assert len(found) == 1
        return found[0].block


@pytest.fixture
def court(tmp_path: Path) -> Iterator[Court]:
    with Anvil() as node:
        court = Court(node, tmp_path)
        yield court
        court.end()


def test_three_services_agree_two_blocks_after_the_request_and_it_becomes_final(court: Court) -> None:
    court.start()
    request_id = court.ask()["request_id"]
    court.reveal(request_id)
    until(lambda: court.show(request_id)["level"] == "agreed")
    assert court.block_of(RequestAgreed) - court.block_of(Requested) == 2
    agreed = court.show(request_id)
    assert (agreed["state"], agreed["told"], agreed["answer"]) == ("agreed", True, None)
    for given, (_, tensor), array in zip(agreed["outputs"], PROGRAM.header.outputs, OUTPUTS, strict=True):
        assert np.array_equal(np.asarray(given) * 2.0**tensor.scale, array)

    def listed() -> tuple[str, str]:
        (one,) = json.loads(court.services.run("list", "--json").stdout)
        return one["state"], one["level"]

    until(lambda: listed() == ("agreed", "agreed"))
    court.node.advance(court.deployer.parameters.window + 1)
    # The provers' own loops settle: each has its part of the fee.
    until(lambda: all(earned(court.deployer, one.account) for one in court.clients.values()))
    final = court.show(request_id)
    assert (final["state"], final["level"]) == ("answered", "final")
    assert sum(earned(court.deployer, one.account) for one in court.clients.values()) == int(final["fee"])
    until(lambda: listed() == ("answered", "final"))
    assert court.services.service.store.requests.answering([bytes.fromhex(request_id[2:])])
    assert all("quorums" not in one.health.problems() for one in court.provers.values())


def test_a_lie_leaves_it_to_the_game_which_convicts_it_and_an_honest_claim_answers(court: Court) -> None:
    liar, lies = court.clients["cleo"], list[ClaimId]()

    def lie(made: Requested, nonce: int, valid_until: Timestamp) -> MadeClaim:
        right = honest.claim(made, nonce, valid_until)
        wrong = [array.copy() for array in OUTPUTS]
        wrong[0].flat[0] ^= 1
        changes = {"nonce": nonce, "valid_until": valid_until, "request_id": made.request_id}
        posted = sign_claim(liar, PROGRAM, INPUTS, None, wrong, **changes)
        assert posted.outputs == join(wrong, output_types(PROGRAM.header)) != right.posted.outputs
        lies.append(liar.claim_id(posted.claim))
        return replace(right, claim_id=lies[-1], posted=posted)

    player = court.provers["cleo"].player
    honest: Answerer = player.answerer
    player.answerer = replace(honest, claim=lie)
    watcher = Watcher(court.deployer.using(court.node.signer("watcher")), SharedTraces(), Reference, audit)
    watcher.hold(PROGRAM)
    court.start()
    request_id = court.ask()["request_id"]
    court.reveal(request_id)

    def convicted() -> list[Rule]:
        watcher.poll()
        court.node.advance(1)
        events = (one.event for one in court.deployer.events(court.deployer.first, court.node.height))
        return [one.rule for one in events if isinstance(one, Convicted) and one.claim_id == lies[0]]

    until(convicted)
    assert convicted() == [Rule.OUTPUT]
    court.node.advance(TERMS.window + TERMS.clock)
    until(lambda: court.show(request_id)["level"] == "final")
    found = court.show(request_id)
    # A member that revealed the truth, or the sequencer's prover, which answered once the quorum had failed.
    honest_ones = (court.clients["ada"], court.clients["ben"], court.services.prover)
    assert found["paid"] in [one.account for one in honest_ones]
    assert earned(court.deployer, found["paid"]) == int(found["fee"]) and not earned(court.deployer, liar.account)
