"""An eventful chain: honest and false claims, every kind of move, batches of strangers, skipped claims, a cancelled nonce; and the
same chain as a store is told of it, piece by piece.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

from challenger.defender import Behaviour
from rollup.claim import Address, ClaimId, PostedClaim
from rollup.form.encoding import TracePolicy
from rollup.l1.answers import ClaimStatus
from rollup.l1.events import Challenged, Logged
from rollup.l1.follow import News
from rollup.l1.node.finality import Block
from rollup.l1.records import Said
from rollup.types import Gindex, Root
from sequencer.states import NewClaim, State
from sequencer.store import Store
from tests.e2e.lies import INPUTS, PROGRAMS, lie_in_op
from tests.e2e.network import NetworkWorld
from tests.world import TERMS

SAID = {
    ClaimStatus.POSTED: State.POSTED,
    ClaimStatus.CHALLENGED: State.CHALLENGED,
    ClaimStatus.FINAL: State.FINAL,
    ClaimStatus.INVALID: State.INVALID,
}


@dataclass(frozen=True)
class Truth:
    """What L1's contracts answered after a block, by claim and by game; a game's standing is None once it is over."""

    height: int
    states: dict[ClaimId, tuple[State, bool]]
    games: dict[ClaimId, dict[bytes, tuple[Gindex, Root, bytes] | None]]

    @classmethod
    def of(cls, network: NetworkWorld) -> Truth:
        client = network.deployer
        states, games = {}, {}
        for one in network.claims:
            states[one.claim_id] = (SAID[network.status(one)], client.is_released(one.inclusion))
            opened = {event.game_id: client.game(event) for event in client.games_of(one.claim_id)}
            games[one.claim_id] = {
                game_id: (game.position, game.node, game.commitment) if game.live else None
                for game_id, game in opened.items()
            }
        return cls(network.chain.height(), states, games)


@dataclass
class History:
    """A chain that has ended. ``accepted``: claims that a sequencer had taken before any of it. ``own``: its account."""

    network: NetworkWorld
    accepted: list[NewClaim]
    own: Address
    truths: list[Truth]
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
            self.said[one.transaction] = Said(one.block, 0, one.transaction, at, sender, receipt["gasUsed"])

    @property
    def height(self) -> int:
        return len(self.blocks) - 1

    def store(self, url: str = "sqlite://") -> Store:
        """A new store that took the claims and knows nothing of the chain."""
        store = Store.open(url)
        store.l1.bind(1, self.network.deployer.address)
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
    program = PROGRAMS[policy]
    network = NetworkWorld(program)
    network.watch()
    own = network.client("own")
    honest = network.claim("honest", INPUTS)
    template, signer = honest.posted, honest.client

    def claim(nonce: int, **changes: int) -> PostedClaim:
        return signer.sign(replace(template.claim, nonce=nonce, **changes), template.inputs, template.outputs)

    # Claims that a sequencer takes, and what becomes of them.
    posted, spoiled, cancelled, waiting = (claim(100 + number) for number in range(4))
    expired = claim(105, valid_until=network.chain.now())
    taken = [posted, spoiled, cancelled, expired, waiting]
    accepted = [NewClaim(own.claim_id(one.claim), one, network.chain.now(), 400_000) for one in taken]
    network.chain.advance(5)
    own.post_batch([posted, expired])
    eve = network.client("eve")
    eve.post_batch([replace(spoiled, outputs=b"?"), replace(waiting, signature=bytes(65))])
    signer.cancel_nonce(cancelled.claim.nonce)
    eve.post_batch([posted, claim(200)])
    # Disputes.
    truths = []
    lie_in_op(4, 0, True)(network, Behaviour.WITHHOLDS)
    if policy is TracePolicy.WITH_CLAIM:
        lie_in_op(7, 0, True)(network, Behaviour.SILENT)
    troll = network.client("troll")
    for about in network.claims[:2]:
        opened = troll.challenge(about.posted.claim, about.inclusion, value=TERMS.challenge_bond).one(Challenged)
        if policy is TracePolicy.WITH_CLAIM:
            troll.commit(troll.game(opened).at, b"c" * 32)
    for _ in range(60):
        moved = network.round()
        truths.append(Truth.of(network))
        if not moved:
            network.chain.advance(TERMS.clock // 2)
        if all(network.status(one) in (ClaimStatus.FINAL, ClaimStatus.INVALID) for one in network.claims):
            break
    for one in network.claims:
        for event in signer.games_of(one.claim_id):
            game = signer.game(event)
            if event.challenger == troll.account and game.open:
                troll.reclaim([game.ref])
    network.round()
    truths.append(Truth.of(network))
    return History(network, accepted, own.account, truths)
