"""Carries a strategy's actions to L1, for one account. Everything it needs it reads from L1: it can be stopped at any
moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from challenger import strategy
from challenger.book import Book
from challenger.strategy import (
    Accusation,
    Action,
    Collect,
    CommitTo,
    FirstOf,
    GiveTraceRoot,
    GoDown,
    Layout,
    OpenGame,
    OpenLeaf,
    OpenNode,
    ProveAt,
    Revealed,
    Trace,
    View,
)
from challenger.trace import TraceStore, ValueTrace
from challenger.witnesses import witness
from rollup.claim import NO_ROOT, ClaimId, output_types, tensor_roots
from rollup.errors import Reverted
from rollup.game.clock import Side
from rollup.l1.client import NOTHING, GameInfo, GameRef, L1Client, Receipt
from rollup.l1.events import Challenged
from rollup.program import Program
from rollup.types import Gindex, Root

RACES = {
    "GameOver",
    "AlreadyConvicted",
    "AlreadyReleased",
    "NothingToCollect",
    "NothingToReclaim",
    "TraceRootAlreadySet",
    "WrongNode",
}
"""Refusals that only say that somebody else was faster; the next look at L1 shows what is left to do."""

NOT_YET = {"PlaceNotReached"}
"""What is said to a proof of the very place that was committed to, as long as that is not a block ago: most nodes try a
transaction out in the context of the newest block, which may be the commitment's own.
"""

REVEALS = 16
"""Most nodes or leaves opened in one transaction: about 1 KiB each, well below what nodes relay."""

TIMEOUTS = 64
"""Most clocks collected in one transaction."""

T = TypeVar("T")


def batched(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """The things in order, at most ``size`` at a time."""
    rest = list(things)
    for start in range(0, len(rest), size):
        yield rest[start : start + size]


@dataclass
class Costs:
    """The transactions of one player, by claim."""

    receipts: dict[ClaimId, list[Receipt]] = field(default_factory=dict)

    def add(self, claim_id: ClaimId, receipt: Receipt) -> None:
        self.receipts.setdefault(claim_id, []).append(receipt)

    def of(self, claim_id: ClaimId) -> list[Receipt]:
        return self.receipts.get(claim_id, [])

    def moves(self, claim_id: ClaimId) -> int:
        """Moves of the dispute: collecting and reclaiming are none."""
        return sum(receipt.call not in ("timeout", "reclaim", "release", "releaseAll") for receipt in self.of(claim_id))

    def gas(self, claim_id: ClaimId) -> int:
        return sum(receipt.gas for receipt in self.of(claim_id))

    def gas_by_move(self, claim_id: ClaimId) -> dict[str, int]:
        """Gas summed by contract function."""
        summed: dict[str, int] = {}
        for receipt in self.of(claim_id):
            summed[receipt.call] = summed.get(receipt.call, 0) + receipt.gas
        return summed


def layout_of(book: Book, program: Program, claim_id: ClaimId) -> Layout:
    """What the claim says of its trace."""
    _, outputs = book.data_of(claim_id)
    header = program.header
    return Layout.of(program, tensor_roots(outputs, output_types(header), header.tensor_depth, "output"))


def theirs(book: Book, program: Program, claim_id: ClaimId, store: TraceStore | None) -> Trace:
    """The claimant's trace, as far as it was revealed on L1 or published."""
    revealed = Revealed(book.preimages, book.trace_root(claim_id), program.depth)
    published = None
    if store is not None:
        with suppress(Exception):
            published = store.published(claim_id, revealed.root, program.depth)
    return revealed if published is None else FirstOf([revealed, published])


def _played(call: Callable[[], Receipt], harmless: Set[str] = RACES) -> Receipt | None:
    """Send a move; None if it is refused for a ``harmless`` reason, that somebody else was faster."""
    try:
        return call()
    except Reverted as error:
        if error.name in harmless:
            return None
        raise


