"""What a claimant has for bonds of further claims."""

from __future__ import annotations

from rollup.claim import Address
from rollup.l1.client import L1Client


def usable(client: L1Client, claimant: Address, block: int | str = "latest") -> int:
    """Free wei after a block, less what the claimant announced to withdraw: that may be gone before a batch is mined."""
    announced, _ = client.withdrawal(claimant)
    return max(0, client.balance(claimant, block) - announced)
