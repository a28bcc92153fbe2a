"""What Python reads from L1's logs about a group is what L1 posted, whatever the group's form, and whatever bytes were sent as one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hexbytes import HexBytes
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from web3.types import LogReceipt

from challenger.state.l1_state import L1State
from rollup.batch import Batch, Inclusion
from rollup.errors import ChainError, Reverted
from rollup.l1.answers import ClaimStatus
from rollup.l1.calls import Call, group_fields
from rollup.l1.events import BatchPosted, ClaimPosted, ClaimSkipped, GroupRefused
from rollup.l1.follow import News
from rollup.l1.node.finality import Block
from rollup.types import Timestamp
from tests.rollup.l1.groups import Form, Ground, Plan, batch_of, plans


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground()


MANY = Plan(0, 2**256 - 300, (Form(0, False, False, False, 0),) * 300)
EMPTY = Plan(1, 2**200, (Form(4, False, True, True, 0),) * 5 + (Form(4, True, True, True, 0),) * 3)


@settings(max_examples=8, phases=[Phase.explicit, Phase.generate])  # what L1 says depends on the examples before
@example(wanted=[MANY, EMPTY], seed=0)
@given(st.lists(plans(12), min_size=1, max_size=4), st.integers(0, 2**32))
def test_what_is_read_is_what_was_posted(ground: Ground, wanted: list[Plan], seed: int) -> None:
    groups = [(plan, ground.group(plan)) for plan in wanted]
    receipt = ground.poster.post_groups([group for _, group in groups])
    posted, batch = batch_of(receipt)
    said = [event for event in receipt.events if isinstance(event, ClaimPosted | ClaimSkipped | GroupRefused)]
    assert said == ground.expected(groups, posted.batch)
    assert batch.root == posted.root
    standing = [event for event in said if isinstance(event, ClaimPosted)]
    if standing:
        one = standing[seed % len(standing)]
        inclusion = Inclusion(one.batch, one.index, batch.siblings(one.index))
        assert ground.poster.status(one.claim, inclusion) is ClaimStatus.POSTED
        assert ground.poster._rollup("claimIdOf", tuple(vars(one.claim).values())) == one.claim_id


FIELDS = ("model_id", "count", "input_bytes", "output_bytes", "input_uploaded", "output_uploaded", "named", "records")
"""Of a section, in the ABI's order."""


@st.composite
def wrong(draw: st.DrawFn) -> tuple[str, object]:
    """A field of a section, and what is done to it."""
    name = draw(st.sampled_from(FIELDS))
    if name == "model_id":
        return name, draw(st.integers(0, 6))
    if name == "records":
        return name, (draw(st.sampled_from(["flip", "cut", "more"])), draw(st.integers(0, 1 << 16)))
    return name, draw(st.integers(-40, 40))


def changed(ground: Ground, section: tuple, name: str, how: object) -> tuple:  # type: ignore[type-arg]
    fields = dict(zip(FIELDS, section, strict=True))
    value = fields[name]
    if name == "model_id":
        fields[name] = [*ground.models, bytes(32)][how]  # type: ignore[call-overload]
    elif name == "records":
        assert isinstance(how, tuple)
        kind, at = how
        place = at % max(len(value), 1)
        flipped = value[:place] + bytes([value[place] ^ 1 << at % 8]) + value[place + 1 :] if value else value
        fields[name] = {"flip": flipped, "cut": value[:place], "more": value + bytes(at % 70)}[kind]
    elif isinstance(value, bool):
        fields[name] = not value
    else:
        fields[name] = max(0, value + how)
    return tuple(fields.values())


@settings(max_examples=10, phases=[Phase.explicit, Phase.generate])
@given(plans(6), st.integers(0, 3), st.lists(wrong(), min_size=1, max_size=3))
def test_attack_whatever_is_sent_as_a_group_harms_no_other_and_is_read_as_it_was_hashed(
    ground: Ground, plan: Plan, which: int, changes: list[tuple[str, object]]
) -> None:
    """Its claimant sends it, so that no signature keeps it out."""
    by = ground.claimants[plan.claimant]
    honest = [Plan(1 - plan.claimant, ground.fresh(), (Form(0, False, False, False, 0),) * 2) for _ in range(2)]
    first, last = (group_fields(ground.group(one), {}) for one in honest)
    spoiled = ground.group(replace(plan, fault=""))
    *terms, sections, signature = group_fields(spoiled, by._empty(spoiled.claims))
    for name, how in changes:
        at = which % len(sections)
        sections[at] = changed(ground, sections[at], name, how)
    receipt = by._send("RollupChain", "postBatch", [first, (*terms, sections, signature), last])
    posted, batch = batch_of(receipt)
    assert batch.root == posted.root
    said = {event.claim.nonce for event in receipt.events if isinstance(event, ClaimPosted)}
    assert {one.first_nonce + j for one in honest for j in range(2)} <= said
    for event in receipt.events:
        if isinstance(event, ClaimPosted):
            ground.used.add((event.claim.claimant, event.claim.nonce))
            inclusion = Inclusion(event.batch, event.index, batch.siblings(event.index))
            assert by.status(event.claim, inclusion) is ClaimStatus.POSTED
            assert all(ground.roots(event))


