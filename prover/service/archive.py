"""Traces by their root: a few in memory, all others derived again from program and input.

What can be derived is every claim that the prover made since it started, and whatever ``find`` knows of (its claims on L1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from cachetools import FIFOCache, LRUCache

from prover.claims import MadeClaim
from prover.trace import ExecutionTrace
from rollup.claim import NO_ROOT, ClaimId
from rollup.errors import TouchstoneError
from rollup.service.limits import busy
from rollup.service.logs import logger
from rollup.service.metrics import counter, gauge
from rollup.service.problem import Problem
from rollup.types import ModelId, Root

CACHED = gauge("prover", "traces_cached_bytes", "Memory that derived traces occupy")
DERIVED = counter("prover", "traces_derived", "Traces that were derived again")

CLAIMS_PER_ROOT = 64
SOURCE_OVERHEAD = 1000

_log = logger("touchstone.prover")


@dataclass(frozen=True)
class TraceSource:
    """What a trace is derived from: a claim's model and its input bytes."""

    claim_id: ClaimId
    model_id: ModelId
    inputs: bytes


@dataclass
class Known:
    """One trace root. ``claims``: that commit to it, as far as they are remembered."""

    model_id: ModelId
    inputs: bytes
    claims: list[ClaimId]
    lock: Lock = field(default_factory=Lock)

    @property
    def size(self) -> int:
        return SOURCE_OVERHEAD + len(self.inputs)


class Archive:
    """``derive(model id, input bytes)`` executes; ``find(root)`` looks for one's own claims elsewhere.

    ``trace_bytes`` bound the traces in memory (the last one is always kept), ``source_bytes`` the inputs; ``deriving``:
    callers that may wait for an execution.
    """

    def __init__(
        self,
        derive: Callable[[ModelId, bytes], ExecutionTrace],
        find: Callable[[Root], list[TraceSource]] = lambda root: [],
        trace_bytes: int = 256 << 20,
        source_bytes: int = 64 << 20,
        deriving: int = 8,
    ) -> None:
        self._derive, self.find = derive, find
        self._free = deriving
        # What is larger than the whole bound counts as all of it: the last one is always kept.
        self._known: FIFOCache[Root, Known] = FIFOCache(source_bytes, lambda known: min(known.size, source_bytes))
        self._traces: LRUCache[Root, ExecutionTrace] = LRUCache(
            trace_bytes, lambda trace: min(trace.memory, trace_bytes)
        )
        self._lock = Lock()

    @property
    def size(self) -> int:
        """Memory of the traces that are held, about."""
        return int(self._traces.currsize)

    def keep(self, made: MadeClaim) -> None:
        """Remember a claim that was just made, with its trace if it has one."""
        if made.trace is not None:
            claim = made.posted.claim
            self.put(made.trace, TraceSource(made.claim_id, claim.model_id, made.posted.inputs))

    def put(self, trace: ExecutionTrace, source: TraceSource) -> None:
        """Publish a trace that is at hand."""
        self.note(trace.root, source)
        self._store(trace.root, trace)

    def note(self, root: Root, source: TraceSource) -> None:
        """Remember from what the trace with this root is derived."""
        self._note(root, source.model_id, source.inputs, source.claim_id)

    def _note(self, root: Root, model_id: ModelId, inputs: bytes, claim_id: ClaimId | None) -> None:
        with self._lock:
            known = self._known.get(root) or Known(model_id, inputs, [])
            self._known[root] = known
            if claim_id is not None and claim_id not in known.claims:
                known.claims = [*known.claims, claim_id][-CLAIMS_PER_ROOT:]

    def of(self, model_id: ModelId, inputs: bytes) -> ExecutionTrace:
        """The trace of one's own claim about these input bytes, derived if need be; it is published from now on.

        Raises ClaimError if the model is not held.
        """
        with self._lock:
            roots = [
                root for root, known in self._known.items() if (known.model_id, known.inputs) == (model_id, inputs)
            ]
        trace = self._held(roots[0]) if roots else None
        if trace is None:
            trace = self._derived(model_id, inputs)
            self._note(trace.root, model_id, inputs, None)
            self._store(trace.root, trace)
        return trace

    def known(self, root: Root) -> Known:
        """What the trace with this root is derived from; raises Problem 404 if it is none of one's own."""
        with self._lock:
            known = self._known.get(root)
        if known is not None and known.claims:
            return known
        if root != NO_ROOT:
            for source in self.find(root):
                self.note(root, source)
        with self._lock:
            known = self._known.get(root)
        if known is None:
            raise Problem(
                404, "no-trace", "No such trace", f"trace 0x{root.hex()} is of no claim that this prover made"
            )
        return known

    @contextmanager
    def open(self, root: Root) -> Iterator[ExecutionTrace]:
        """The trace with this root, for one reader at a time; raises Problem 404 if there is none, 503 if too many wait."""
        known = self.known(root)
        trace = self._held(root)
        if trace is None:
            with self._slot(), known.lock:
                trace = self._held(root) or self._again(root, known)
        with known.lock:
            yield trace

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """One of the few that may derive or wait for it; raises Problem 503 if there is none."""
        with self._lock:
            if self._free <= 0:
                raise busy("as many traces as it takes are being derived")
            self._free -= 1
        try:
            yield
        finally:
            with self._lock:
                self._free += 1

    def _held(self, root: Root) -> ExecutionTrace | None:
        with self._lock:
            return self._traces.get(root)

    def _again(self, root: Root, known: Known) -> ExecutionTrace:
        try:
            trace = self._derived(known.model_id, known.inputs)
        except TouchstoneError as error:
            raise Problem(404, "no-trace", "No such trace", f"trace 0x{root.hex()} can't be derived: {error}") from None
        if trace.root != root:
            _log.error("a claim of this account has another trace than its program gives", trace_root=f"0x{root.hex()}")
            raise Problem(
                404, "no-trace", "No such trace", f"trace 0x{root.hex()} is not what its claim's program gives"
            )
        self._store(root, trace)
        return trace

    def _derived(self, model_id: ModelId, inputs: bytes) -> ExecutionTrace:
        DERIVED.inc()
        return self._derive(model_id, inputs)

    def _store(self, root: Root, trace: ExecutionTrace) -> None:
        if trace.memory > self._traces.maxsize:
            trace.drop()
        with self._lock:
            self._traces[root] = trace
            CACHED.set(self._traces.currsize)
