"""The clock on which challenge periods are measured: it stands still while watchers have work; the twin of RollupChain's.

A reading never goes back. Virtual times are those readings; ``closes_at`` of a batch is one of them. Who opens the first
game about a claim stops the clock for ``spacing`` seconds more, and stops queue up behind one another.
"""

from __future__ import annotations

from dataclasses import dataclass

from rollup.types import Duration, Timestamp

NEVER, NOT_AT_ALL = Timestamp(0), Duration(0)


@dataclass(frozen=True)
class StoppingClock:
    """``resumes_at``: when the clock goes on (or went on last). ``stopped``: for how long it was stopped in all, stops to
    come included.
    """

    resumes_at: Timestamp = NEVER
    stopped: Duration = NOT_AT_ALL

    def reading(self, now: Timestamp) -> Timestamp:
        """The virtual time at ``now``, which must not lie before the last stop."""
        return Timestamp(max(now, self.resumes_at) - self.stopped)

    def pause(self, now: Timestamp, spacing: Duration) -> StoppingClock:
        """Stopped for ``spacing`` seconds more; the reading at ``now`` stays as it is."""
        return StoppingClock(Timestamp(max(now, self.resumes_at) + spacing), Duration(self.stopped + spacing))

    def is_stopped(self, now: Timestamp) -> bool:
        return now < self.resumes_at

    def is_over(self, closes_at: Timestamp, now: Timestamp) -> bool:
        """Whether a challenge period that closes at the virtual time ``closes_at`` is over; a challenge at it is in time."""
        return self.reading(now) > closes_at

    def real_end(self, closes_at: Timestamp) -> Timestamp:
        """The last second of real time in which a challenge is in time, if the clock is not stopped again.

        It says nothing of a period that is over already.
        """
        return Timestamp(closes_at + self.stopped)
