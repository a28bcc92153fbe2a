"""Groups: the runs that can be one, and records that come back as the claims that they were made from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollup.claim import NO_ROOT, Address, Claim, PostedClaim
from rollup.errors import ClaimError
from rollup.group import Group, GroupTerms, claims_of, runs, sections
from rollup.types import ModelId, Root

ALICE, BOB = Address("0x" + "a" * 40), Address("0x" + "b" * 40)
SIZES = {1: (4, 2), 2: (0, 3), 3: (5, 0)}
"""By model: bytes of its input and output."""
EMPTY = {ModelId(Root(bytes([name]) * 32)): (not sizes[0], not sizes[1]) for name, sizes in SIZES.items()}


def root(number: int) -> Root:
    return Root(bytes([number]) * 32)


@st.composite
def posted(draw: st.DrawFn, nonce: int, claimant: Address = ALICE, valid_until: int = 9) -> PostedClaim:
    name = draw(st.sampled_from(sorted(SIZES)))
    needs_input, needs_output = SIZES[name]
    inputs, outputs = (draw(st.binary(min_size=size, max_size=size)) for size in (needs_input, needs_output))
    uploaded = draw(st.booleans()), draw(st.booleans())
    claim = Claim(
        ModelId(root(name)),
        claimant,
        nonce,
        valid_until,
        draw(st.sampled_from([NO_ROOT, root(7)])),
        root(draw(st.integers(1, 9))),
        root(draw(st.integers(1, 9))),
        # What a model's policy is holds for all of its claims.
        root(8) if name % 2 else NO_ROOT,
    )
    return PostedClaim(claim, b"", b"" if uploaded[0] else inputs, b"" if uploaded[1] else outputs)


@st.composite
def in_a_row(draw: st.DrawFn) -> list[PostedClaim]:
    first = draw(st.sampled_from([0, 250, (1 << 256) - 12]))
    return [draw(posted(first + at)) for at in range(draw(st.integers(1, 12)))]


@given(in_a_row())
def test_the_claims_of_a_group_come_back_from_its_records(claims: list[PostedClaim]) -> None:
    parts = sections(claims, EMPTY)
    first = claims[0].claim
    terms = GroupTerms(first.claimant, first.nonce, first.valid_until)
    roots = [one for posted in claims for one in (posted.claim.input_root, posted.claim.output_root)]
    assert claims_of(terms, parts, roots) == claims
    assert sum(part.count for part in parts) == len(claims)
    with pytest.raises(ValueError, match="two roots"):
        claims_of(terms, parts, roots[1:])


@given(in_a_row(), st.data())
def test_records_that_are_cut_differently_than_they_say_are_refused(
    claims: list[PostedClaim], data: st.DataObject
) -> None:
    parts = sections(claims, EMPTY)
    at = data.draw(st.integers(0, len(parts) - 1))
    part = parts[at]
    parts[at] = replace(part, records=part.records + bytes(data.draw(st.integers(1, 31)) * part.count))
    roots = [root(1)] * (2 * len(claims))
    with pytest.raises(ValueError, match="cut as it says"):
        claims_of(GroupTerms(ALICE, 0, 9), parts, roots)


@given(
    st.lists(st.tuples(st.sampled_from([ALICE, BOB]), st.integers(0, 8), st.integers(1, 2)), unique=True, max_size=14)
)
def test_runs_are_the_longest_that_can_be_groups_in_the_order_of_their_first(
    places: list[tuple[Address, int, int]],
) -> None:
    claims = [
        PostedClaim(Claim(ModelId(root(1)), who, nonce, until, NO_ROOT, root(1), root(1), NO_ROOT), b"", b"", b"")
        for who, nonce, until in places
    ]
    found = runs(claims)
    assert sorted(map(id, claims)) == sorted(id(one) for run in found for one in run)
    for run in found:
        assert Group(run, b"").claims == run
    assert [claims.index(min(run, key=claims.index)) for run in found] == sorted(
        min(claims.index(one) for one in run) for run in found
    )
    nonces = {(one.claim.claimant, one.claim.nonce): [] for one in claims}  # type: ignore[var-annotated]
    for one in claims:
        nonces[one.claim.claimant, one.claim.nonce].append(one.claim.valid_until)
    for run in found:
        last = run[-1].claim
        after = nonces.get((last.claimant, last.nonce + 1), [])
        alone = len(nonces[last.claimant, last.nonce]) == 1
        assert not (alone and after == [last.valid_until])


def test_what_can_be_no_group_is_refused() -> None:
    claim = Claim(ModelId(root(1)), ALICE, 1, 9, NO_ROOT, root(1), root(1), NO_ROOT)
    one = PostedClaim(claim, b"", b"", b"")
    for other in (
        replace(claim, nonce=3),
        replace(claim, nonce=2, valid_until=8),
        replace(claim, nonce=2, claimant=BOB),
    ):
        with pytest.raises(ClaimError, match="make several groups"):
            Group((one, PostedClaim(other, b"", b"", b"")), b"")
    with pytest.raises(ClaimError, match="at least one claim"):
        Group((), b"")
