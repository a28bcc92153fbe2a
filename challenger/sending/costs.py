"""What one player's moves cost, claim by claim."""

from __future__ import annotations

from dataclasses import dataclass, field

from rollup.claim import ClaimId
from rollup.l1.answers import Receipt

ENDINGS = ("timeout", "reclaim", "release", "releaseAll", "releaseGroups")


@dataclass
class Costs:
    """The moves of one player, by claim. Of a transaction that held several, each has its part of the gas."""

    receipts: dict[ClaimId, list[Receipt]] = field(default_factory=dict)

    def add(self, claim_id: ClaimId, receipt: Receipt) -> None:
        self.receipts.setdefault(claim_id, []).append(receipt)

    def of(self, claim_id: ClaimId) -> list[Receipt]:
        return self.receipts.get(claim_id, [])

    def moves(self, claim_id: ClaimId) -> int:
        """Moves of the dispute: collecting and reclaiming are none."""
        return sum(receipt.call not in ENDINGS for receipt in self.of(claim_id))

    def gas(self, claim_id: ClaimId) -> int:
        return sum(receipt.gas for receipt in self.of(claim_id))

    def gas_by_move(self, claim_id: ClaimId) -> dict[str, int]:
        """Gas summed by contract function."""
        summed: dict[str, int] = {}
        for receipt in self.of(claim_id):
            summed[receipt.call] = summed.get(receipt.call, 0) + receipt.gas
        return summed
