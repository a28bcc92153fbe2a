"""What a watcher found out about claims. Verdicts are kept while the claim matters, traces as far as memory allows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

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
        self._trace_bytes = trace_bytes
        self.version = 0
        self._checked: dict[ClaimId, Checked] = {}
        self._false: dict[ClaimId, None] = {}
        self._traces: OrderedDict[ClaimId, int] = OrderedDict()

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
        checked = self._checked[claim_id]
        self._checked[claim_id] = replace(checked, finding=replace(checked.finding, trace=trace))
        self._traces[claim_id] = sum(value.nbytes for value in trace.values)
        self.use(claim_id)
        while len(self._traces) > 1 and sum(self._traces.values()) > self._trace_bytes:
            self._drop_trace(next(iter(self._traces)))

    def use(self, claim_id: ClaimId) -> ValueTrace | None:
        """The claim's trace, if it is held."""
        if claim_id in self._traces:
            self._traces.move_to_end(claim_id)
        return self._checked[claim_id].finding.trace

    def drop(self, claim_id: ClaimId) -> None:
        """Forget the claim."""
        self.version += 1
        for facts in (self._checked, self._traces, self._false):
            facts.pop(claim_id, None)

    def _drop_trace(self, claim_id: ClaimId) -> None:
        del self._traces[claim_id]
        checked = self._checked[claim_id]
        self._checked[claim_id] = replace(checked, finding=replace(checked.finding, trace=None))
