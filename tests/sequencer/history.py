"""An eventful chain: honest and false claims, every kind of move, batches of strangers, skipped claims, a cancelled nonce; and the
same chain as a store is told of it, piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

from challenger.defender import Behaviour
from rollup.claim import Address, PostedClaim
from rollup.encoding import TracePolicy
from rollup.l1.client import ClaimStatus
from rollup.l1.events import Logged
from rollup.l1.finality import Block
from rollup.l1.follow import News
from sequencer.games import Said
from sequencer.states import NewClaim
from sequencer.store import Store
from tests.e2e.lies import INPUTS, PROGRAMS, lie_in_op
from tests.e2e.network import TERMS, Network


@dataclass
class History:
    """A chain that has ended. ``accepted``: claims that a sequencer had taken before any of it. ``own``: its account."""

    network: Network
    accepted: list[NewClaim]
    own: Address
    blocks: list[Block] = field(init=False)
    events: list[Logged] = field(init=False)
    said: dict[bytes, Said] = field(init=False)

    def __post_init__(self) -> None:
        chain, client = self.network.chain, self.network.deployer
        height = chain.height()
        found = [chain.block(number) for number in range(height + 1)]
        self.blocks = [block for block in found if block is not None]
        assert len(self.blocks) == height + 1
        self.events = client.events(0, height)
        self.said = {}
        for one in self.events:
            receipt = chain.receipt(one.transaction)
            assert receipt is not None
            at, sender = self.blocks[one.block].timestamp, Address(receipt["from"])
            self.said[one.transaction] = Said(at, one.block, 0, one.transaction, sender, receipt["gasUsed"])

    @property
    def height(self) -> int:
        return len(self.blocks) - 1

    def store(self, url: str = "sqlite://") -> Store:
        """A new store that took the claims and knows nothing of the chain."""
        store = Store.open(url)
        store.l1.bind(1, self.network.deployer.address, TERMS.window)
        store.claims.accept(self.accepted)
        return store

    def tell(self, store: Store, to: int, rewound_to: int | None = None) -> None:
        """Apply what happened above what the store knows, or above ``rewound_to``, up to block ``to``."""
        head = store.l1.head()
        known = -1 if head is None else head.number
        base = known if rewound_to is None else rewound_to
        events = tuple(one for one in self.events if base < one.block <= to)
        seen = tuple(self.blocks[: to + 1])
        news = News(rewound_to, events, self.blocks[to], seen)
        assert store.l1.apply(news, None if head is None else head.hash, self.said, {self.own})


@cache
def history(policy: TracePolicy) -> History:
    """Played once per process."""
    return play(PROGRAMS[policy], lambda network: None)


def play(program, each_round: Callable[[Network], None]) -> History:
    """Play it all; ``each_round`` is called when L1 has something new."""
    network = Network(program)
    network.watch()
    own = network.client("own")
    honest = network.claim("honest", INPUTS)
    template = honest.posted
    signer = honest.client

    def claim(nonce: int, **changes: int) -> PostedClaim:
        return signer.sign(replace(template.claim, nonce=nonce, **changes), template.inputs, template.outputs)

    # Claims that a sequencer takes, and what becomes of them.
    posted, spoiled, cancelled, expired, waiting = (claim(100 + number) for number in range(5))
    expired = claim(105, valid_until=network.chain.now())
    taken = [posted, spoiled, cancelled, expired, waiting]
    accepted = [NewClaim(own.claim_id(one.claim), one, network.chain.now(), 400_000) for one in taken]
    network.chain.advance(5)
    own.post_batch([posted, expired])
    network.client("eve").post_batch([replace(spoiled, outputs=b"?"), replace(waiting, signature=bytes(65))])
    signer.cancel_nonce(cancelled.claim.nonce)
    network.client("eve").post_batch([posted, claim(200)])
    each_round(network)
    # Disputes.
    lie_in_op(4, 0, True)(network, Behaviour.WITHHOLDS)
    lie_in_op(7, 0, True)(network, Behaviour.SILENT)
    lie_in_op(8, 0, True)(network, Behaviour.PUBLISHES)
    troll = network.client("troll")
    for about in (network.claims[0], network.claims[1]):
        troll.challenge(about.posted.claim, about.inclusion, value=TERMS.challenge_bond)
    each_round(network)
    for _ in range(60):
        moved = network.round()
        each_round(network)
        if not moved:
            network.chain.advance(TERMS.clock // 2)
            each_round(network)
        if all(network.status(one) in (ClaimStatus.FINAL, ClaimStatus.INVALID) for one in network.claims):
            break
    games = [
        game for one in network.claims for game in signer.games_of(one.claim_id) if game.challenger == troll.account
    ]
    lost = [game for game in games if signer.game(game).open]
    if lost:
        troll.reclaim([signer.game(game).ref for game in lost])
    each_round(network)
    return History(network, accepted, own.account)
