"""Claims, from the moment they are accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rollup.claim import Address, ClaimId
from rollup.errors import ClaimError
from rollup.types import ModelId, Timestamp
from sequencer.states import *
from sequencer.store.database import Database


class Claims:
    def __init__(self, database: Database) -> None:
        self._database = database

    def accept(self, claims: Sequence[NewClaim]) -> list[Accepted | ClaimError]:
        """One transaction for all; an outcome for each, in order. A known claim is no error; a nonce that is taken is one."""
        raise NotImplementedError

    def get(self, claim_id: ClaimId) -> Entry | None:
        """The claim with its bytes."""
        raise NotImplementedError

    def state(self, claim_id: ClaimId) -> State | None:
        raise NotImplementedError

    def page(
        self,
        state: State | None = None,
        model: ModelId | None = None,
        claimant: Address | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Entry]:
        """Newest first, without bytes. Raises CursorError."""
        raise NotImplementedError

    def pending(self, limit: int) -> list[Entry]:
        """What waits, oldest first, with bytes."""
        raise NotImplementedError

    def waiting(self) -> int:
        """How many claims are pending."""
        raise NotImplementedError

    def waiting_of(self, claimant: Address) -> int:
        raise NotImplementedError

    def counts(self) -> dict[State, int]:
        raise NotImplementedError

    def oldest_waiting(self) -> Timestamp | None:
        """When the oldest pending claim came in."""
        raise NotImplementedError

    def refuse(self, claim_ids: Mapping[ClaimId, str]) -> None:
        """Give up on pending claims, for these reasons, as of the head that the store knows."""
        raise NotImplementedError
