"""Endpoints of several machines, of which one is behind, and nodes that refuse for a moment: no bond and no claim is lost by it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from challenger.defender import Behaviour, Upholder
from challenger.watch.watcher import Watcher
from rollup.claim import Address
from rollup.errors import Behind, ChainError, Refused
from rollup.form.encoding import TracePolicy
from rollup.l1.answers import ClaimStatus
from rollup.l1.artifacts import artifact
from rollup.l1.client import L1Client
from rollup.l1.events import Challenged, ChallengeLost
from rollup.l1.node.embedded import EmbeddedChain
from rollup.l1.node.finality import LATEST, Block, Finality
from tests.e2e.lies import INPUTS, PROGRAMS, RIGHT, lie_in_op
from tests.e2e.network import Claimed, NetworkWorld
from tests.e2e.toy_program import Published
from tests.world import ETHER

PROGRAM = PROGRAMS[TracePolicy.WITH_CLAIM]
ROUNDS = 60


class Machines(EmbeddedChain):
    """Two machines behind one address: one is a block behind, and answers this share of the requests."""

    def __init__(self) -> None:
        super().__init__()
        self.share, self.random = 0.0, random.Random(0)
        self.late: list[bytes] = []
        """Selectors of calls about the latest block that the one behind answers next, whatever the share."""

    def _behind(self) -> bool:
        return self.random.random() < self.share

    def call(
        self, to: Address, data: bytes, sender: Address | None = None, block: Any = "latest", gas: int | None = None
    ) -> bytes:
        behind = self._behind() or data[:4] in self.late
        if data[:4] in self.late:
            self.late.remove(data[:4])
        if behind and isinstance(block, Block) and block.number == self.height():
            raise Behind("the node can't answer about a block that it does not know")
        return super().call(to, data, sender, self.height() - 1 if behind and block == "latest" else block, gas)

    def head(self, finality: Finality = LATEST) -> Block:
        head = super().head(finality)
        return self._block(head.number - 1) if self._behind() else head


class EndpointWorld:
    """A false claim whose trace is withheld, with a watcher; a right one of a claimant with a player, challenged by eve."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self.network = NetworkWorld(PROGRAM, chain=chain)
        self.watcher, self.client = self.network.watch()
        self.client.fund(ETHER)
        self.false = lie_in_op(4, 0, True)(self.network, Behaviour.WITHHOLDS)
        self.right = self.network.claim("honest", INPUTS, behaviour=Behaviour.SILENT)
        self.upholder = Upholder(self.right.client, lambda _: PROGRAM, lambda p, _: Published(p, RIGHT), 0)
        self.eve: L1Client = self.network.client("eve")

    def besiege(self) -> Challenged:
        bond = self.network.parameters.challenge_bond
        return self.eve.challenge(self.right.posted.claim, self.right.inclusion, value=bond).one(Challenged)

    def lost(self, claimed: Claimed) -> list[ChallengeLost]:
        logged = self.network.deployer.events(0, self.network.chain.height())
        return [
            one.event
            for one in logged
            if isinstance(one.event, ChallengeLost) and one.event.claim_id == claimed.claim_id
        ]

    def status(self, claimed: Claimed) -> ClaimStatus:
        return self.network.status(claimed)


def play(world: EndpointWorld, game: Challenged, chain: Machines, share: float) -> None:
    """Rounds of the honest players, whose endpoint has a machine that is behind, and of both liars, whose has none."""
    for _ in range(ROUNDS):
        for player in (world.watcher, world.upholder):
            chain.share = share
            try:
                player.poll()
            except ChainError:
                pass
            finally:
                chain.share = 0.0
        world.false.defender.poll()
        chain.advance(5)
        state = world.eve.game(game)
        if state.expired:
            world.eve.timeout([state.ref])
            return


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_attack_an_endpoint_with_a_machine_that_is_behind_costs_no_bond(share: float) -> None:
    for seed in range(4):
        chain = Machines()
        chain.random = random.Random(seed)
        world = EndpointWorld(chain)
        play(world, world.besiege(), chain, share)
        assert not world.lost(world.false), seed
        assert world.status(world.false) is ClaimStatus.INVALID, seed
        assert world.status(world.right) is not ClaimStatus.INVALID, seed


@pytest.mark.parametrize("name", ["disputeOf", "gameOf", "stateOf"])
def test_one_late_answer_about_a_game_is_not_kept(name: str) -> None:
    """Of a game that did not exist a block before, or in which it was the other's turn."""
    chain = Machines()
    world = EndpointWorld(chain)
    assert world.upholder.poll() == []
    game = world.besiege()
    chain.late = [artifact("DisputeGame").functions[name].selector]
    play(world, game, chain, 0.0)
    assert not chain.late and world.status(world.right) is not ClaimStatus.INVALID

    chain = Machines()
    world = EndpointWorld(chain)
    world.watcher.poll()
    chain.mine()
    assert world.false.defender.poll()
    chain.late = [artifact("DisputeGame").functions[name].selector]
    for _ in range(ROUNDS):
        world.watcher.poll()
        world.false.defender.poll()
        chain.advance(5)
    assert not chain.late and world.status(world.false) is ClaimStatus.INVALID and not world.lost(world.false)


def test_an_opening_that_is_mined_again_at_its_old_height_is_news() -> None:
    """The chain is shorter for a moment, and the watcher looks just then."""
    chain = EmbeddedChain()
    world = EndpointWorld(chain)
    world.watcher.poll()
    chain.mine(3)
    snapshot = chain._tester.take_snapshot()
    chain.mine(2)
    assert world.false.defender.poll()
    revealed = chain.height()
    assert [receipt.call for receipt in world.watcher.poll()] == ["select"]
    chain._tester.revert_to_snapshot(snapshot)
    chain.advance(7)
    assert world.watcher.poll() == [] and world.watcher.lag is None
    world.false.defender.l1.__init__(0)  # type: ignore[misc]
    world.false.defender._player.games.__init__(world.false.client)  # type: ignore[misc]
    assert world.false.defender.poll() and chain.height() == revealed
    for _ in range(ROUNDS):
        world.watcher.poll()
        world.false.defender.poll()
        chain.advance(5)
    assert world.status(world.false) is ClaimStatus.INVALID and not world.lost(world.false)


@pytest.mark.parametrize("behaviour", [Behaviour.PUBLISHES, Behaviour.WITHHOLDS])
def test_a_node_that_refuses_once_for_reasons_of_its_own_is_asked_again(
    behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = NetworkWorld(PROGRAM)
    watcher, client = network.watch()
    client.fund(ETHER)
    false = lie_in_op(4, 0, True)(network, behaviour)
    asked, ask = [0], client.ask_prover

    def once(name: str, args: Sequence[Any], gas: int) -> tuple[Any, ...]:
        asked[0] += 1
        if asked[0] <= 2:
            raise Refused("the node refused the request: gas budget of this key exceeded, try again in 1 s")
        return ask(name, args, gas)

    monkeypatch.setattr(client, "ask_prover", once)
    for _ in range(ROUNDS):
        watcher.poll()
        false.defender.poll()
        network.chain.advance(5)
    assert asked[0] > 2 and network.status(false) is ClaimStatus.INVALID
    assert isinstance(watcher, Watcher) and not watcher.troubles
