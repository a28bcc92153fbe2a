"""What a deployment's events say as the chain goes on, and how far that must be taken back when it reorganises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollup.errors import ChainError
from rollup.l1.client import L1Client
from rollup.l1.events import Logged
from rollup.l1.node.finality import Block

DEPTH = 256
"""Blocks below the head whose reorganisation is noticed exactly; a deeper one is read again from the beginning."""

CLOSE = 16
"""Blocks below the head that are read one by one, each by its hash: there an endpoint's machines may disagree."""

ATTEMPTS = 5
"""How often a read begins again because the chain changed under it."""


@dataclass(frozen=True)
class News:
    """What changed since the news before.

    ``rewound_to``: whatever stood above this block no longer holds, and is to be undone first; None if all of it does.
    ``events``: those above it (or above the head of the news before), in order, up to ``head``. ``seen``: what a
    follower must know to go on from here. ``more``: the chain goes on above ``head``; nothing is to be decided before
    the rest was read as well.
    """

    rewound_to: int | None
    events: tuple[Logged, ...]
    head: Block
    seen: tuple[Block, ...]
    more: bool = False


class Follower:
    """Reads the events of a deployment from block ``first`` on; for one thread.

    ``seen``: of the news that were digested last, to go on after them in a new process. It can also be set: whoever
    failed to digest the last news gives back what was digested before, and gets them again. A long history comes as many
    news, each of what one answer of the endpoint holds: so its length costs no memory, and a failure loses one answer.

    ``patience``: how many looks in a row may find an endpoint behind what was read, before that counts as a
    reorganisation to a shorter chain; until then there are no news.
    """

    def __init__(
        self,
        client: L1Client,
        first: int | None = None,
        depth: int = DEPTH,
        seen: Sequence[Block] = (),
        patience: int = 5,
    ) -> None:
        self.client = client
        self.first = client.first if first is None else first
        self.depth = depth
        self.seen = tuple(seen)
        self._patience, self._behind = patience, 0

    def news(self) -> News:
        """Read up to the latest block, or as far as one answer goes. Raises ChainError, and changes nothing, if the chain
        can't be read now.
        """
        for _ in range(ATTEMPTS):
            found = self._look()
            if found is not None:
                self.seen = found.seen
                return found
        raise ChainError(
            f"the chain changed {ATTEMPTS} times while it was read; look again, or use a steadier endpoint"
        )

    def _look(self) -> News | None:
        """None if the chain changed in the middle."""
        chain = self.client.chain
        head = chain.head()
        newest = self.seen[-1] if self.seen else None
        kept = self._kept(head)
        if newest is not None and head.number < newest.number and kept == self._below(head.number):
            # Everything that the endpoint could know of it is as it was: it lags, or the chain became shorter.
            self._behind += 1
            if self._behind <= self._patience:
                return News(None, (), newest, self.seen)
        self._behind = 0
        base = max(kept[-1].number, self.first - 1) if kept else self.first - 1
        rewound_to = base if len(kept) < len(self.seen) else None
        if head.number <= base:
            return News(rewound_to, (), head, kept if kept and kept[-1].number == head.number else (*kept, head))
        # Far below the head no two machines disagree: there a range of numbers is as good as hashes.
        far = max(base, head.number - CLOSE)
        events: list[Logged] = []
        if far > base:
            events, end = self.client.events_page(base + 1, far)
            if end < far:
                return self._part(rewound_to, events, kept, end)
        walked = self._walk(head, base)
        if walked is None or (kept and walked[0].number == base + 1 and walked[0].parent != kept[-1].hash):
            return None
        marks: list[Block] = []
        if far > base:
            marks += self._mark(base, far, head)
            joint = self.client.chain.block(far)
            if joint is None or joint.hash != walked[0].parent:
                return None
        for block in walked:
            close = self.client.events_of(block)
            if close is None:
                return None
            events += close
        return News(rewound_to, tuple(events), head, self._within(head, (*kept, *marks, *walked)))

    def _part(self, rewound_to: int | None, events: list[Logged], kept: tuple[Block, ...], end: int) -> News | None:
        """News that end far below the head."""
        last = self.client.chain.block(end)
        if last is None:
            return None
        return News(rewound_to, tuple(events), last, self._within(last, (*kept, last)), more=True)

    def _within(self, head: Block, seen: tuple[Block, ...]) -> tuple[Block, ...]:
        """What may still be reorganised under a head."""
        return tuple(block for block in seen if block.number >= head.number - self.depth)

    def _below(self, number: int) -> tuple[Block, ...]:
        return tuple(block for block in self.seen if block.number <= number)

    def _kept(self, head: Block) -> tuple[Block, ...]:
        """What was seen and still holds."""
        seen = self._below(head.number)
        while seen:
            now = head if seen[-1].number == head.number else self.client.chain.block(seen[-1].number)
            if now is not None and now.hash == seen[-1].hash:
                return seen
            seen = seen[:-1]
        return ()

    def _walk(self, head: Block, base: int) -> list[Block] | None:
        """The last blocks above ``base``, each the next one's parent, up to the head; None if one is gone."""
        walked = [head]
        while len(walked) < min(CLOSE, head.number - base):
            parent = self.client.chain.block(walked[0].parent)
            if parent is None or parent.number != walked[0].number - 1:
                return None
            walked.insert(0, parent)
        return walked

    def _mark(self, base: int, far: int, head: Block) -> list[Block]:
        """The block at the horizon, to go back to after a long pause."""
        horizon = head.number - self.depth
        block = self.client.chain.block(horizon) if base < horizon <= far else None
        return [] if block is None else [block]
