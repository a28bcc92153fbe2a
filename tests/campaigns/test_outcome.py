"""Every check of the crash campaign passes a right story and notices each way in which it can go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from rollup.claim import NO_ROOT, Address, Claim, ClaimId
from rollup.game.moves import Rule
from rollup.l1 import events as l1
from rollup.l1.requests import events as asked
from rollup.settings import Parameters
from rollup.types import Gindex, ModelId, Root, Timestamp
from tests.campaigns.crash import outcome
from tests.campaigns.crash.asking import Progress, Question
from tests.campaigns.crash.outcome import Books
from tests.campaigns.crash.scenario import Accepted
from tests.sequencer.requests.world import request_of

BOND, REWARD = 100, 40
TERMS = Parameters(claim_bond=BOND, challenge_bond=BOND, reward=REWARD, collect_fee=1, move_fee=1)
PROVER, LIAR, WATCHER, REQUESTER = (Address("0x" + f"{number:040x}") for number in range(1, 5))
ZERO = Root(bytes(32))


def named(number: int) -> bytes:
    return bytes([number]) * 32


def posted(index: int, claimant: Address, group: int | None = None, request: bytes = NO_ROOT) -> l1.ClaimPosted:
    claim = Claim(ModelId(ZERO), claimant, index, Timestamp(9), request, ZERO, ZERO, ZERO)
    return l1.ClaimPosted(0, index, ClaimId(named(index)), claim, b"", b"", group)


def question(kind: str, number: int) -> Question:
    request = replace(request_of(0, WATCHER, fee=7), requester=REQUESTER, number=number)
    return Question(kind, 0, asked.Requested(named(100 + number), request.model_id, request, b"", b""))


@dataclass
class Story:
    """Two claims of the prover's in a group, one of its that answers a request, and a lie; one request is refunded."""

    questions: dict[bytes, Question] = field(default_factory=dict)
    progress: dict[bytes, Progress] = field(default_factory=dict)
    accepted: Accepted = field(default_factory=Accepted)
    events: list[l1.Event] = field(default_factory=list)
    books: Books = field(default_factory=lambda: Books(800, 740, 0, 60))
    held: int = 7
    owed: dict[Address, int] = field(default_factory=lambda: {PROVER: 7, REQUESTER: 0})

    def __post_init__(self) -> None:
        answered, gone = question("taken", 0), question("reserved", 1)
        self.questions = {one.request_id: one for one in (answered, gone)}
        self.progress = {answered.request_id: Progress.ANSWERED, gone.request_id: Progress.REFUNDED}
        self.accepted = Accepted({ClaimId(named(0)), ClaimId(named(1))}, {ClaimId(named(3))})
        game, lie = named(50), ClaimId(named(3))
        self.events = [
            l1.Deposited(PROVER, 500),
            l1.Deposited(LIAR, 100),
            l1.Funded(WATCHER, 250),
            answered.made,
            gone.made,
            l1.BondLocked(PROVER, 2 * BOND),
            posted(0, PROVER, 0),
            posted(1, PROVER, 0),
            l1.BondLocked(PROVER, BOND),
            posted(2, PROVER, request=answered.request_id),
            l1.BondLocked(LIAR, BOND),
            posted(3, LIAR),
            l1.BondLocked(WATCHER, BOND),
            l1.Challenged(lie, game, WATCHER, 0, ZERO, ZERO),
            l1.BondForfeited(LIAR, BOND, BOND - REWARD),
            l1.Paid(WATCHER, REWARD),
            l1.Convicted(lie, game, Rule.STEP, Gindex(1), 0, 0, 0, b"", b""),
            l1.BondUnlocked(WATCHER, BOND),
            l1.Withdrawn(WATCHER, 50, False),
            asked.RequestAnswered(answered.request_id, ClaimId(named(2)), PROVER, 0),
            asked.CallbackDelivered(answered.request_id),
            asked.RequestRefunded(gone.request_id),
            asked.FeesWithdrawn(REQUESTER, 7),
            l1.BondUnlocked(PROVER, 2 * BOND),
            l1.Released(0, PROVER, (0, 1)),
            l1.BondUnlocked(PROVER, BOND),
            l1.Released(0, PROVER, (2,)),
        ]

    def check(self) -> None:
        outcome.check_claims(self.events, self.accepted)
        outcome.check_groups(self.events)
        outcome.check_bonds(self.events, TERMS)
        outcome.check_requests(self.events, self.questions, self.progress, PROVER)
        outcome.check_ledger(self.events, self.books)
        outcome.check_escrow(self.events, self.questions, self.held, self.owed, PROVER)


def test_a_right_story_passes() -> None:
    Story().check()


ALL = range(len(Story().events))


@pytest.mark.parametrize("at", ALL, ids=lambda at: f"{at}-{type(Story().events[at]).__name__}")
def test_what_is_missing_is_noticed(at: int) -> None:
    story = Story()
    del story.events[at]
    with pytest.raises(AssertionError):
        story.check()


DOUBLES = [at for at, event in enumerate(Story().events) if not isinstance(event, l1.Convicted)]


@pytest.mark.parametrize("at", DOUBLES, ids=lambda at: f"{at}-{type(Story().events[at]).__name__}")
def test_what_happened_twice_is_noticed(at: int) -> None:
    story = Story()
    story.events.append(story.events[at])
    with pytest.raises(AssertionError):
        story.check()


def _alone(story: Story) -> None:
    """Nobody posted in groups."""
    story.events = [replace(one, group=None) if isinstance(one, l1.ClaimPosted) else one for one in story.events]


def _another_was_paid(story: Story) -> None:
    at = next(at for at, one in enumerate(story.events) if isinstance(one, asked.RequestAnswered))
    story.events[at] = replace(story.events[at], claimant=LIAR)  # type: ignore[type-var]


def _answered_by_two_claims(story: Story) -> None:
    story.events += [
        l1.BondLocked(PROVER, BOND),
        posted(4, PROVER, request=named(100)),
        l1.BondUnlocked(PROVER, BOND),
        l1.Released(0, PROVER, (4,)),
    ]


def _honest_was_convicted(story: Story) -> None:
    story.events.append(l1.Convicted(ClaimId(named(1)), named(51), Rule.STEP, Gindex(1), 0, 0, 0, b"", b""))


def _not_told(story: Story) -> None:
    story.progress[named(100)] = Progress.UNDELIVERED


def _still_locked(story: Story) -> None:
    story.books = Books(800, 640, 100, 60)


def _less_burned(story: Story) -> None:
    story.books = Books(800, 741, 0, 59)


def _wei_too_few(story: Story) -> None:
    story.books = Books(799, 739, 0, 60)


def _wei_unknown(story: Story) -> None:
    story.books = Books(800, 739, 0, 60)


def _escrow_short(story: Story) -> None:
    story.held = 6


def _owed_to_the_wrong_one(story: Story) -> None:
    story.owed = {PROVER: 6, REQUESTER: 1}


MUTANTS: list[Callable[[Story], None]] = [
    _alone,
    _another_was_paid,
    _answered_by_two_claims,
    _honest_was_convicted,
    _not_told,
    _still_locked,
    _less_burned,
    _wei_too_few,
    _wei_unknown,
    _escrow_short,
    _owed_to_the_wrong_one,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.__name__.strip("_"))
def test_what_goes_wrong_otherwise_is_noticed(mutant: Callable[[Story], None]) -> None:
    story = Story()
    mutant(story)
    with pytest.raises(AssertionError):
        story.check()
