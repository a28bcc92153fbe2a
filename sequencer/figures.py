"""Figures of a span of time, in equal buckets: how many claims, how soon final, what is at stake. Times are L1's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rollup.types import Timestamp
from sequencer.states import State


class Span(StrEnum):
    """A time that figures are given for."""

    HOUR = "hour"
    DAY = "day"

    @property
    def width(self) -> int:
        """Seconds of a bucket."""
        return 60 if self is Span.HOUR else 1800

    @property
    def buckets(self) -> int:
        return 60 if self is Span.HOUR else 48


@dataclass(frozen=True)
class Tally:
    """What was counted, by a bucket's number (its beginning divided by its width); nothing stands for 0. ``taken``: claims that came in
    here; ``posted``: claims on L1, anybody's; ``false``: claims that were proven false. ``finality``: (claims, their seconds from
    posting to being final, summed). ``staked``: claims on L1 now that are neither final nor invalid; ``watchers``: accounts that
    challenged within the span; ``games``: open ones now. ``refuted``: claims that were ever proven false.
    """

    taken: Mapping[int, int]
    posted: Mapping[int, int]
    final: Mapping[int, int]
    false: Mapping[int, int]
    finality: Mapping[int, tuple[int, int]]
    staked: int
    watchers: int
    games: int
    refuted: int
    states: Mapping[State, int]


@dataclass(frozen=True)
class Bucket:
    """``at``: its beginning. ``staked``: claims at its end that were on L1 and neither final nor invalid; ``finality``: mean seconds from
    posting to being final, None where nothing became final.
    """

    at: Timestamp
    taken: int
    posted: int
    final: int
    false: int
    staked: int
    finality: int | None


def first_bucket(span: Span, now: Timestamp) -> int:
    """The number of the span's first bucket; the last one contains ``now``."""
    return now // span.width - span.buckets + 1


def buckets(span: Span, now: Timestamp, tally: Tally) -> Sequence[Bucket]:
    """The buckets in order. What was at stake is followed backwards from what is now."""
    found: list[Bucket] = []
    staked, first = tally.staked, first_bucket(span, now)
    for number in reversed(range(first, first + span.buckets)):
        posted, final, false = (kind.get(number, 0) for kind in (tally.posted, tally.final, tally.false))
        claims, seconds = tally.finality.get(number, (0, 0))
        found.append(
            Bucket(
                Timestamp(number * span.width),
                tally.taken.get(number, 0),
                posted,
                final,
                false,
                max(0, staked),
                round(seconds / claims) if claims else None,
            )
        )
        staked += final + false - posted
    return tuple(reversed(found))
