"""How far a watcher goes, and how it behaves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from challenger.sending.bundle import SHARE
from rollup.errors import ServiceError
from rollup.l1.node.finality import LATEST, Finality
from rollup.types import Duration


class WatchMode(IntEnum):
    """Each does what those below it do, and more."""

    WATCH = 0
    """Checks claims and raises alerts; sends no transaction."""
    DEFEND = 1
    """Also answers for right claims whose claimant is about to run out of its clock."""
    CHALLENGE = 2
    """Also disputes false claims."""

    @classmethod
    def parse(cls, text: str) -> WatchMode:
        """A mode by its name in lower case; raises ServiceError for any other."""
        for mode in cls:
            if mode.name.lower() == text:
                return mode
        raise ServiceError(f"there is no mode {text!r}; choose one of {', '.join(mode.name.lower() for mode in cls)}")


FOREVER: Final = None


@dataclass(frozen=True)
class WatchConfiguration:
    """How a watcher behaves.

    ``finality``: what a claim's block must have before the claim is checked; games are played at the latest block.
    ``max_lag``: age in seconds (by the clock on the wall) of the latest block from which on the node lags, and nothing
    is done; None: never. ``remember``: seconds for which claims that are settled are remembered; None: forever.
    ``share``: of a block's gas, what this account's transaction takes. ``block_seconds``: between two blocks; None: as measured.
    """

    mode: WatchMode = WatchMode.CHALLENGE
    finality: Finality = LATEST
    max_lag: float | None = None
    remember: Duration | None = FOREVER
    share: float = SHARE
    block_seconds: float | None = None


USUAL = WatchConfiguration()
