"""A state that was rewound says what one says that never heard of what was taken back."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from challenger.state.l1_state import L1State
from rollup.claim import Address, Claim, ClaimId
from rollup.form.encoding import TracePolicy
from rollup.form.ops import Monoid
from rollup.game.moves import Rule
from rollup.game.question import Question
from rollup.l1.client import L1Client
from rollup.l1.events import (
    BatchPosted,
    Challenged,
    ChallengeLost,
    ClaimPosted,
    ClaimSkipped,
    Committed,
    Convicted,
    Descended,
    Event,
    GroupRefused,
    LeafRevealed,
    Logged,
    Reclaimed,
    Released,
    Revealed,
    TraceRootSet,
)
from rollup.l1.follow import News
from rollup.l1.node.finality import Block
from rollup.types import Duration, Gindex, Root, Timestamp
from tests.e2e.lies import INPUTS, PROGRAMS, lie_in_op
from tests.e2e.network import NetworkWorld

ME, EVE = Address("0x" + "11" * 20), Address("0x" + "22" * 20)
SHALLOW = 8
NAMES = [ClaimId(bytes([number]) * 32) for number in range(1, 5)]
FACTS = (
    "claims",
    "batches",
    "posted_at",
    "convicted",
    "released",
    "_blocks",
    "_touched",
)
NOBODY: L1Client = None  # type: ignore[assignment]
"""Events whose calldata is looked up are not among those here."""


def root(number: int) -> Root:
    return Root(bytes([number]) * 32)


def posted(name: ClaimId, batch: int, index: int) -> ClaimPosted:
    with_root = root(9) if name[0] % 2 else root(0)
    claim = Claim(root(1), ME, name[0], 0, bytes(32), root(2), root(3), with_root)
    return ClaimPosted(batch, index, name, claim, b"in", b"out")


@st.composite
def blocks(draw: st.DrawFn) -> list[Event]:
    """The events of one block; of a chain that may be an impossible one, as a state has no say in that."""
    name, game = draw(st.sampled_from(NAMES)), draw(st.integers(0, 1))
    game_id = name + bytes([game])
    batch = draw(st.integers(0, 2))
    kinds: list[list[Event]] = [
        [
            posted(name, batch, 0),
            ClaimSkipped(batch, 1, NAMES[0], "x"),
            BatchPosted(batch, root(4), 2, Timestamp(batch), Timestamp(batch + 100)),
        ],
        [Challenged(name, game_id, draw(st.sampled_from([ME, EVE])), game, root(0), bytes(32))],
        [Committed(game_id, draw(st.sampled_from([b"c" * 32, b"d" * 32])))],
        [Descended(game_id, Question(Gindex(9), draw(st.integers(0, 3)), Monoid.SUM, 100))],
        [TraceRootSet(name, root(draw(st.integers(10, 12))))],
        [Convicted(name, game_id, Rule.STEP, Gindex(4), 2, 0, 0, bytes(32), bytes(32))],
        [Released(batch, ME, tuple(draw(st.sets(st.integers(0, 5)))))],
        [GroupRefused(batch, 1, ME, 5, draw(st.integers(0, 3)), "x")],
        [ChallengeLost(name, game_id, EVE, 0)],
        [Reclaimed(name, game_id)],
        [Revealed(root(5), (root(6), root(draw(st.integers(6, 9)))))],
        [LeafRevealed(root(5), bytes(1024))],
        [],
    ]
    return draw(st.sampled_from(kinds))


@dataclass
class Chain:
    """The events of every block; blocks can be replaced."""

    blocks: list[list[Event]] = field(default_factory=list)

    def news(self, since: int, rewound_to: int | None) -> News:
        found = [
            Logged(event, number, index, bytes(32))
            for number, events in enumerate(self.blocks)
            if number > since
            for index, event in enumerate(events)
        ]
        last = len(self.blocks) - 1
        return News(rewound_to, tuple(found), Block(last, bytes(32), Timestamp(last), bytes(32)), ())


def facts(l1: L1State) -> dict[str, object]:
    return {
        "games": l1.board.games,
        "opened": [l1.opened(name) for name in NAMES],
        "standing": l1.board._on,
        "trace_roots": l1.board.roots,
        **{name: getattr(l1, name) for name in FACTS},
    }


steps_of_a_chain = st.lists(
    st.tuples(st.integers(0, 8), st.lists(blocks(), min_size=1, max_size=8)), min_size=1, max_size=8
)


def test_a_state_after_any_reorganisations_equals_one_that_reads_what_survived() -> None:
    rewinds = 0

    @settings(max_examples=120)
    @given(steps_of_a_chain)
    def check(steps: list[tuple[int, list[list[Event]]]]) -> None:
        nonlocal rewinds
        chain, l1 = Chain(), L1State()
        for deep, fresh in steps:
            depth = min(deep, len(chain.blocks))
            kept = len(chain.blocks) - depth - 1
            chain.blocks[kept + 1 :] = fresh
            l1.take(NOBODY, chain.news(kept, kept if depth else None))
            rewinds += depth > 0
            again = L1State()
            again.take(NOBODY, chain.news(-1, None))
            assert facts(l1) == facts(again)
            # What is true anywhere is kept, whatever became of the block that said it.
            assert l1.preimages.pairs.items() >= again.preimages.pairs.items()
            assert l1.preimages.leaves.items() >= again.preimages.leaves.items()

    check()
    assert rewinds > 120


def test_a_reorganisation_below_what_is_remembered_begins_again() -> None:
    first, second = posted(NAMES[0], 0, 0), posted(NAMES[1], 0, 0)
    chain, l1 = Chain([[first], [], [], []]), L1State()
    l1.take(NOBODY, chain.news(-1, None))
    l1.journal.forget(3)
    chain.blocks = [[], [second], []]
    l1.take(NOBODY, chain.news(-1, -1))
    assert list(l1.claims) == [NAMES[1]] and l1.batches == {0: [NAMES[1]]}
    assert l1.block_of(NAMES[1]) == 1
    chain.blocks = [[first]]
    l1.take(NOBODY, chain.news(-1, -1))
    assert list(l1.claims) == [NAMES[0]]


def test_a_trace_root_that_is_taken_back_leaves_the_one_before() -> None:
    chain, l1 = (
        Chain([[posted(NAMES[1], 0, 0)], [TraceRootSet(NAMES[1], root(7))], [TraceRootSet(NAMES[1], root(8))]]),
        L1State(),
    )
    l1.take(NOBODY, chain.news(-1, None))
    assert l1.trace_root(NAMES[1]) == root(8)
    del chain.blocks[2:]
    l1.take(NOBODY, chain.news(1, 1))
    assert l1.trace_root(NAMES[1]) == root(7)
    del chain.blocks[1:]
    l1.take(NOBODY, chain.news(0, 0))
    assert l1.trace_root(NAMES[1]) == root(0)


def test_what_is_said_about_a_claim_that_was_never_posted_changes_nothing() -> None:
    l1 = L1State()
    said: list[Event] = [Challenged(NAMES[0], b"g", EVE, 0, root(0), bytes(32)), TraceRootSet(NAMES[0], root(7))]
    l1.take(NOBODY, Chain([said, [Released(0, ME, (0,))]]).news(-1, None))
    assert facts(l1) == facts(L1State())


def test_games_end_by_conviction_loss_and_reclaim_and_begin_again_when_that_is_taken_back() -> None:
    games = [
        Challenged(NAMES[0], bytes([number]), who, number, root(9), bytes(32))
        for number, who in enumerate([ME, EVE, ME])
    ]
    chain = Chain([[posted(NAMES[0], 0, 0), *games]])
    l1 = L1State()
    l1.take(NOBODY, chain.news(-1, None))
    assert l1.games_of(NAMES[0]) == games and l1.games_of(NAMES[0], ME) == [games[0], games[2]]
    verdict = Convicted(NAMES[0], games[1].game_id, Rule.STEP, Gindex(4), 2, 0, 0, bytes(32), bytes(32))
    chain.blocks += [
        [ChallengeLost(NAMES[0], games[0].game_id, EVE, 0)],
        [verdict],
        [Reclaimed(NAMES[0], games[2].game_id)],
    ]
    l1.take(NOBODY, chain.news(0, None))
    assert l1.games_of(NAMES[0]) == []
    del chain.blocks[3:]
    l1.take(NOBODY, chain.news(2, 2))
    assert l1.games_of(NAMES[0]) == [games[2]]
    del chain.blocks[2:]
    l1.take(NOBODY, chain.news(1, 1))
    assert l1.games_of(NAMES[0]) == games[1:] and NAMES[0] not in l1.convicted


# Against a real chain


def settled_network() -> tuple[NetworkWorld, list[ClaimId]]:
    """One claim that became final, one that was convicted, and whose watcher has its bond again."""
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    network.watch()
    right = network.claim("honest", INPUTS)
    false = lie_in_op(4, 0, True)(network, right.defender.behaviour)
    network.settle()
    return network, [right.claim_id, false.claim_id]


def test_settled_claims_are_forgotten_but_only_beyond_every_reorganisation() -> None:
    network, names = settled_network()
    client, window = network.client("reader"), network.parameters.window
    network.chain.advance(window + 10)
    nothing = Duration(0)
    careful = L1State()
    careful.read(client)
    assert careful.forget(nothing, lambda claim_id: False) == []
    l1 = L1State()
    l1.follow(client, SHALLOW)
    l1.read(client)
    assert list(l1.claims) == names
    network.chain.mine(SHALLOW + 2)
    l1.read(client)
    assert l1.forget(Duration(10**6), lambda claim_id: False) == []
    assert l1.forget(nothing, lambda claim_id: claim_id == names[0]) == names[1:]
    assert list(l1.claims) == names[:1] and len(l1.batches) == 1
    assert l1.inclusion(names[0]).batch == 0
    assert l1.forget(nothing, lambda claim_id: False) == names[:1]
    assert all(not getattr(l1, name) for name in FACTS)


def test_a_claim_with_an_open_game_is_not_forgotten() -> None:
    network = NetworkWorld(PROGRAMS[TracePolicy.WITH_CLAIM])
    claimed = network.claim("honest", INPUTS)
    eve = network.client("eve")
    eve.challenge(claimed.posted.claim, claimed.inclusion, value=network.parameters.challenge_bond)
    network.chain.advance(10 * network.parameters.window)
    l1 = L1State()
    l1.follow(eve, SHALLOW)
    l1.read(eve)
    network.chain.mine(SHALLOW + 2)
    l1.read(eve)
    assert l1.forget(Duration(0), lambda claim_id: False) == []


@pytest.mark.parametrize("batches", [1, 3])
def test_inclusion_stands_as_posted_after_a_batch_was_taken_back(batches: int) -> None:
    chain = Chain([[posted(name, number, 0)] for number, name in enumerate(NAMES[:batches])])
    l1 = L1State()
    l1.take(NOBODY, chain.news(-1, None))
    chain.blocks = [[posted(NAMES[3], 0, 0), posted(NAMES[0], 0, 1)]]
    l1.take(NOBODY, chain.news(-1, -1))
    assert l1.inclusion(NAMES[0]).index == 1 and l1.batches == {0: [NAMES[3], NAMES[0]]}
