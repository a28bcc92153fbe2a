"""How sure of a block one wants to be before one acts on it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rollup.errors import ChainError
from rollup.types import Timestamp

Tag = Literal["latest", "safe", "finalized"]


@dataclass(frozen=True)
class Block:
    """A block's number, hash and time, and its parent's hash."""

    number: int
    hash: bytes
    timestamp: Timestamp
    parent: bytes


@dataclass(frozen=True)
class Finality:
    """``tag`` as the chain understands it, or that many blocks on top of a block. Its text form is one word."""

    tag: Tag = "latest"
    confirmations: int = 0

    @classmethod
    def parse(cls, text: str) -> Finality:
        """``latest``, ``safe``, ``finalized`` or a number of confirmations; raises ChainError for anything else."""
        word = text.strip()
        match word:
            case "latest" | "safe" | "finalized":
                return cls(word)
        if re.fullmatch("[0-9]{1,6}", word):
            return cls(confirmations=int(word))
        raise ChainError(
            f"{word[:40]!r} is no finality; use latest, safe, finalized, or how many blocks must lie on top (such as 12)"
        )

    def __str__(self) -> str:
        return str(self.confirmations) if self.confirmations else self.tag


LATEST = Finality()