@settings(max_examples=12, phases=[Phase.explicit, Phase.generate])
@given(plans(4), st.integers(0, 2**32), st.integers(0, 7))
def test_attack_flipped_calldata_is_refused_or_read_as_it_was_hashed(
    ground: Ground, plan: Plan, place: int, bit: int
) -> None:
    by = ground.claimants[plan.claimant]
    group = ground.group(replace(plan, first_nonce=ground.fresh(), fault=""))
    data = bytearray(Call("RollupChain", "postBatch", ([group_fields(group, by._empty(group.claims))],)).data)
    data[4 + place % (len(data) - 4)] ^= 1 << bit
    try:
        found = by._transact(by.address, bytes(data), 0, None)
    except Reverted:
        return
    events = [logged.event for logged in by._decoded(found["logs"])]
    posted = next(event for event in events if isinstance(event, BatchPosted))
    claims = {event.index: event.claim_id for event in events if isinstance(event, ClaimPosted)}
    assert Batch(tuple(claims.get(at) for at in range(posted.count))).root == posted.root
    for event in events:
        if isinstance(event, ClaimPosted):
            assert all(ground.roots(event))


@pytest.fixture(scope="module")
def logs(ground: Ground) -> list[LogReceipt]:
    """Of a batch with a group that is posted in part, and one that is refused."""
    first = ground.fresh()
    plans = [
        Plan(0, first + 1, (Form(0, False, False, False, 0),)),
        Plan(
            0, first, (Form(0, True, False, True, 0), Form(1, False, False, False, 0), Form(4, False, False, False, 0))
        ),
        Plan(1, first, (Form(0, False, False, False, 0),) * 2, "signature"),
    ]
    receipt = ground.poster.post_groups([ground.group(plan) for plan in plans])
    found = ground.chain.logs([ground.poster.address], receipt.block, receipt.block)
    assert {type(one.event) for one in ground.poster._decoded(found)} >= {ClaimPosted, ClaimSkipped, GroupRefused}
    return found


@settings(max_examples=300)
@given(st.data())
def test_attack_made_up_logs_are_read_or_refused_in_words(
    ground: Ground, logs: list[LogReceipt], data: st.DataObject
) -> None:
    """What is read is no burden either: whoever follows L1 takes it in."""
    wrong = LogReceipt(**data.draw(st.sampled_from([log for log in logs if len(log["data"]) > 32])))
    said = bytearray(wrong["data"])
    for _ in range(data.draw(st.integers(1, 3))):
        word = data.draw(st.integers(0, len(said) // 32 - 1))
        value = data.draw(
            st.sampled_from([0, 1, 2, 31, 2**20, 2**32 - 1, 2**63, 2**255, 2**256 - 1]) | st.integers(0, 700)
        )
        said[32 * word : 32 * word + 32] = value.to_bytes(32, "big")
    wrong["data"] = HexBytes(said)
    try:
        events = ground.poster._decoded([wrong])
    except ChainError:
        return
    here = Block(1, bytes(32), Timestamp(1), bytes(32))
    L1State().take(ground.poster, News(None, tuple(events), here, (here,)))


def test_attack_a_refused_group_of_more_claims_than_any_block_holds_is_garbled(
    ground: Ground, logs: list[LogReceipt]
) -> None:
    topic = next(log for log in logs if isinstance(ground.poster._decoded([log])[0].event, GroupRefused))
    for count in (2**20 + 1, 2**255):
        words = bytearray(topic["data"])
        words[64:96] = count.to_bytes(32, "big")
        with pytest.raises(ChainError, match="garbled"):
            ground.poster._decoded([{**topic, "data": HexBytes(words)}])
