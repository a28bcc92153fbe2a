"""When a claim will be final, in words that say what may still delay it."""

from __future__ import annotations

import pytest

from rollup.client.outlook import outlook
from rollup.client.views import ClaimView, State
from rollup.types import Timestamp
from tests.sequencer.examples import claim_id, new_claim


def view(state: State, final_after: int | None = 1014, disputes: int = 0, reason: str | None = None) -> ClaimView:
    after = None if final_after is None else Timestamp(final_after)
    claim = new_claim(1).posted.claim
    return ClaimView(claim_id(1), state, reason, claim, None, None, None, None, after, False, disputes)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (
            view("posted", disputes=3),
            "posted: final in 14 s; 3 disputes are being played, and each new one stops the clock for a while",
        ),
        (view("posted", disputes=1), "posted: final in 14 s; 1 dispute is being played, and each new one"),
        (
            view("posted"),
            "posted: final in 14 s; no dispute is being played; one that is opened stops the clock for a while",
        ),
        (view("posted", 1000), "posted: final any moment now; "),
        (
            view("challenged", disputes=1),
            "challenged: final when its games are won, and not before 14 s from now; 1 dispute",
        ),
        (view("challenged", 900, 1), "challenged: final when its games are won, and not before that; 1 dispute"),
        (view("final"), "final"),
        (view("pending", None), "pending"),
        (view("invalid", None, reason="proven false"), "invalid: proven false"),
    ],
)
def test_it_says_when_and_what_may_move_it(seen: ClaimView, words: str) -> None:
    assert outlook(seen, 1000.4 if "14 s" in words else 1000.0).startswith(words)
