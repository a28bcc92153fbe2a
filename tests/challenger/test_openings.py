"""What anybody may open on L1 costs a player no memory, and is there when a game needs it."""

from __future__ import annotations

import pytest

from challenger.defender import Behaviour
from challenger.play.known import RevealedTrace
from challenger.state.l1_state import L1State
from challenger.state.openings import NODE_BYTES
from rollup.form.encoding import TracePolicy
from rollup.l1.answers import ClaimStatus
from rollup.merkle import hash_leaf, hash_node
from rollup.types import LEAF_BYTES, Gindex, Root
from tests.e2e.lies import PROGRAMS, lie_in_op
from tests.e2e.network import NetworkWorld


@pytest.mark.parametrize("policy", list(TracePolicy), ids=lambda policy: policy.name.lower())
def test_a_false_claim_is_convicted_though_nothing_that_was_opened_is_held(policy: TracePolicy) -> None:
    network = NetworkWorld(PROGRAMS[policy])
    watcher, _ = network.watch()
    watcher.l1.preimages.held_bytes = 0
    claimed = lie_in_op(4, 0, True)(network, Behaviour.WITHHOLDS)
    network.settle()
    assert network.status(claimed) is ClaimStatus.INVALID
    assert len(watcher.l1.preimages.leaves) <= 1


def test_a_flood_of_reveals_leaves_names_alone_and_each_is_found_again() -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    eve, l1 = network.client("eve"), L1State(network.deployer.first)
    openings = [[Root(bytes([number, part]) * 16) for part in range(4)] for number in range(30)]
    leaves = [bytes([number]) * LEAF_BYTES for number in range(30)]
    l1.preimages.held_bytes = 9 * NODE_BYTES
    for at in range(0, 30, 3):
        eve.reveal(openings[at : at + 3])
        eve.reveal_leaf(leaves[at : at + 3])
    l1.read(eve)
    known = l1.preimages
    assert len(known.pairs) <= 12 and len(known.leaves) <= 9 and len(known.blocks) == 60
    for opening in openings:
        top = hash_node(hash_node(*opening[:2]), hash_node(*opening[2:]))
        revealed = RevealedTrace(known, top, 2)
        assert [revealed.node(Gindex(4 + part)) for part in range(4)] == opening
    for leaf in leaves:
        assert RevealedTrace(known, hash_leaf(leaf), 0).leaf_bytes(0) == leaf
    assert len(known.pairs) <= 12 and len(known.leaves) <= 9


def test_a_deeper_opening_of_a_node_that_is_held_at_another_depth_is_found_again() -> None:
    """A node of a game at the bottom of one tree was opened one level deep there, and further in another one."""
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    eve, l1 = network.client("eve"), L1State(network.deployer.first)
    below = [Root(bytes([part]) * 32) for part in range(1, 5)]
    middle = [hash_node(*below[:2]), hash_node(*below[2:])]
    top = hash_node(*middle)
    eve.reveal([below])
    l1.read(eve)
    for held in (l1.preimages.pairs, l1.preimages._held):
        held.clear()
    eve.reveal([middle])
    l1.read(eve)
    revealed = RevealedTrace(l1.preimages, top, 2)
    assert revealed.node(Gindex(2)) == middle[0]
    assert [revealed.node(Gindex(4 + part)) for part in range(4)] == below
    assert not l1.preimages.again(top), "what is held is not read again"
