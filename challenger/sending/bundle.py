"""One transaction a block: moves of many games, those with the least slack first, as many as its gas allows; behind them another one
that collects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from challenger.sending import prices
from challenger.sending.costs import Costs
from rollup.claim import ClaimId
from rollup.errors import ChainError, Refused, Reverted
from rollup.l1.answers import Receipt
from rollup.l1.calls import GAME, Call
from rollup.l1.client import L1Client
from rollup.l1.events import (
    Answered,
    CallFailed,
    Challenged,
    ChallengeLost,
    Committed,
    Convicted,
    Descended,
    Event,
    Narrowed,
    Reclaimed,
    Selected,
    TraceRootSet,
)
from rollup.l1.node.chain import TRANSACTION_GAS
from rollup.words import show_wei

RACES = frozenset(
    {
        "GameOver",
        "AlreadyConvicted",
        "AlreadyReleased",
        "NothingToRelease",
        "NothingToCollect",
        "NothingToReclaim",
        "TraceRootAlreadySet",
        "WrongNode",
        "InsideElement",
        "NotInside",
    }
)
"""Refusals that only say that somebody else was faster; the next look at L1 shows what is left to do."""

COLLECTIONS = frozenset({"timeout", "reclaim"})
"""Moves that end what is decided. No clock runs for them, so they go out behind the others: one that takes more than it is said
to starves no answer.
"""

REVEALS = 16
"""Most nodes or leaves opened in one call: about 1 KiB each."""

TIMEOUTS = 16
"""Most clocks collected in one call."""

SHARE = 0.25
"""Of a block's gas, what one transaction takes at most."""

NEVER = float("inf")

T = TypeVar("T")


