"""Disputes on a real node whose blocks are taken back, with transactions that are lost, or mined again, or wait."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest

from challenger.checkers.re_execute import Reference
from challenger.defender import Behaviour
from challenger.watch.watcher import Watcher
from rollup.claim import Address
from rollup.errors import ChainError, Reverted
from rollup.form.encoding import TracePolicy
from rollup.l1.account.fees import FeePolicy
from rollup.l1.account.signing import Signer
from rollup.l1.answers import ClaimStatus
from rollup.l1.client import L1Client
from rollup.l1.events import Challenged, ClaimPosted, Convicted
from rollup.l1.node.chain import Chain
from tests.anvil import Anvil
from tests.e2e.lies import PROGRAMS
from tests.e2e.network import Claimed, NetworkWorld
from tests.e2e.toy_program import Published, outputs_of, toy_inputs, values_of, with_lie
from tests.world import ETHER

pytestmark = pytest.mark.anvil

ROUNDS = 80
DEPTHS = range(1, 11)


class NodeChain(Chain):
    """A node as a network of tests uses it: accounts by name, time that goes on when it is told."""

    node: Anvil

    def signer(self, name: str) -> Signer:
        return self.node.signer(name)

    def advance(self, seconds: int) -> None:
        self.node.advance(seconds)


@pytest.fixture(scope="module")
def network(anvil: Anvil) -> NetworkWorld:
    chain = NodeChain.connect(anvil.url, FeePolicy(poll=0.1))
    chain.node = anvil
    return NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM], chain=chain)  # type: ignore[arg-type]


def begun(network: NetworkWorld, seed: int) -> tuple[Watcher, Claimed]:
    """A false claim whose trace is withheld, and a watcher of its own; everybody else has gone."""
    network.watchers.clear()
    network.claims.clear()
    network.nonce = 1000 * seed
    watcher, _ = network.watch(f"watcher {seed}")
    network.client(f"liar {seed}").deposit(ETHER)
    # What accounts were given lies below every reorganisation.
    assert isinstance(network.chain, NodeChain)
    network.chain.node.mine(max(DEPTHS) + 1)
    # Another input every time: nodes that were opened once are known in all games.
    program, inputs = network.program, toy_inputs(1000 + seed)
    values = with_lie(program, values_of(program, inputs), 4)
    trace, outputs = Published(program, values), outputs_of(program, values)
    return watcher, network.claim(f"liar {seed}", inputs, trace, outputs, Behaviour.WITHHOLDS)


def events(network: NetworkWorld, claimed: Claimed, watcher: Address) -> Counter[str]:
    """What the chain says in the end about a claim: postings, games of the watcher, convictions."""
    client, found = network.deployer, Counter[str]()
    for logged in client.events(client.first, client.chain.height()):
        match logged.event:
            case ClaimPosted() as posted if posted.claim_id == claimed.claim_id:
                found["posted"] += 1
            case Challenged() as game if game.claim_id == claimed.claim_id and game.challenger == watcher:
                found["games"] += 1
            case Convicted() as verdict if verdict.claim_id == claimed.claim_id:
                found["convictions"] += 1
    return found


def step(network: NetworkWorld, claimed: Claimed) -> bool:
    """Everybody polls once, as a service does: what a node does to one round, the next one repairs. Posts the claim
    again if it is gone. True once the claim is invalid.
    """
    for player in (*network.watchers, *(one.defender for one in network.claims)):
        try:
            player.poll()
        except ChainError:
            continue
    l1 = network.watchers[-1].l1
    if claimed.claim_id not in l1.claims:
        claim = claimed.posted.claim
        if not network.deployer.is_nonce_used(claim.claimant, claim.nonce):
            network.client("sequencer").post_batch([claimed.posted])
        return False
    inclusion = l1.inclusion(claimed.claim_id)
    try:
        return network.deployer.status(claimed.posted.claim, inclusion) is ClaimStatus.INVALID
    except Reverted:
        return False


def play_until(network: NetworkWorld, claimed: Claimed, over: Callable[[], bool]) -> None:
    for _ in range(ROUNDS):
        if over():
            return
        step(network, claimed)
    raise AssertionError("it did not come to that")


def convict(network: NetworkWorld, claimed: Claimed) -> None:
    for _ in range(ROUNDS):
        if step(network, claimed):
            return
    raise AssertionError(f"the claim is {network.watchers[-1].troubles}")


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_false_claim_is_convicted_once_through_a_reorganisation_of_this_depth(
    network: NetworkWorld, depth: int
) -> None:
    watcher, claimed = begun(network, depth)
    play_until(network, claimed, lambda: watcher.costs.gas_by_move(claimed.claim_id).get("select", 0) > 0)
    assert isinstance(network.chain, NodeChain)
    if depth % 2:
        network.chain.node.reorg(depth)
    else:
        network.chain.node.reorg_keeping(depth)
    convict(network, claimed)
    account = network.client(f"watcher {depth}").account
    assert events(network, claimed, account) == {"posted": 1, "games": 1, "convictions": 1}
    assert network.deployer.locked(account) == 0
    assert watcher.l1.convicted[claimed.claim_id].claim_id == claimed.claim_id


def test_a_verdict_that_is_taken_back_is_given_again(network: NetworkWorld) -> None:
    watcher, claimed = begun(network, 11)
    convict(network, claimed)
    assert isinstance(network.chain, NodeChain)
    network.chain.node.reorg(1)
    inclusion = watcher.l1.inclusion(claimed.claim_id)
    assert network.deployer.status(claimed.posted.claim, inclusion) is ClaimStatus.CHALLENGED
    convict(network, claimed)
    account = network.client("watcher 11").account
    assert events(network, claimed, account) == {"posted": 1, "games": 1, "convictions": 1}


def test_a_challenge_that_an_earlier_life_left_in_the_mempool_is_not_made_twice(network: NetworkWorld) -> None:
    first, claimed = begun(network, 12)
    chain = network.chain
    assert isinstance(chain, NodeChain)
    hasty = L1Client(
        Chain.connect(chain.node.url, FeePolicy(poll=0.1, bump_after=0.2, give_up_after=0.6)), network.deployer.address
    )
    account = chain.signer("watcher 12")

    def life() -> Watcher:
        """A watcher that begins from nothing."""
        watcher = Watcher(hasty.using(account), None, Reference, network.admit)
        watcher.hold(network.program)
        return watcher

    chain.node.automine(False)
    try:
        for _ in range(3):
            one = life()
            with pytest.raises(ChainError, match="was not mined"):
                one.poll()
            assert len(chain.node.pending()) == 1
    finally:
        chain.node.automine(True)
    network.watchers[:] = [life()]
    assert first.l1.disputed == []
    convict(network, claimed)
    assert events(network, claimed, account.address) == {"posted": 1, "games": 1, "convictions": 1}


def test_a_watcher_that_is_another_one_in_every_round_opens_one_game(network: NetworkWorld) -> None:
    _, claimed = begun(network, 13)
    for _ in range(ROUNDS):
        if step(network, claimed):
            break
        network.watchers.clear()
        network.watch("watcher 13")
    account = network.client("watcher 13").account
    assert events(network, claimed, account) == {"posted": 1, "games": 1, "convictions": 1}


def test_a_watcher_that_starts_again_proves_what_it_committed_to(network: NetworkWorld) -> None:
    """What hides a commitment follows from its key: another life of it sends the proof, and commits to nothing again."""
    _, claimed = begun(network, 15)
    network.traces.publish(claimed.claim_id, claimed.defender._claims[claimed.claim_id].trace)
    account = network.client("watcher 15").account
    before = network.chain.nonce(account)
    for _ in range(ROUNDS):
        if step(network, claimed):
            break
        network.watchers.clear()
        network.watch("watcher 15")
    assert events(network, claimed, account) == {"posted": 1, "games": 1, "convictions": 1}
    assert network.chain.nonce(account) == before + len(("challenge", "prove"))


def test_a_proof_that_the_node_tries_out_in_the_commitments_block_is_sent_in_the_next_one_and_is_no_trouble(
    network: NetworkWorld,
) -> None:
    """A node with a block every second estimates in the newest block, where the commitment does not count yet."""
    watcher, _ = begun(network, 14)
    claimed = network.claims[0]
    network.traces.publish(claimed.claim_id, claimed.defender._claims[claimed.claim_id].trace)
    assert isinstance(network.chain, NodeChain)
    network.chain.node.interval(1)
    deadline = time.monotonic() + 60
    try:
        while claimed.claim_id not in watcher.l1.convicted:
            assert time.monotonic() < deadline
            watcher.poll()
            assert watcher.troubles == {}
    finally:
        network.chain.node.interval(0)
        network.chain.node.automine(True)
    assert watcher.costs.gas_by_move(claimed.claim_id).keys() == {"challenge", "prove"}
