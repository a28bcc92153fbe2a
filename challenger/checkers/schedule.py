"""Whose turn it is: programs share the time fairly, what is urgent goes first, and claims of one program are checked together."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from challenger.checkers.checks import Order, Urgency
from rollup.claim import ClaimId
from rollup.form.program import Program
from rollup.types import ModelId

SHORT_SECONDS = 2.0
"""A check is short if it takes no longer. Claims are checked together if all of them are as short as that."""

OVERDUE = 3.0
"""A check that runs for this many times what it took before holds up no others about its model: a second worker is started."""

FEWEST = 3
"""Fewer claims are checked one by one."""


@dataclass(frozen=True)
class Loaded:
    """A program that its worker has loaded, tested and run. ``check``, ``trace``: seconds; ``most``: claims of one check."""

    program: Program
    folder: Path
    check: float
    trace: float
    most: int = 1

    def expected(self, order: Order) -> float:
        return self.trace if order.trace else self.check


@dataclass
class Running:
    """Orders about one model that a worker is at; ``tag``: when their turn was."""

    orders: tuple[Order, ...]
    expected: float
    started: float
    tag: float

    @property
    def order(self) -> Order:
        """The first of them."""
        return self.orders[0]

    @property
    def urgency(self) -> Urgency:
        return self.order.urgency


@dataclass
class Schedule:
    """Programs and orders; ``alone``: claims that are not to be checked together with others, since that failed."""

    held: dict[ModelId, Loaded] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)
    used: dict[ModelId, float] = field(default_factory=dict)
    alone: set[ClaimId] = field(default_factory=set)
    clock: float = 0.0

    def next(self, processes: int, now: float) -> Running | None:
        """The orders whose turn it is, if there is one of so many processes for them; they are noted as running."""
        lengthy = sum(_is_long(one, now) for one in self.running)
        firsts: dict[ModelId, Order] = {}
        for order in self.orders:
            model_id = order.claim.model_id
            expected = self.held[model_id].expected(order)
            if (expected > SHORT_SECONDS or order.urgency is Urgency.AGAIN) and lengthy >= max(1, processes - 1):
                continue
            here = [one for one in self.running if one.order.claim.model_id == model_id]
            if not all(now - one.started > max(SHORT_SECONDS, OVERDUE * one.expected) for one in here):
                continue
            # In the order in which they came, of the same urgency.
            if model_id not in firsts or order.urgency < firsts[model_id].urgency:
                firsts[model_id] = order
        if not firsts:
            return None
        turns = [self._turn(order, now) for order in firsts.values()]
        running = min(turns, key=lambda one: (one.urgency, one.tag + one.expected))
        for order in running.orders:
            self.orders.remove(order)
        self.clock = max(self.clock, running.tag)
        self.running.append(running)
        return running

    def _turn(self, first: Order, now: float) -> Running:
        """What is run if this order is the next one."""
        held = self.held[first.claim.model_id]
        together = self._together(first, held.expected(first))
        tag = max(self.used.get(first.claim.model_id, 0.0), self.clock)
        return Running(together, held.expected(first) * len(together), now, tag)

    def _together(self, first: Order, expected: float) -> tuple[Order, ...]:
        """An order, and those about its model that are as urgent and can be checked at once, within a short check's time."""
        most = min(self.held[first.claim.model_id].most, int(SHORT_SECONDS / max(expected, 1e-6)))
        alike = [order for order in self.orders if self._is_alike(order, first)]
        if first not in alike or min(most, len(alike)) < FEWEST:
            return (first,)
        return tuple(alike[:most])

    def _is_alike(self, order: Order, first: Order) -> bool:
        return (
            order.claim.model_id == first.claim.model_id
            and order.urgency is first.urgency is not Urgency.AGAIN
            and not order.trace
            and order.claim_id not in self.alone
        )

    def separately(self, running: Running) -> None:
        """Have what was checked together checked one by one, next of its model."""
        self.alone |= {order.claim_id for order in running.orders}
        self.orders[:0] = running.orders

    def end(self, running: Running, seconds: float) -> None:
        """It took so many seconds."""
        self.running.remove(running)
        self.used[running.order.claim.model_id] = running.tag + seconds


def _is_long(one: Running, now: float) -> bool:
    return one.urgency is Urgency.AGAIN or max(one.expected, now - one.started) > SHORT_SECONDS
