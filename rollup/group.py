"""Groups: how a claimant's claims travel to L1 together, with consecutive nonces, one validity and one signature.

L1 computes roots and claim ids from the bytes; a section is claims of one model whose records have one form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from rollup.claim import NO_ROOT, Address, Claim, PostedClaim
from rollup.errors import ClaimError
from rollup.types import ModelId, Root

ROOT_BYTES = 32


@dataclass(frozen=True)
class Group:
    """``claims``: of one claimant and validity, with consecutive nonces, in order. ``signature``: 65 bytes; of a claim alone its own,
    else of the group's digest; empty if the claimant itself sends it.
    """

    claims: tuple[PostedClaim, ...]
    signature: bytes

    def __post_init__(self) -> None:
        if not self.claims:
            raise ClaimError("a group has at least one claim; leave empty ones out")
        if next(_cut([one.claim for one in self.claims])) != len(self.claims):
            raise ClaimError(
                "a group's claims have one claimant, one validity and consecutive nonces; make several groups"
            )

    @property
    def first(self) -> Claim:
        return self.claims[0].claim

    @classmethod
    def alone(cls, posted: PostedClaim) -> Group:
        """One claim, under its own signature."""
        return cls((posted,), posted.signature)


def _cut(claims: Sequence[Claim]) -> Iterator[int]:
    """Where the runs end that can be groups."""
    for at in range(1, len(claims)):
        before, after = claims[at - 1], claims[at]
        same = (before.claimant, before.valid_until, before.nonce + 1)
        if same != (after.claimant, after.valid_until, after.nonce):
            yield at
    yield len(claims)


def runs(claims: Sequence[PostedClaim]) -> list[tuple[PostedClaim, ...]]:
    """The claims in as few runs as can be groups. The claims of a run are in the order of their nonces, the runs in the order of the
    claims that came first.
    """
    order = sorted(range(len(claims)), key=lambda at: (claims[at].claim.claimant, claims[at].claim.nonce))
    found: list[list[int]] = []
    start = 0
    for end in _cut([claims[at].claim for at in order]) if order else ():
        found.append(order[start:end])
        start = end
    return [tuple(claims[at] for at in run) for run in sorted(found, key=min)]


@dataclass(frozen=True)
class Section:
    """Claims of one model, as the contract takes them: see Claim.sol."""

    model_id: ModelId
    count: int
    input_bytes: int
    output_bytes: int
    input_uploaded: bool
    output_uploaded: bool
    named: bool
    records: bytes


def _form(posted: PostedClaim, empty: Mapping[ModelId, tuple[bool, bool]]) -> tuple[Any, ...]:
    """What claims of one section have in common; the last one is no field: whether there is a trace root."""
    claim = posted.claim
    no_input, no_output = empty.get(claim.model_id, (False, False))
    input_uploaded = not posted.inputs and not no_input
    output_uploaded = not posted.outputs and not no_output
    return (
        claim.model_id,
        ROOT_BYTES if input_uploaded else len(posted.inputs),
        ROOT_BYTES if output_uploaded else len(posted.outputs),
        input_uploaded,
        output_uploaded,
        claim.request_id != NO_ROOT,
        claim.trace_root != NO_ROOT,
    )


def sections(claims: Sequence[PostedClaim], empty: Mapping[ModelId, tuple[bool, bool]]) -> list[Section]:
    """The claims of a group as the contract takes them. ``empty``: of models whose input (or output) has no bytes, so that empty
    bytes are not uploaded ones.
    """
    found: list[Section] = []
    for form, members in groupby(claims, lambda posted: _form(posted, empty)):
        model_id, input_bytes, output_bytes, input_uploaded, output_uploaded, named, traced = form
        records = [_record(one, input_uploaded, output_uploaded, named, traced) for one in members]
        count, together = len(records), b"".join(records)
        found.append(
            Section(model_id, count, input_bytes, output_bytes, input_uploaded, output_uploaded, named, together)
        )
    return found


def _record(posted: PostedClaim, input_uploaded: bool, output_uploaded: bool, named: bool, traced: bool) -> bytes:
    claim = posted.claim
    return b"".join(
        (
            claim.request_id if named else b"",
            claim.trace_root if traced else b"",
            claim.input_root if input_uploaded else posted.inputs,
            claim.output_root if output_uploaded else posted.outputs,
        )
    )


class GroupTerms(NamedTuple):
    """What all claims of a posted group have in common."""

    claimant: Address
    first_nonce: int
    valid_until: int


def claims_of(terms: GroupTerms, parts: Sequence[Section], roots: Sequence[Root]) -> list[PostedClaim]:
    """The claims behind what L1 logs of a group, unsigned, in order. ``roots``: input and output root of each. Raises ValueError if
    it does not fit together.
    """
    if len(roots) != 2 * sum(section.count for section in parts):
        raise ValueError("a group has two roots for each claim")
    found: list[PostedClaim] = []
    for section in parts:
        size, rest = divmod(len(section.records), max(section.count, 1))
        traced = size - ROOT_BYTES * section.named - section.input_bytes - section.output_bytes
        if rest or (section.count and traced not in (0, ROOT_BYTES)):
            raise ValueError("a section's records are cut as it says")
        for number in range(section.count):
            at, end = len(found), number * size + ROOT_BYTES * section.named
            request_id = section.records[number * size : end] if section.named else NO_ROOT
            trace_root = section.records[end : end + traced] if traced else NO_ROOT
            end += traced
            inputs = section.records[end : end + section.input_bytes]
            outputs = section.records[end + section.input_bytes : (number + 1) * size]
            claim = Claim(
                section.model_id,
                terms.claimant,
                terms.first_nonce + at,
                terms.valid_until,
                request_id,
                roots[2 * at],
                roots[2 * at + 1],
                Root(trace_root),
            )
            found.append(
                PostedClaim(
                    claim, b"", b"" if section.input_uploaded else inputs, b"" if section.output_uploaded else outputs
                )
            )
    return found
