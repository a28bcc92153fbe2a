"""What is locked, and what comes free, through random schedules of groups, disputes and releases: L1 and what is read of it against a
few sums.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from challenger.releases import Releases
from challenger.state.l1_state import L1State
from rollup.claim import ClaimId, PostedClaim
from rollup.errors import Reverted
from rollup.l1.answers import GameRef
from rollup.l1.events import Challenged, ClaimPosted, Convicted
from rollup.merkle import hash_node
from rollup.types import Root
from tests.world import ETHER, INPUTS, RIGHT, TERMS, ToyWorld, sign_claim

CHILDREN = (Root(b"\x01" * 32), Root(b"\x02" * 32))
ROOT = hash_node(*CHILDREN)
"""A trace root that can be opened once: its claimant is in time, or is not."""


@dataclass
class Schedule:
    """``free``: claims that were released; ``lost``: convicted; ``tried``: challenged at any time."""

    seed: int
    world: ToyWorld = field(default_factory=ToyWorld)
    posted: dict[ClaimId, ClaimPosted] = field(default_factory=dict)
    free: set[ClaimId] = field(default_factory=set)
    lost: set[ClaimId] = field(default_factory=set)
    tried: set[ClaimId] = field(default_factory=set)
    open: list[Challenged] = field(default_factory=list)
    nonce: int = 250

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.claimant = self.world.client("claimant", deposit=100 * ETHER)
        self.challenger = self.world.client("challenger")
        self.challenger.fund(100 * ETHER)
        self.l1 = L1State()

    def claim(self) -> PostedClaim:
        self.nonce += 1
        return sign_claim(
            self.claimant, self.world.program, INPUTS, RIGHT, nonce=self.nonce, trace_root=ROOT, valid_until=2**63
        )

    def post(self) -> None:
        """A group, some of whose claims were spoiled: posted alone before."""
        claims = (
            [self.claim() for _ in range(self.rng.choice([1, 2, 3, 130]))]
            if self.rng.random() < 0.3
            else [self.claim() for _ in range(self.rng.randint(1, 5))]
        )
        alone = [one for one in claims if self.rng.random() < 0.2][:3]
        groups = [self.claimant.sign_group([one]) for one in alone] + [self.claimant.sign_group(claims)]
        receipt = self.world.deployer.post_groups(groups)
        found = [event for event in receipt.events if isinstance(event, ClaimPosted)]
        assert sorted(event.claim.nonce for event in found) == sorted(one.claim.nonce for one in claims)
        self.posted |= {event.claim_id: event for event in found}

    def wait(self) -> None:
        self.world.chain.advance(self.rng.choice([1, 100, int(TERMS.window) + 1]))

    def challenge(self) -> None:
        self.l1.read(self.world.deployer)
        left = [name for name in self.posted if name not in self.lost and self.l1.seconds_left(name) > 60]
        if not left:
            return
        name = self.rng.choice(left)
        receipt = self.challenger.challenge(self.posted[name].claim, self.l1.inclusion(name))
        self.open.append(receipt.one(Challenged))
        self.tried.add(name)

    def defend(self) -> None:
        """Every open game is in the challenger's hands then."""
        self.claimant.reveal([CHILDREN])

    def collect(self) -> None:
        """End a game by time."""
        if not self.open:
            return
        game = self.open.pop(self.rng.randrange(len(self.open)))
        if game.claim_id in self.lost:
            return
        self.world.chain.advance(int(TERMS.clock) + 1)
        receipt = self.claimant.timeout([GameRef(game.claim_id, ROOT, game.challenger, game.counter)])
        if any(isinstance(event, Convicted) for event in receipt.events):
            self.lost.add(game.claim_id)

    def release(self) -> None:
        """All that can be freed, in the ways that the defender takes; once more frees nothing."""
        self.l1.read(self.world.deployer)
        final = {
            name
            for name in self.posted
            if name not in self.free | self.lost
            and self.l1.seconds_left(name) < 0
            and not any(game.claim_id == name for game in self.open)
        }
        found = Releases()
        for name in self.rng.sample(sorted(self.posted), len(self.posted)):
            found.add(self.world.deployer, self.l1, name)
        assert set(found.claims()) == final
        calls = found.calls()
        for _, call in calls:
            self.world.deployer.send(call)
        self.free |= final
        for _, call in calls:
            if call.name == "releaseAll":
                self.world.deployer.send(call)
            else:
                with pytest.raises(Reverted, match=r"none of these groups has a bond|was released before"):
                    self.world.deployer.send(call)

    def check(self) -> None:
        client, claimant = self.world.deployer, self.claimant.account
        held = len(self.posted) - len(self.free) - len(self.lost)
        assert client.locked(claimant) == held * TERMS.claim_bond
        assert client.balance(claimant) == 100 * ETHER - (held + len(self.lost)) * TERMS.claim_bond
        self.l1.read(client)
        assert self.l1.released == self.free
        assert set(self.l1.convicted) == self.lost
        assert set(self.l1.claims) == set(self.posted)


@pytest.mark.parametrize("seed", range(2))
def test_every_bond_comes_free_once_and_only_if_its_claim_is_final(seed: int) -> None:
    schedule = Schedule(seed)
    moves = [schedule.post, schedule.wait, schedule.challenge, schedule.defend, schedule.collect, schedule.release]
    for _ in range(25):
        schedule.rng.choice([*moves, schedule.challenge, schedule.release])()
        schedule.check()
    schedule.world.chain.advance(10 * int(TERMS.window))
    while schedule.open:
        schedule.collect()
    schedule.release()
    schedule.check()
    assert len(schedule.free) + len(schedule.lost) == len(schedule.posted)
