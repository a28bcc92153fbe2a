"""The batch tree, against a plain construction of it."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollup.batch import PADDING_LEAF, Batch, claim_leaf, fold_inclusion
from rollup.claim import ClaimId
from rollup.errors import CommitmentError

IDS = st.binary(min_size=32, max_size=32).map(ClaimId)
BATCHES = st.lists(st.none() | IDS, min_size=1, max_size=20).map(lambda ids: Batch(tuple(ids)))


def plain_root(batch: Batch) -> bytes:
    level = [PADDING_LEAF if claim is None else claim_leaf(claim) for claim in batch.claims]
    while len(level) & (len(level) - 1):
        level.append(PADDING_LEAF)
    while len(level) > 1:
        level = [sha256(left + right).digest() for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


@given(BATCHES)
def test_the_root_is_the_padded_tree_of_prefixed_leaves(batch: Batch) -> None:
    assert batch.root == plain_root(batch)


@given(BATCHES)
def test_every_claim_is_proven_at_its_index_and_at_no_other(batch: Batch) -> None:
    for index, claim in enumerate(batch.claims):
        if claim is None:
            with pytest.raises(CommitmentError, match="has no claim at index"):
                batch.siblings(index)
            continue
        siblings = batch.siblings(index)
        assert fold_inclusion(claim, index, siblings) == batch.root
        if siblings and batch.claims.count(claim) == 1:
            assert fold_inclusion(claim, index ^ 1, siblings) != batch.root


def test_an_index_outside_of_the_proofs_depth_is_refused() -> None:
    batch = Batch(tuple(ClaimId(bytes([j]) * 32) for j in range(3)))
    with pytest.raises(CommitmentError, match="does not lie in a batch of depth 2"):
        fold_inclusion(ClaimId(bytes(32)), 4, batch.siblings(0))
    with pytest.raises(CommitmentError):
        batch.siblings(3)


def test_a_node_cannot_pose_as_a_claim() -> None:
    """Leaves have a prefix of their own: the hash of two leaves is no leaf of any claim id that can be presented."""
    batch = Batch((ClaimId(b"a" * 32), ClaimId(b"b" * 32)))
    inner = sha256(claim_leaf(ClaimId(b"a" * 32)) + claim_leaf(ClaimId(b"b" * 32))).digest()
    assert batch.root == inner
    assert fold_inclusion(ClaimId(inner), 0, ()) != batch.root
