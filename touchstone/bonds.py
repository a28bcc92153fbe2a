"""The bonds of an account's claims: which can be released, and what the others wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from challenger.releases import Releases
from challenger.state.l1_state import L1State
from rollup.claim import ClaimId
from rollup.l1.client import L1Client


@dataclass
class Bonds:
    """``releases``: of claims that are final; ``waiting``: those whose challenge period is not over, the first in ``seconds``;
    ``disputed``: those on which a game is open.
    """

    releases: Releases = field(default_factory=Releases)
    waiting: list[ClaimId] = field(default_factory=list)
    disputed: list[ClaimId] = field(default_factory=list)
    seconds: int = 0

    @classmethod
    def of(cls, client: L1Client) -> Bonds:
        """The account's claims, from the deployment's events; raises ChainError if they can't be read."""
        l1, found = L1State(client.first), cls()
        l1.read(client)
        left: list[int] = []
        for claim_id, posted in l1.claims.items():
            ended = claim_id in l1.convicted or claim_id in l1.released
            if posted.claim.claimant != client.account or ended:
                continue
            if found.releases.add(client, l1, claim_id):
                continue
            if l1.games_of(claim_id):
                found.disputed.append(claim_id)
            elif not l1.may_be_final(claim_id):
                found.waiting.append(claim_id)
                left.append(l1.seconds_left(claim_id) + 1)
        found.seconds = min(left, default=0)
        return found

    def release(self, client: L1Client) -> Sequence[ClaimId]:
        """Free the bonds of what is final, some claims a transaction; returns them."""
        for _, call in self.releases.calls():
            client.send(call)
        return list(self.releases.claims())
