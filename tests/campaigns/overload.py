"""More lies than a watcher can dispute at once, and more challenges than a claim deserves: ``make overload``.

Blocks come every 12 seconds, and each side's transaction takes one of them, with so much of its gas. A liar lets its own clocks run
down to the last moment and then answers in all games at once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from web3.types import TxReceipt

from challenger.checkers.re_execute import Reference
from challenger.defender import Behaviour, Defender
from challenger.play.challenger_player import longest
from challenger.sending.capacity import Capacity
from challenger.watch.modes import WatchConfiguration
from challenger.watch.watcher import Watcher
from rollup.claim import Address, ClaimId, PostedClaim
from rollup.form.encoding import TracePolicy
from rollup.game.clock import Side
from rollup.game.position import descendant
from rollup.l1 import calls
from rollup.l1.account.sending import Anchor
from rollup.l1.account.signing import Signer
from rollup.l1.answers import ClaimStatus, GameInfo
from rollup.l1.client import L1Client
from rollup.l1.events import Challenged, ChallengeLost
from rollup.l1.node.chain import BLOCK_GAS
from rollup.l1.node.embedded import EmbeddedChain
from rollup.merkle import depth_of
from rollup.settings import Parameters
from rollup.types import Duration, Gindex, Root
from tests.e2e.lies import PROGRAMS
from tests.e2e.network import Claimed, NetworkWorld
from tests.e2e.toy_program import Published, toy_inputs, values_of, with_lie
from tests.world import ETHER, sign_claim

BLOCK = 12
PROGRAM = PROGRAMS[TracePolicy.WITH_CLAIM]
GWEI = 10**9
LAST_MOMENT = 3 * BLOCK
"""Seconds of its clock with which a liar answers."""

BATCH = 40


class Paced(EmbeddedChain):
    """A chain on which every transaction of some accounts takes a block of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: set[Address] = set()
        self.blocks = 0

    def transact(
        self,
        signer: Signer,
        to: Address | None,
        data: bytes,
        value: int = 0,
        anchor: Anchor | None = None,
        gas: int | None = None,
    ) -> TxReceipt:
        try:
            return super().transact(signer, to, data, value, anchor, gas)
        finally:
            if signer.address in self.slow:
                self.blocks += 1
                self.advance(BLOCK - 1)


class LastMoment(Defender):
    """Answers a game when its clock is about to run out, and never before."""

    def _in_turn(self, games: list[tuple[Challenged, GameInfo]]) -> list[tuple[Challenged, GameInfo]]:
        return [
            (opened, game)
            for opened, game in games
            if game.expired is not None
            or (game.turn is Side.DEFENDER and game.clocks is not None and game.clocks.defender <= LAST_MOMENT)
        ]


@dataclass(frozen=True)
class Load:
    """``times``: of the capacity, unless ``lies`` says how many. ``share``: of a block's gas; ``clock``: in blocks."""

    name: str
    behaviour: Behaviour
    times: float = 1.0
    lies: int | None = None
    share: float = 0.02
    clock: int = 20


@dataclass
class Outcome:
    """What came of a load. ``games``: most that the watcher had open at once; ``blocks``: of its transactions."""

    name: str
    capacity: int
    lies: int
    convicted: int
    final: int
    lost: int
    games: int
    blocks: int
    gas_each: int
    seconds: float

    @property
    def kept(self) -> bool:
        """Whether every lie was convicted, and no bond of the watcher was lost."""
        return (self.convicted, self.final, self.lost) == (self.lies, 0, 0)

    def __str__(self) -> str:
        return (
            f"{self.name:34} {self.capacity:>8} {self.lies:>5} {self.convicted:>9} {self.final:>5} {self.lost:>5} "
            f"{self.games:>6} {self.blocks:>6} {self.gas_each:>9,} {'kept' if self.kept else 'BROKEN'}"
        )


HEAD = f"{'load':34} {'capacity':>8} {'lies':>5} {'convicted':>9} {'final':>5} {'lost':>5} {'games':>6} {'blocks':>6} {'gas each':>9}"


