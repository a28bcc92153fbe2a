"""What L1 said: written by the mirror alone, and undone with L1's blocks."""

from __future__ import annotations

from rollup.claim import Address
from rollup.types import ModelId
from sequencer.states import *
from sequencer.store.database import Database


class Facts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def head(self) -> Head | None:
        """Up to where everything is known."""
        raise NotImplementedError

    def header(self, model_id: ModelId) -> bytes | None:
        """The registered header of a model."""
        raise NotImplementedError

    def is_nonce_used(self, claimant: Address, nonce: int) -> bool:
        raise NotImplementedError
