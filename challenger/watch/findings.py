"""What a watcher found out about claims. Verdicts are kept while the claim matters, traces as far as memory allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cachetools import LRUCache

from challenger.checkers.re_execute import Finding
from challenger.play.trace import ValueTrace
from rollup.claim import ClaimId
from rollup.l1.events import ClaimPosted

TRACE_BYTES = 512 << 20
"""Most bytes of traces that are held; a trace can be derived again."""


@dataclass(frozen=True)
class Checked:
    """One claim of a model that the watcher holds."""

    posted: ClaimPosted
    finding: Finding


class Findings(Mapping[ClaimId, Checked]):
    """By claim, in the order in which they were checked.

    Traces are held for false claims and for those that are being defended; the least recently used go first.
    ``version``: another number whenever other claims were checked than before.
    """

    def __init__(self, trace_bytes: int = TRACE_BYTES) -> None:
        self.version = 0
        self._checked: dict[ClaimId, Checked] = {}
        self._false: dict[ClaimId, None] = {}
        # A trace larger than the whole bound counts as all of it: the last one is always held.
        self._traces: LRUCache[ClaimId, ValueTrace] = LRUCache(
            trace_bytes, lambda trace: min(trace_bytes, sum(value.nbytes for value in trace.values))
        )

    def __getitem__(self, claim_id: ClaimId) -> Checked:
        return self._checked[claim_id]

    def __iter__(self) -> Iterator[ClaimId]:
        return iter(self._checked)

    def __len__(self) -> int:
        return len(self._checked)

    def add(self, checked: Checked) -> None:
        """Note a finding; of a right claim without its trace, of which the execution was only a by-product."""
        claim_id, finding = checked.posted.claim_id, checked.finding
        self.version += 1
        self._checked[claim_id] = replace(checked, finding=replace(finding, trace=None))
        if not finding.honest:
            self._false[claim_id] = None
            if finding.trace is not None:
                self.keep(claim_id, finding.trace)

    def false(self) -> list[ClaimId]:
        """Claims that were found false."""
        return list(self._false)

    def keep(self, claim_id: ClaimId, trace: ValueTrace) -> None:
        """Hold the right trace of a claim that was checked."""
        self._traces[claim_id] = trace

    def use(self, claim_id: ClaimId) -> ValueTrace | None:
        """The claim's trace, if it is held."""
        return self._traces.get(claim_id)

    def drop(self, claim_id: ClaimId) -> None:
        """Forget the claim."""
        self.version += 1
        for facts in (self._checked, self._traces, self._false):
            facts.pop(claim_id, None)
