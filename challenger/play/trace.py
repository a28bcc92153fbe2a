"""Traces that a player holds: its own, from values, and those that others publish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import numpy as np

from challenger.play.known import KnownTrace
from rollup.claim import ClaimId
from rollup.errors import CommitmentError
from rollup.forest import tensor_roots
from rollup.form.constants import stored_bytes
from rollup.form.program import Program
from rollup.merkle import TraceTree
from rollup.types import Gindex, Root


@dataclass(frozen=True)
class ValueTrace:
    """The trace tree over all values of one execution, hashed when it is first asked for a node.

    ``values``: one array per trace value, in trace order, with the dtypes and shapes of the program. ``roots``: of these
    tensors, if they are known already.
    """

    program: Program
    values: Sequence[np.ndarray]
    roots: Sequence[Root] | None = None

    def _bytes(self, value: int) -> memoryview:
        return stored_bytes(self.values[value])

    @cached_property
    def entries(self) -> Sequence[Root]:
        """The tensor root of every value."""
        if self.roots is not None:
            return self.roots
        return tensor_roots(self.values, self.program.header.tensor_depth)

    @cached_property
    def _tree(self) -> TraceTree:
        header = self.program.header
        return TraceTree(self.entries, header.trace_depth, header.tensor_depth, self._bytes)

    @property
    def root(self) -> Root:
        return self._tree.root

    def node(self, gindex: Gindex) -> Root:
        return self._tree.node(gindex)

    def leaf_bytes(self, leaf: int) -> bytes:
        return self._tree.leaf_bytes(leaf)

    def state_root(self, index: int) -> Root:
        """Root of state ``index``: the trace with the entries from ``index`` on zeroed."""
        return self._tree.state_root(index)


T = TypeVar("T", bound=KnownTrace)


def values_of(trace: KnownTrace) -> Sequence[np.ndarray]:
    """A trace's values, right or wrong; raises CommitmentError for a trace of which nothing but its nodes is known."""
    values: Sequence[np.ndarray] | None = getattr(trace, "values", None)
    if values is None:
        raise CommitmentError("this trace has no values to answer from; uphold the claim with those that were claimed")
    return values


@dataclass(frozen=True)
class LazyTrace(Generic[T]):
    """A trace that is derived when a node of it is asked for."""

    derive: Callable[[], T]

    @cached_property
    def _trace(self) -> T:
        return self.derive()

    @property
    def values(self) -> Sequence[np.ndarray]:
        """Those of the trace; raises CommitmentError for one that has none."""
        return values_of(self._trace)

    def node(self, gindex: Gindex) -> Root:
        return self._trace.node(gindex)

    def leaf_bytes(self, leaf: int) -> bytes:
        return self._trace.leaf_bytes(leaf)


class TraceStore(Protocol):
    """Where claimants publish traces off chain. What it gives is never trusted, only used as far as it hashes to L1."""

    def published(self, claim_id: ClaimId, trace_root: Root, depth: int) -> KnownTrace | None:
        """The claim's trace, or None if it is withheld.

        ``trace_root``: what stands on L1, zero while it is not set. ``depth``: levels from it down to the leaves.
        """
        ...


@dataclass
class SharedTraces:
    """A store inside this process."""

    traces: dict[ClaimId, KnownTrace] = field(default_factory=dict)

    def publish(self, claim_id: ClaimId, trace: KnownTrace) -> None:
        self.traces[claim_id] = trace

    def published(self, claim_id: ClaimId, trace_root: Root, depth: int) -> KnownTrace | None:
        return self.traces.get(claim_id)
