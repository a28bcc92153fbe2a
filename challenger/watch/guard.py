"""Whether what a node says can be acted on: who plays from an old state opens games twice, and misses deadlines."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rollup.l1.node.chain import Chain
from rollup.l1.node.finality import Block


@dataclass(frozen=True)
class LagGuard:
    """``max_lag``: age in seconds of the latest block from which on the node lags; None: none is too old. ``wall``: seconds
    since the epoch.
    """

    max_lag: float | None = None
    wall: Callable[[], float] = time.time

    def lag(self, chain: Chain, head: Block | None) -> str | None:
        """Why nothing is to be done after all was read up to ``head``; None if the node is up to date."""
        assert head is not None
        height = chain.height()
        if height < head.number:
            return (
                f"the node is at block {height} and was at block {head.number} before; nothing is done until it is back"
            )
        age = self.wall() - head.timestamp
        if self.max_lag is not None and age > self.max_lag:
            return f"the node's latest block {head.number} is {age:.0f} s old; nothing is done until it catches up"
        return None


ANY_AGE = LagGuard()
"""For chains whose blocks come when something happens."""
