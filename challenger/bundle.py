"""One transaction a block: moves of many games, those with the least slack first, as many as its gas allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from challenger import prices
from challenger.costs import Costs
from rollup.claim import ClaimId
from rollup.errors import ChainError, Refused, Reverted
from rollup.l1.calls import GAME, Call
from rollup.l1.chain import TRANSACTION_GAS
from rollup.l1.client import L1Client, Receipt
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

RACES = frozenset(
    {
        "GameOver",
        "AlreadyConvicted",
        "AlreadyReleased",
        "NothingToCollect",
        "NothingToReclaim",
        "TraceRootAlreadySet",
        "WrongNode",
        "InsideElement",
        "NotInside",
    }
)
"""Refusals that only say that somebody else was faster; the next look at L1 shows what is left to do."""

SHARE = 0.25
"""Of a block's gas, what one transaction takes at most."""

NEVER = float("inf")


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


@dataclass(frozen=True)
class Made:
    """A move that was mined."""

    claim_id: ClaimId
    receipt: Receipt


@dataclass
class Bundle:
    """Moves as they are found. ``room``: gas that is left."""

    room: int
    due: list[Due] = field(default_factory=list)
    left: int = 0
    """Moves that found no room."""

    def add(self, due: Iterable[Due]) -> None:
        """Take the moves that find room; the first one in any case: nothing may wait forever for a smaller block."""
        for one in due:
            if one.gas <= self.room or not self.due:
                self.due.append(one)
                self.room -= one.gas
            else:
                self.left += 1

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
        return Bundle(self.gas - prices.BASE)

    @property
    def gas(self) -> int:
        """What one transaction may have."""
        return min(TRANSACTION_GAS, int(self.share * self.client.chain.block_gas()))

    def send(self, bundle: Bundle) -> list[Made]:
        """Make the moves: one is sent as it is, several as one transaction. Returns a receipt a move, with its part of the gas.

        What L1 refuses is told unless it is harmless; it spoils no other move.
        """
        due = sorted(bundle.due, key=lambda one: one.slack)
        alone = [one for one in due if one.call.contract != GAME]
        together = self._funded([one for one in due if one.call.contract == GAME])
        done = self._together(together)
        for one in alone:
            done += self._alone(one)
        return done

    def _funded(self, due: Sequence[Due]) -> list[Due]:
        """The moves with money for their bonds: a transaction of several moves carries none, so it is paid in before."""
        opening = [one for one in due if one.call.name == "challenge"]
        if not opening:
            return list(due)
        client, bond = self.client, self.client.parameters.challenge_bond
        earned = client.earnings(client.account)
        if len(due) == 1:
            missing = max(0, bond - earned)
            return [replace(one, call=replace(one.call, value=missing)) for one in due]
        missing = bond * len(opening) - earned
        if missing > 0:
            wallet = client.chain.wei_of(client.account) - self._reserve(due)
            affordable = max(0, min(len(opening), (earned + max(0, wallet)) // bond))
            for one in opening[affordable:]:
                self.failed(one.claim_id, _poor(client, bond))
            kept = {id(one) for one in opening[:affordable]}
            due = [one for one in due if one.call.name != "challenge" or id(one) in kept]
            if bond * affordable > earned:
                client.fund(bond * affordable - earned)
        return list(due)

    def _reserve(self, due: Sequence[Due]) -> int:
        """Wei that stay on the chain, for the gas of these very moves and of what is paid in."""
        chain = self.client.chain
        return (3 * prices.BASE + _limit(due)) * chain.fees.first(chain.base_fee()).most

    def _alone(self, one: Due) -> list[Made]:
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
        return [Made(one.claim_id, receipt)]

    def _together(self, due: Sequence[Due]) -> list[Made]:
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
        made = [Made(one.claim_id, part) for one, part in zip(done, split(receipt, done), strict=True)]
        for one in made:
            self.costs.add(one.claim_id, one.receipt)
        return made


def _limit(due: Sequence[Due]) -> int:
    """Gas of the moves in one transaction: an inner call gets 63/64 of what is left."""
    return min(TRANSACTION_GAS, prices.BASE + sum(one.gas for one in due) * 65 // 64)


def _poor(client: L1Client, bond: int) -> ChainError:
    return Reverted(
        "InsufficientBalance",
        {},
        f"{client.account} can't pay another bond of {bond} wei; send it more, or withdraw nothing until games have ended",
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