def capacity(load: Load) -> int:
    """How many games a watcher with this share of a block can play to their end at once."""
    left = longest(PROGRAM, 2)
    work = replace(left, seconds=float(load.clock * BLOCK))
    return Capacity(float(BLOCK), int(load.share * BLOCK_GAS)).at_once(work)


def parameters(load: Load) -> Parameters:
    """A challenge period of two clocks. The clock stops for as long as a watcher that is kept waiting needs for one game."""
    clock = load.clock * BLOCK
    spacing = -(-5 * clock // (2 * max(1, capacity(load)))) + BLOCK
    return Parameters(Duration(2 * clock), Duration(clock), Duration(min(spacing, 2 * clock)), arity=2)


def posted(network: NetworkWorld, liar: L1Client, count: int) -> list[tuple[PostedClaim, ClaimId, Published]]:
    """So many lies, each about another input, in as few batches as they fit."""
    made = []
    liar.deposit(count * network.parameters.claim_bond)
    for seed in range(count):
        inputs = toy_inputs(seed)
        lied = with_lie(PROGRAM, values_of(PROGRAM, inputs), 4)
        trace = Published(PROGRAM, lied)
        until = network.chain.now() + 10**6
        one = sign_claim(liar, PROGRAM, inputs, lied, nonce=seed + 1, valid_until=until, trace_root=trace.root)
        made.append((one, liar.claim_id(one.claim), trace))
    each = max(1, min(BATCH if count <= 3 * BATCH else -(-count // 3), 70))
    for start in range(0, count, each):
        network.deployer.post_batch([one for one, *_ in made[start : start + each]])
    return made


def overload(load: Load) -> Outcome:
    """One watcher against so many lies."""
    started = time.perf_counter()
    chain = Paced()
    network = NetworkWorld(PROGRAM, parameters(load), chain=chain)
    most = capacity(load)
    count = load.lies or max(1, round(load.times * most))
    liar_client, client = network.client("liar"), network.client("watcher")
    chain.fund(client.account, 10**21)
    liar = LastMoment(liar_client, load.behaviour, network.traces)
    for _, claim_id, trace in (lies := posted(network, liar_client, count)):
        liar.uphold(claim_id, PROGRAM, trace)
    configuration = WatchConfiguration(share=load.share, block_seconds=float(BLOCK))
    watcher = Watcher(client, network.traces, Reference, network.admit, configuration=configuration)
    watcher.hold(PROGRAM)
    chain.slow = {client.account}
    at_once = 0
    liar.l1.read(liar_client)
    for _ in range(400 * (2 + count // max(1, most))):
        if not watcher.poll():
            chain.advance(BLOCK)
        while liar.poll():
            pass
        mine = [game for claim in watcher.l1.disputed for game in watcher.l1.games_of(claim, client.account)]
        at_once = max(at_once, sum(game.claim_id not in watcher.l1.convicted for game in mine))
        if all(claim_id in watcher.l1.convicted for _, claim_id, _ in lies):
            break
        over = [claim_id for _, claim_id, _ in lies if watcher.l1.seconds_left(claim_id) < 0]
        if len(over) == count and not mine:
            break
    watcher.poll()
    events = [logged.event for logged in client.events(network.deployer.first, chain.height())]
    convicted = sum(claim_id in watcher.l1.convicted for _, claim_id, _ in lies)
    statuses = [network.deployer.status(one.claim, watcher.l1.inclusion(claim_id)) for one, claim_id, _ in lies]
    lost = sum(isinstance(event, ChallengeLost) for event in events)
    lost += client.locked(client.account) // network.parameters.challenge_bond
    gas = sum(watcher.costs.gas(claim_id) for _, claim_id, _ in lies)
    return Outcome(
        load.name,
        most,
        count,
        convicted,
        statuses.count(ClaimStatus.FINAL) + statuses.count(ClaimStatus.POSTED),
        lost,
        at_once,
        chain.blocks,
        gas // max(1, count),
        time.perf_counter() - started,
    )


@dataclass
class Siege:
    """What came of many challenges to one right claim."""

    games: int
    final: bool
    bond_free: bool
    gas: int
    earned_wei: int
    cost_wei: int

    @property
    def kept(self) -> bool:
        """Whether the claim became final, and the claimant got back at 50 gwei what its answers cost."""
        return self.final and self.bond_free and self.earned_wei >= self.cost_wei

    def __str__(self) -> str:
        return (
            f"{self.games} games against one right claim: {'FINAL' if self.final else 'NOT FINAL'}, "
            f"{self.gas:,} gas, earned {self.earned_wei / ETHER:.3f} ETH for {self.cost_wei / ETHER:.3f} at 50 gwei: "
            f"{'kept' if self.kept else 'BROKEN'}"
        )


def siege(games: int) -> Siege:
    """Sybils open so many games on a right claim and go down to as many leaves as there are, then say nothing."""
    chain = Paced()
    clock = 60 * BLOCK
    terms = Parameters(
        Duration(2 * clock), Duration(clock), arity=2, reward=10**16, move_fee=5 * 10**15, collect_fee=6 * 10**15
    )
    network = NetworkWorld(PROGRAM, terms, chain=chain)
    claimed: Claimed = network.claim("honest", toy_inputs(1), behaviour=Behaviour.WITHHOLDS)
    honest, account = claimed.defender, claimed.client.account
    free = claimed.client.balance(account)
    trace = Published(PROGRAM, values_of(PROGRAM, toy_inputs(1)))
    eve = network.client("eve")
    eve.fund(games * terms.challenge_bond)
    opening = calls.challenge(claimed.posted.claim, claimed.inclusion, bytes(32))
    opened: list[Challenged] = []
    for start in range(0, games, 25):
        receipt = eve.multicall([opening] * min(25, games - start), 16_000_000)
        opened += [event for event in receipt.events if isinstance(event, Challenged)]
    chain.slow = {account}
    for _ in range(200):
        if not honest.poll():
            chain.advance(BLOCK)
        moves = []
        for number, game in enumerate(opened):
            info = eve.game(game)
            if (
                info.live
                and info.turn is Side.CHALLENGER
                and info.expired is None
                and depth_of(info.position) < PROGRAM.depth
            ):
                below = descendant(info.position, 2, (number >> depth_of(info.position)) % 4)
                siblings = [trace.node(Gindex((below >> up) ^ 1)) for up in range(2)]
                moves.append(calls.select(info.at, below, Root(trace.node(below)), siblings))
        for start in range(0, len(moves), 60):
            eve.multicall(moves[start : start + 60], 16_000_000)
        if not moves and network.status(claimed) is ClaimStatus.FINAL:
            break
    honest.poll()
    gas = sum(receipt.gas for receipt in honest.costs.of(claimed.claim_id) if not receipt.call.startswith("release"))
    earned = claimed.client.earnings(account)
    bond_free = claimed.client.locked(account) == 0 and claimed.client.balance(account) == free + terms.claim_bond
    final = network.status(claimed) is ClaimStatus.FINAL
    return Siege(len(opened), final, bond_free, gas, earned, gas * 50 * GWEI)


LOADS = [
    Load(f"{times:g} times, {behaviour.name.lower()}", behaviour, times)
    for behaviour in (Behaviour.WITHHOLDS, Behaviour.PUBLISHES)
    for times in (0.5, 1.0, 4.0, 16.0)
] + [
    Load(f"200 in three blocks, {behaviour.name.lower()}", behaviour, lies=200, share=0.25, clock=60)
    for behaviour in (Behaviour.WITHHOLDS, Behaviour.PUBLISHES)
]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make overload", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--only", default="", help="loads whose name contains this; 'siege' for the Sybils alone")
    parser.add_argument("--games", type=int, default=100, help="Sybil games against one right claim")
    options = parser.parse_args(arguments)
    print(HEAD)
    outcomes = []
    for load in LOADS:
        if options.only in load.name:
            outcomes.append(overload(load))
            print(outcomes[-1], f"({outcomes[-1].seconds:.0f} s)", flush=True)
    sieges = [siege(options.games)] if options.only in ("", "siege") else []
    for one in sieges:
        print(one, flush=True)
    if options.json:
        figures = {"loads": [asdict(one) for one in outcomes], "sieges": [asdict(one) for one in sieges]}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if all(one.kept for one in [*outcomes, *sieges]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
