"""Bonds that can be freed: of whole groups by one write each, of other final claims one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from challenger.sending.bundle import batched
from challenger.state.l1_state import L1State
from rollup.batch import Inclusion
from rollup.claim import Claim, ClaimId
from rollup.l1 import calls
from rollup.l1.answers import BatchInfo, ClaimStatus
from rollup.l1.calls import Call
from rollup.l1.client import L1Client

SINGLES = 64
"""Most claims whose bonds are freed one by one in a transaction."""

GROUPS = 16
"""Most groups whose bonds are freed in a transaction."""


@dataclass
class Releases:
    """``groups``: by batch and first index, the claims whose bonds go together; ``singles``: by claim, with the proof of its place."""

    groups: dict[tuple[int, int], list[ClaimId]] = field(default_factory=dict)
    singles: dict[ClaimId, tuple[Claim, Inclusion]] = field(default_factory=dict)
    _batches: dict[int, BatchInfo] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        return len(self.singles) >= SINGLES or len(self.groups) > GROUPS

    def add(self, client: L1Client, l1: L1State, claim_id: ClaimId) -> bool:
        """Take the claim's bond along if it can be freed now; whether it can."""
        if not l1.may_be_final(claim_id):
            return False
        posted = l1.claims[claim_id]
        if posted.batch not in self._batches:
            self._batches[posted.batch] = client.batch(posted.batch)
        together = posted.group is not None and not self._batches[posted.batch].apart(posted.index)
        if together and (posted.batch, posted.group) in self.groups:
            # Never challenged, and of the same batch as one that is final.
            self.groups[posted.batch, posted.group or 0].append(claim_id)
            return True
        inclusion = l1.inclusion(claim_id)
        if client.status(posted.claim, inclusion) is not ClaimStatus.FINAL:
            return False
        if together:
            self.groups[posted.batch, posted.group or 0] = [claim_id]
        else:
            self.singles[claim_id] = (posted.claim, inclusion)
        return True

    def claims(self) -> Iterable[ClaimId]:
        """All whose bonds are freed."""
        return [*(claim_id for group in self.groups.values() for claim_id in group), *self.singles]

    def calls(self) -> list[tuple[ClaimId, Call]]:
        """What frees them, each with a claim that it is about, in as many transactions as it takes."""
        found: list[tuple[ClaimId, Call]] = []
        for places in batched(self.groups, GROUPS):
            found.append((self.groups[places[0]][0], calls.release_groups(places)))
        for part in batched(self.singles.items(), SINGLES):
            bonds = [bond for _, bond in part]
            call = calls.release(*bonds[0]) if len(bonds) == 1 else calls.release_all(bonds)
            found.append((part[0][0], call))
        return found
