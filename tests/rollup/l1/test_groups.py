"""What Python reads from L1's logs about a group is what L1 posted, whatever the group's form, and whatever bytes were sent as one."""

from __future__ import annotations


import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from rollup.batch import Inclusion
from rollup.l1.answers import ClaimStatus
from rollup.l1.events import ClaimPosted, ClaimSkipped, GroupRefused
from tests.rollup.l1.groups import Form, Ground, Plan, batch_of, plans


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground()


MANY = Plan(0, 2**256 - 300, (Form(0, False, False, False, 0),) * 300)
EMPTY = Plan(1, 2**200, (Form(4, False, True, True, 0),) * 5 + (Form(4, True, True, True, 0),) * 3)


@settings(max_examples=15, phases=[Phase.explicit, Phase.generate])  # what L1 says depends on the examples before
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