@dataclass
class ChallengerPlayer:
    """One account's game about each claim that it was told is false; one game per claim."""

    client: L1Client
    store: TraceStore | None = None
    costs: Costs = field(default_factory=Costs)

    def play(self, book: Book, program: Program, claim_id: ClaimId, own: ValueTrace) -> list[Receipt]:
        """Make every move that can be made now; raises Reverted if L1 refuses one for another reason than a race."""
        games = [self.client.game(game) for game in book.games_of(claim_id, self.client.account)]
        if claim_id in book.convicted:
            return self._reclaim(claim_id, [game for game in games if game.open])
        # One whose clock ran out while this player was away is lost: another can be opened as long as there is time.
        live = [game for game in games if game.live and game.expired is not Side.CHALLENGER]
        layout, other = layout_of(book, program, claim_id), theirs(book, program, claim_id, self.store)
        view = self._view(live[0], layout, own, other, book.trace_root(claim_id)) if live else None
        if view is None and self._too_late(book, claim_id):
            return []
        done = []
        for action in strategy.challenger(layout, own, other, book.trace_root(claim_id), view):
            receipt = self._act(book, claim_id, action, live[0] if live else None, layout, own, other)
            if receipt is not None:
                self.costs.add(claim_id, receipt)
                done.append(receipt)
        return done

    def _too_late(self, book: Book, claim_id: ClaimId) -> bool:
        posted_at = book.posted_at[book.claims[claim_id].batch]
        return self.client.chain.now() >= posted_at + self.client.parameters.window

    def _salt(self, claim_id: ClaimId, place: Gindex) -> bytes:
        return self.client.derive(b"salt" + claim_id + place.to_bytes(16, "big"))

    def _commitment(self, claim_id: ClaimId, trace_root: Root, place: Gindex) -> bytes:
        return self.client.commitment(claim_id, trace_root, place, self._salt(claim_id, place))

    def _view(self, game: GameInfo, layout: Layout, own: Trace, other: Trace, trace_root: Root) -> View:
        place = None
        accusation = strategy.accuse(layout, own, other, trace_root)
        if accusation and game.commitment == self._commitment(game.ref.claim_id, trace_root, accusation.position):
            place = accusation.position
        assert game.turn is not None
        counts = game.committed_in <= self.client.chain.height()
        return View(game.position, game.node, game.turn, trace_root, place, counts, game.expired)

    def _act(
        self,
        book: Book,
        claim_id: ClaimId,
        action: Action,
        game: GameInfo | None,
        layout: Layout,
        own: ValueTrace,
        other: Trace,
    ) -> Receipt | None:
        client, root = self.client, book.trace_root(claim_id)
        claim = book.claims[claim_id].claim
        if isinstance(action, OpenGame):
            named = NOTHING if action.place is None else self._commitment(claim_id, root, action.place)
            missing = max(0, client.parameters.challenge_bond - client.earnings(client.account))
            return _played(lambda: client.challenge(claim, book.inclusion(claim_id), named, missing))
        assert game is not None
        at = game.at
        match action:
            case CommitTo(place):
                return _played(lambda: client.commit(at, self._commitment(claim_id, root, place)))
            case GoDown(position, child, siblings):
                return _played(lambda: client.select(at, position, child, siblings))
            case ProveAt(Accusation(place, rule) as accusation):
                proof = witness(accusation, layout, own, other, root, *book.data_of(claim_id))
                committed = place != game.position
                harmless = RACES | NOT_YET if committed else RACES
                return _played(
                    lambda: client.prove(at, claim, place, self._salt(claim_id, place), rule, proof), harmless
                )
            case Collect():
                return _played(lambda: client.timeout([game.ref]))
        raise AssertionError(f"{action} is no move of a challenger")

    def _reclaim(self, claim_id: ClaimId, games: Sequence[GameInfo]) -> list[Receipt]:
        if not games:
            return []
        receipt = _played(lambda: self.client.reclaim([game.ref for game in games]))
        if receipt is None:
            return []
        self.costs.add(claim_id, receipt)
        return [receipt]


@dataclass
class DefenderPlayer:
    """The claimant's side in every game about its claims; whoever is not the claimant can play it but for the trace
    root.
    """

    client: L1Client
    costs: Costs = field(default_factory=Costs)

    def due(self, book: Book, claim_id: ClaimId, games: Sequence[Challenged]) -> list[Challenged]:
        """Those games about a right claim that somebody should help in: that wait for a defender who has used half of its
        clock, or whose challenger ran out of its own.
        """
        if claim_id in book.convicted or book.trace_root(claim_id) == NO_ROOT:
            return []
        return [game for game in games if self._is_due(self.client.game(game))]

    def _is_due(self, game: GameInfo) -> bool:
        if not game.live or game.clocks is None:
            return False
        late = game.turn is Side.DEFENDER and game.clocks.defender < self.client.parameters.clock / 2
        return game.expired is Side.CHALLENGER or (late and game.expired is None)

    def play(
        self, book: Book, program: Program, claim_id: ClaimId, own: Trace, opened: Sequence[Challenged]
    ) -> list[Receipt]:
        """Answer these games about the claim as far as one can now: reveals in one transaction, then leaves, then clocks."""
        if claim_id in book.convicted:
            return []
        games = [self.client.game(game) for game in opened]
        if not games:
            return []
        layout = layout_of(book, program, claim_id)
        done: list[Receipt | None] = []
        root = book.trace_root(claim_id)
        nodes: dict[Root, Sequence[Root]] = {}
        leaves: dict[Root, bytes] = {}
        expired: list[GameRef] = []
        for game in games:
            if not game.live or game.turn is None:
                continue
            view = View(game.position, game.node, game.turn, root, expired=game.expired)
            for action in strategy.defender(layout, own, self.client.parameters.arity, view):
                match action:
                    case GiveTraceRoot(given):
                        done.append(self.send(claim_id, partial(self.client.set_trace_root, claim_id, given)))
                        sent = [receipt for receipt in done if receipt is not None]
                        return sent + self._play_on(book, program, claim_id, own, opened)
                    case OpenNode(children):
                        nodes[game.node] = children
                    case OpenLeaf(data):
                        leaves[game.node] = data
                    case Collect():
                        expired.append(game.ref)
        for openings in batched(nodes.values(), REVEALS):
            done.append(self.send(claim_id, partial(self.client.reveal, openings)))
        for bottom in batched(leaves.values(), REVEALS):
            done.append(self.send(claim_id, partial(self.client.reveal_leaf, bottom)))
        for late in batched(expired, TIMEOUTS):
            done.append(self.send(claim_id, partial(self.client.timeout, late)))
        return [receipt for receipt in done if receipt is not None]

    def _play_on(
        self, book: Book, program: Program, claim_id: ClaimId, own: Trace, opened: Sequence[Challenged]
    ) -> list[Receipt]:
        """Read what one's own move changed, and go on."""
        book.read(self.client)
        return self.play(book, program, claim_id, own, opened) if book.trace_root(claim_id) != NO_ROOT else []

    def send(self, claim_id: ClaimId, call: Callable[[], Receipt]) -> Receipt | None:
        """Send a move, and count what it cost; None if somebody else was faster."""
        receipt = _played(call)
        if receipt is not None:
            self.costs.add(claim_id, receipt)
        return receipt
