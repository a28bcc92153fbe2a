"""Why the game refuses a move: a reason that the contract shares (its custom error), and a sentence for people."""

from __future__ import annotations

from enum import Enum

from rollup.errors import MoveError


class Reason(Enum):
    """The value is the name of the contract's custom error."""

    INSUFFICIENT_BALANCE = "InsufficientBalance"
    INSUFFICIENT_EARNINGS = "InsufficientEarnings"
    WINDOW_OVER = "WindowOver"
    ALREADY_CONVICTED = "AlreadyConvicted"
    NOT_CHALLENGED = "NotChallenged"
    GAME_OVER = "GameOver"
    WRONG_TRACE_ROOT = "WrongTraceRoot"
    WRONG_NODE = "WrongNode"
    NOT_CHALLENGER = "NotChallenger"
    NOT_CLAIMANT = "NotClaimant"
    CLOCK_EXPIRED = "ClockExpired"
    NOT_OPENED = "NotOpened"
    LEAF_LENGTH = "LeafLength"
    CHILD_COUNT = "ChildCount"
    HASH_MISMATCH = "HashMismatch"
    NOT_BELOW = "NotBelow"
    CANNOT_SELECT = "CannotSelect"
    SIBLING_COUNT = "SiblingCount"
    TRACE_ROOT_ALREADY_SET = "TraceRootAlreadySet"
    NO_TRACE_ROOT = "NoTraceRoot"
    PLACE_NOT_REACHED = "PlaceNotReached"
    RULE_NOT_APPLICABLE = "RuleNotApplicable"
    NO_MISMATCH = "NoMismatch"
    NOTHING_TO_COLLECT = "NothingToCollect"
    NOTHING_TO_RECLAIM = "NothingToReclaim"
    INSIDE_ELEMENT = "InsideElement"
    NOT_DIVIDED = "NotDivided"
    PARTIAL_COUNT = "PartialCount"
    PARTIALS_DO_NOT_COMBINE = "PartialsDoNotCombine"
    NOT_THIS_QUESTION = "NotThisQuestion"
    NOT_THESE_RESULTS = "NotTheseResults"
    NO_SUCH_CHILD = "NoSuchChild"
    WRONG_LEVEL = "WrongLevel"
    WITHDRAWAL_NOT_DUE = "WithdrawalNotDue"
    NOT_FINAL = "NotFinal"
    ALREADY_RELEASED = "AlreadyReleased"


class Refusal(MoveError):
    """A move that the game does not allow now; it changed nothing."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
