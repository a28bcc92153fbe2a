"""Batches: the Merkle tree of claim ids that L1 computes again from the posted claims.

The construction is merkletools' (unprefixed nodes); leaves are hashed with a prefix of their own beforehand and
padded to a power of two, which removes its two weaknesses: a node that poses as a leaf, and an odd leaf that is
promoted unhashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from blockcerts_merkletools import MerkleTools

from rollup.claim import ClaimId
from rollup.errors import CommitmentError
from rollup.types import Root

PADDING_LEAF = Root(sha256(b"\x05").digest())
"""Stands for a skipped claim, and fills a batch up to a power of two."""


def claim_leaf(claim_id: ClaimId) -> Root:
    return Root(sha256(b"\x04" + claim_id).digest())


@dataclass(frozen=True)
class Inclusion:
    """Where a claim stands: the batch's number, its index there, and the siblings from the leaf up."""

    batch: int
    index: int
    siblings: tuple[Root, ...]


@dataclass(frozen=True)
class Batch:
    """Ordered claims; ``None`` is a claim that L1 skipped."""

    claims: tuple[ClaimId | None, ...]

    @cached_property
    def _tree(self) -> MerkleTools:
        leaves = [PADDING_LEAF if claim is None else claim_leaf(claim) for claim in self.claims]
        width = 1 << max(len(leaves) - 1, 0).bit_length()
        tree = MerkleTools("sha256")
        tree.add_leaf([leaf.hex() for leaf in [*leaves, *[PADDING_LEAF] * (width - len(leaves))]])
        tree.make_tree()
        return tree

    @cached_property
    def root(self) -> Root:
        """The batch root; an empty batch has the root of one padding leaf."""
        return Root(bytes.fromhex(self._tree.get_merkle_root()))

    def siblings(self, index: int) -> tuple[Root, ...]:
        """Siblings of claim ``index`` from the leaf up; raises CommitmentError if there is none or it was skipped."""
        if not 0 <= index < len(self.claims) or self.claims[index] is None:
            raise CommitmentError(
                f"the batch of {len(self.claims)} has no claim at index {index} (skipped claims cannot be proven)"
            )
        return tuple(Root(bytes.fromhex(next(iter(step.values())))) for step in self._tree.get_proof(index))


def fold_inclusion(claim_id: ClaimId, index: int, siblings: Sequence[Root]) -> Root:
    """Batch root above a claim; the twin of Merkle.sol's ``batchBranch``. Raises CommitmentError if the index does not
    fit the depth.
    """
    if index < 0 or index >> len(siblings):
        raise CommitmentError(
            f"index {index} does not lie in a batch of depth {len(siblings)}; "
            "ask the sequencer for the inclusion proof again"
        )
    node = claim_leaf(claim_id)
    for sibling in siblings:
        node = Root(sha256(sibling + node if index & 1 else node + sibling).digest())
        index >>= 1
    return node