def batched(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """The things in order, at most ``size`` at a time."""
    rest = list(things)
    for start in range(0, len(rest), size):
        yield rest[start : start + size]


@dataclass(frozen=True)
class Due:
    """A move that can be made now. ``slack``: seconds that it can wait; ``game_id``: if it is about one game; ``harmless``:
    refusals that mean nothing.
    """

    claim_id: ClaimId
    call: Call
    slack: float = NEVER
    game_id: bytes | None = None
    harmless: Set[str] = RACES

    @property
    def gas(self) -> int:
        return prices.price(self.call)

    @property
    def collects(self) -> bool:
        """Whether it goes out behind the others."""
        return self.call.name in COLLECTIONS


@dataclass(frozen=True)
class MadeMove:
    """A move that was mined."""

    claim_id: ClaimId
    receipt: Receipt


@dataclass
class Bundle:
    """Moves as they are found. ``room``: gas that is left; ``behind``: that is left for collections, in a transaction of their own."""

    room: int
    behind: int
    due: list[Due] = field(default_factory=list)
    left: int = 0
    """Moves that found no room."""

    def add(self, due: Iterable[Due]) -> None:
        """Take the moves that find room; the first one in any case: nothing may wait forever for a smaller block."""
        for one in due:
            room = self.behind if one.collects else self.room
            if one.gas > room and any(other.collects == one.collects for other in self.due):
                self.left += 1
                continue
            self.due.append(one)
            if one.collects:
                self.behind -= one.gas
            else:
                self.room -= one.gas

    @property
    def full(self) -> bool:
        """Whether it is not worth the while to look for more."""
        return self.room < prices.SMALLEST and bool(self.due)


@dataclass
class Outbox:
    """Sends bundles for one account. ``share``: of a block's gas. ``failed``: is told what L1 refused, and about which claim."""

    client: L1Client
    costs: Costs
    failed: Callable[[ClaimId, Exception], None]
    share: float = SHARE

    def bundle(self) -> Bundle:
        """An empty one, with the room of the next block."""
        room = self.gas - prices.BASE
        return Bundle(room, room)

    @property
    def gas(self) -> int:
        """What one transaction may have."""
        return min(TRANSACTION_GAS, int(self.share * self.client.chain.block_gas()))

    def send(self, bundle: Bundle) -> list[MadeMove]:
        """Make the moves: one is sent as it is, several as one transaction, collections as another. Returns a receipt a move,
        with its part of the gas.

        What L1 refuses is told unless it is harmless; it spoils no other move.
        """
        due = sorted(bundle.due, key=lambda one: one.slack)
        game = [one for one in due if one.call.contract == GAME]
        together, last = self._payable([one for one in game if not one.collects])
        done = self._together(self._funded(together))
        if last is not None:
            done += self._together(self._funded([last]))
        done += self._together([one for one in game if one.collects])
        for one in due:
            if one.call.contract != GAME:
                done += self._alone(one)
        return done

    def _payable(self, due: Sequence[Due]) -> tuple[list[Due], Due | None]:
        """The moves whose bonds can be paid besides the gas of all of them: openings are dropped from the end. If none is left,
        also the first one, to be made by itself behind the others: if its bond can be paid, the node says whether its gas can.
        """
        client, bond = self.client, self.client.parameters.challenge_bond
        opening = [one for one in due if _opens(one)]
        if not opening:
            return list(due), None
        earned, wallet = client.earnings(client.account), client.chain.wei_of(client.account)

        def pays(moves: Sequence[Due]) -> bool:
            missing = bond * sum(map(_opens, moves)) - earned
            return missing <= max(0, wallet - self._reserve(moves))

        count = len(opening)
        kept = list(due)
        while count and not pays(kept):
            count -= 1
            kept.remove(opening[count])
        last = opening[0] if not count and earned + wallet > bond else None
        for one in opening[1 if last else count :]:
            self.failed(one.claim_id, _poor(client, bond))
        return kept, last

    def _funded(self, due: Sequence[Due]) -> list[Due]:
        """The moves with money for their bonds: a transaction of several moves carries none, so it is paid in before."""
        client = self.client
        missing = client.parameters.challenge_bond * sum(map(_opens, due))
        if missing:
            missing = max(0, missing - client.earnings(client.account))
        if missing and len(due) == 1:
            return [replace(one, call=replace(one.call, value=missing)) for one in due]
        if missing:
            client.fund(missing)
        return list(due)

    def _reserve(self, due: Sequence[Due]) -> int:
        """Wei that stay on the chain, for the gas of these very moves and of what is paid in."""
        chain = self.client.chain
        return (3 * prices.BASE + _limit(due)) * chain.fees.first(chain.base_fee()).most

    def _alone(self, one: Due) -> list[MadeMove]:
        try:
            receipt = self.client.send(one.call)
        except Reverted as error:
            if error.name not in one.harmless:
                self.failed(one.claim_id, error)
            return []
        except Refused as error:
            self.failed(one.claim_id, error)
            return []
        self.costs.add(one.claim_id, receipt)
        return [MadeMove(one.claim_id, receipt)]

    def _together(self, due: Sequence[Due]) -> list[MadeMove]:
        if not due:
            return []
        if len(due) == 1:
            return self._alone(due[0])
        gas = _limit(due)
        try:
            receipt = self.client.multicall([one.call for one in due], gas)
        except (Reverted, Refused):
            # Whatever makes the whole fail, or keeps the node from taking it, is found by halving it.
            middle = len(due) // 2
            return self._together(due[:middle]) + self._together(due[middle:])
        failed = {event.index: event.reason for event in receipt.events if isinstance(event, CallFailed)}
        done = [one for number, one in enumerate(due) if number not in failed]
        for number, reason in failed.items():
            if reason not in due[number].harmless:
                sentence = f"L1 refused {due[number].call.name} with {reason}; it was sent with other moves"
                self.failed(due[number].claim_id, Reverted(reason, {}, sentence))
        made = [MadeMove(one.claim_id, part) for one, part in zip(done, split(receipt, done), strict=True)]
        for one in made:
            self.costs.add(one.claim_id, one.receipt)
        return made


def _opens(due: Due) -> bool:
    """Whether the move needs a bond."""
    return due.call.name == "challenge"


def _limit(due: Sequence[Due]) -> int:
    """Gas of the moves in one transaction: an inner call gets 63/64 of what is left."""
    return min(TRANSACTION_GAS, prices.BASE + sum(one.gas for one in due) * 65 // 64)


def _poor(client: L1Client, bond: int) -> ChainError:
    return Reverted(
        "InsufficientBalance",
        {},
        f"{client.account} can't pay another bond of {show_wei(bond)}; send it more, or withdraw nothing until games have ended",
    )


def split(receipt: Receipt, moves: Sequence[Due]) -> list[Receipt]:
    """A receipt for each move of a transaction: its part of the gas by what moves of its kind take, and what was said of its
    claim, game or nodes.
    """
    weights = [one.gas for one in moves]
    rest, whole, parts = receipt.gas, sum(weights), []
    for number, (one, weight) in enumerate(zip(moves, weights, strict=True)):
        gas = rest if number == len(moves) - 1 else receipt.gas * weight // whole
        rest -= gas
        fee = receipt.fee * gas // receipt.gas if receipt.gas else 0
        events = tuple(event for event in receipt.events if _is_about(event, one))
        part = replace(receipt, call=one.call.name, gas=gas, data_bytes=len(one.call.data), events=events, fee=fee)
        parts.append(part)
    return parts


def _is_about(event: Event, due: Due) -> bool:
    """Whether a move said this."""
    if type(event) not in SAYS.get(due.call.name, ()):
        return False
    about: Any = event
    same_game = due.game_id is None or getattr(about, "game_id", due.game_id) == due.game_id
    return same_game and getattr(about, "claim_id", due.claim_id) == due.claim_id


SAYS: Mapping[str, tuple[type[Any], ...]] = {
    "challenge": (Challenged, Committed),
    "commit": (Committed,),
    "setTraceRoot": (TraceRootSet,),
    "select": (Selected,),
    "descend": (Descended,),
    "narrow": (Narrowed,),
    "partials": (Answered,),
    "prove": (Convicted,),
    "settle": (Convicted,),
    "timeout": (Convicted, ChallengeLost),
    "reclaim": (Reclaimed,),
}
"""By function, the events that it logs about its claim or game."""
