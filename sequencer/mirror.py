"""L1 in the store: what L1 said is written down as it is said, taken back when it is taken back, and can be read again from the
first block at any time.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import replace

from rollup.claim import Address, ClaimId
from rollup.errors import ChainError
from rollup.l1.client import L1Client
from rollup.l1.events import Answered, Challenged, ClaimSkipped, GroupRefused, LeafRevealed, Logged, Revealed
from rollup.l1.follow import Follower, News
from rollup.l1.records import MOVES, Said
from rollup.types import Timestamp
from sequencer.states import Head
from sequencer.store import Store

RIVALS = 20
"""How often in a row another process may write the same news first."""


class Mirror:
    """``own``: accounts whose batches are this sequencer's, the client's among them. Any thread may call it."""

    def __init__(self, client: L1Client, store: Store, own: Collection[Address] = ()) -> None:
        self._client, self._store = client, store
        self._own = frozenset(own) | {client.account}
        self._turn = threading.Lock()
        store.l1.bind(client.chain.chain_id, client.address)
        self._follower = Follower(client, seen=store.l1.seen())

    def sync(self) -> Head:
        """Write down what is new on L1, and return the block up to which all is known. Raises ChainError, or
        StoreError; either way nothing was changed by halves.
        """
        with self._turn:
            lost = 0
            while lost < RIVALS:
                head = self._store.l1.head()
                base = None if head is None else head.hash
                if base != self._base():
                    # Another process wrote news, or we failed to write those that were read last.
                    self._follower.seen = self._store.l1.seen()
                news = self._follower.news()
                if head is not None and news.rewound_to is None and news.head.hash == head.hash:
                    return head
                if not self._store.l1.apply(news, base, self._said(news), self._own):
                    lost += 1
                elif not news.more:
                    return Head(news.head.number, news.head.hash, news.head.timestamp)
        raise ChainError(f"other processes wrote L1's news first {RIVALS} times in a row; look again")

    def _base(self) -> bytes | None:
        return self._follower.seen[-1].hash if self._follower.seen else None

    def _said(self, news: News) -> dict[bytes, Said]:
        """When, by whom and for how much gas each transaction was sent of which that matters."""
        times = {block.number: block.timestamp for block in news.seen}
        found: dict[bytes, Said] = {}
        for logged in self._telling(news):
            if logged.transaction in found:
                continue
            if logged.block not in times:
                times[logged.block] = self._client.chain.time_of(logged.block)
            found[logged.transaction] = self._receipt(logged, times[logged.block])
        return found

    def _telling(self, news: News) -> list[Logged]:
        """Events whose transaction must be known: moves, if there is a game to which they may belong, and claims of ours that
        were skipped. Nobody can make us ask for more by talking about other things.
        """
        events = news.events
        begun = any(isinstance(one.event, Challenged) for one in events)
        # Undoing the end of a game opens it again.
        playing = begun or news.rewound_to is not None or self._store.l1.has_open_games()
        moves = [
            one
            for one in events
            if isinstance(one.event, MOVES)
            and (playing or not isinstance(one.event, Revealed | LeafRevealed | Answered))
        ]
        skipped: dict[ClaimId, list[Logged]] = {}
        for one in events:
            if isinstance(one.event, ClaimSkipped):
                skipped.setdefault(one.event.claim_id, []).append(one)
        ours = self._store.l1.ours(skipped)
        refused = [one for one in events if isinstance(one.event, GroupRefused) and self._store.l1.concerns(one.event)]
        return moves + [one for claim_id in ours for one in skipped[claim_id]] + refused

    def _receipt(self, logged: Logged, at: Timestamp) -> Said:
        receipt = self._client.chain.receipt(logged.transaction)
        if receipt is None or receipt["blockNumber"] != logged.block:
            raise ChainError(
                f"transaction 0x{logged.transaction.hex()} left block {logged.block} while it was read; look again"
            )
        return replace(Said.of(logged), at=at, sender=Address(receipt["from"]), gas=int(receipt["gasUsed"]))
