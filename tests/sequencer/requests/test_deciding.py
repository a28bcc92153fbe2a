"""Which requests are answered: every decision over the whole space of circumstances, against the rules said in another way."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from rollup.claim import Address, ClaimId
from rollup.l1.requests.asked import ANYBODY, NO_COMMITTEE, Request
from rollup.l1.requests.standing import Progress, RequestStanding
from rollup.types import Duration, Root, Timestamp
from sequencer.requests.deciding import Attempt, Circumstances, Refusal, UnderWay, decide
from sequencer.requests.policy import Policy, request_gas
from sequencer.requests.states import Answering, Asked
from sequencer.states import State
from tests.world import PROGRAM

OURS, EARLIER, OTHER = (Address("0x" + digit * 40) for digit in "123")
HEADER = PROGRAM.header
CASES = 20_000


def draw(random: Random) -> tuple[Asked, list[Answering], Circumstances, Policy]:
    policy = Policy(random.choice((0, 100, 150)), 1, 3, random.randrange(3), Duration(random.choice((0, 30, 60))), 2)
    now, price = Timestamp(1000), random.choice((1, 10, 10**9))
    until = Timestamp(random.choice((900, 1000, 1029, 1030, 1031, 1060, 1061, 5000)))
    prover = random.choice((ANYBODY, OURS, OTHER))
    royalty, limit = random.choice((0, 2000)), random.choice((0, 100_000))
    quorum = random.choice((0, 0, 3))
    prover = ANYBODY if quorum else prover
    request = Request(
        PROGRAM.id,
        Root(bytes(32)),
        OTHER,
        OTHER,
        limit,
        0,
        prover,
        Timestamp(random.choice((900, 999, 1000, 1500))),
        until,
        OTHER,
        royalty,
        quorum,
        5 if quorum else 0,
        NO_COMMITTEE,
        bytes(32),
        1,
    )
    data = bytes(random.choice((0, 500)))
    cost = request_gas(HEADER, request, len(data)) * price
    request = replace(request, fee=cost * random.choice((50, 99, 100, 149, 150, 151, 200, 1000)) // 100)
    progress = random.choice((Progress.OPEN, Progress.OPEN, Progress.OPEN, *Progress))
    standing = replace(RequestStanding.of(request, 50), progress=progress)
    if quorum and random.random() < 0.9:
        standing = replace(standing, quorum_until=random.choice((0, 99, 100, 101, 108)))
    if random.random() < 0.2:
        standing = replace(standing, until=Timestamp(until - random.choice((1, 40))))
    asked = Asked(b"r" * 32, request, standing, random.choice((98, 99, 100)), b"t" * 32, b"", data)
    answering = [
        Answering(
            ClaimId(bytes([number]) * 32),
            random.choice((OURS, EARLIER, OTHER)),
            random.choice(tuple(State)),
            random.random() < 0.7,
            random.random() < 0.5,
            "because",
        )
        for number in range(random.choice((0, 0, 0, 1, 2, 3)))
    ]
    header = HEADER if random.random() < 0.9 else None
    here = Circumstances(now, 100, price, OURS, frozenset({OURS, EARLIER}), header, random.random() < 0.9)
    return asked, answering, here, policy


def rightly(asked: Asked, answering: list[Answering], here: Circumstances, policy: Policy) -> bool:
    """Whether a claim may be made, as a whole."""
    request, until = asked.request, asked.standing.until
    mine = [one for one in answering if one.ours and one.claimant in (OURS, EARLIER)]
    reserved = (request.prover == OTHER or request.quorum > 0) and here.now <= request.prover_until
    may_agree = request.quorum > 0 and here.height + 1 <= asked.standing.quorum_until
    return (
        asked.standing.progress is Progress.OPEN
        and all(one.state is State.INVALID and not one.posted for one in mine)
        and not any(one.state is State.FINAL for one in answering)
        and len(mine) < policy.attempts
        and here.header is not None
        and here.known
        and here.now + policy.margin <= until
        and not reserved
        and not may_agree
        and here.height - asked.block >= policy.confirmations
        and request.fee - request.fee * request.royalty // 10_000
        >= request_gas(HEADER, request, len(asked.data)) * here.price * policy.percent // 100
    )


def test_a_claim_is_made_exactly_where_the_rules_allow_it() -> None:
    random, made, fallen, kinds = Random(7), 0, 0, set[str]()
    for _ in range(CASES):
        asked, answering, here, policy = draw(random)
        found = decide(asked, answering, here, policy)
        assert isinstance(found, Attempt) == rightly(asked, answering, here, policy), (asked, answering, here, policy)
        if isinstance(found, Attempt):
            made += 1
            fallen += asked.request.quorum > 0
            assert found.number == len([one for one in answering if one.ours and one.claimant != OTHER])
        if isinstance(found, Refusal):
            kinds.add(" ".join(word for word in found.reason.split(" ") if word.isalpha())[:18])
    assert made > CASES // 50 and fallen > CASES // 500 and len(kinds) >= 8, (made, fallen, kinds)


def test_nothing_is_said_of_a_request_that_is_under_way_or_over() -> None:
    random, count = Random(8), 0
    for _ in range(CASES):
        asked, answering, here, policy = draw(random)
        if not asked.standing.is_open:
            count += 1
            assert decide(asked, answering, here, policy) == UnderWay()
    assert count > CASES // 5
