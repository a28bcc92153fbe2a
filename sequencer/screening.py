"""Which of the waiting claims L1 would skip, found out before gas is spent on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rollup.claim import Address, ClaimId
from rollup.l1.client import L1Client
from rollup.types import Duration, Timestamp
from sequencer.states import Entry, Head
from sequencer.store import Store


@dataclass(frozen=True)
class Screened:
    """``good`` may be posted; ``refused`` never, for these reasons; the claims of ``held`` claimants not now."""

    good: tuple[Entry, ...]
    refused: dict[ClaimId, str]
    held: frozenset[Address]


@dataclass
class Screening:
    """``grace``: for how long a claimant's claims are held back when its balance does not suffice, by L1's time."""

    client: L1Client
    store: Store
    grace: Duration
    _short_since: dict[Address, Timestamp] = field(default_factory=dict)

    def held(self, head: Head) -> set[Address]:
        """Claimants who still can't pay for a bond; whose grace is over is looked at again, to be refused."""
        bond = self.client.parameters.claim_bond
        for claimant, since in list(self._short_since.items()):
            if head.time < since or self.client.balance(claimant) >= bond:
                del self._short_since[claimant]
        return {claimant for claimant, since in self._short_since.items() if head.time - since <= self.grace}

    def screen(self, entries: Sequence[Entry], head: Head) -> Screened:
        """Look at claims that are about to be posted on top of ``head``, in their order."""
        used = self.store.l1.used_nonces((entry.posted.claim.claimant, entry.posted.claim.nonce) for entry in entries)
        bond = self.client.parameters.claim_bond
        free: dict[Address, int] = {}
        good: list[Entry] = []
        refused: dict[ClaimId, str] = {}
        short: Counter[Address] = Counter()
        for entry in entries:
            claim = entry.posted.claim
            if head.time > claim.valid_until:
                refused[entry.claim_id] = (
                    f"the claim was valid until {claim.valid_until}, it is {head.time}; sign it again with a later time"
                )
                continue
            if (claim.claimant, claim.nonce) in used:
                refused[entry.claim_id] = (
                    f"{claim.claimant} has used or cancelled nonce {claim.nonce} on L1; sign with another"
                )
                continue
            if claim.claimant not in free:
                free[claim.claimant] = self.client.balance(claim.claimant)
            if free[claim.claimant] >= bond:
                free[claim.claimant] -= bond
                good.append(entry)
            else:
                short[claim.claimant] += 1
                since = self._short_since.setdefault(claim.claimant, head.time)
                if head.time - since > self.grace:
                    refused[entry.claim_id] = (
                        f"{claim.claimant} has too little left for the bond of {bond} wei; deposit, and sign a new claim"
                    )
        return Screened(tuple(good), refused, frozenset(short))
