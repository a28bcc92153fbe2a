"""Traces that provers publish over HTTP. A source is never trusted: whatever it does costs a bounded time, and what it
gives counts only as far as it hashes to what stands on L1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cachetools import LRUCache

from challenger.play.known import ROOT_BYTES, KnownTrace
from rollup.claim import NO_ROOT, ClaimId
from rollup.errors import ClientError, CommitmentError
from rollup.game.position import ROOT, descendant, leaf_gindex
from rollup.http import Lost
from rollup.merkle import depth_of, hash_leaf, hash_node
from rollup.service.fetch import get_exactly
from rollup.types import LEAF_BYTES, Gindex, Root

LEVELS = 5
"""Levels fetched at once, 1 KiB of hashes."""


@dataclass(frozen=True)
class Patience:
    """How much of a watcher's time others may waste, in seconds, and how many traces are remembered.

    ``source``: what one source may take of ``rest`` seconds, over all traces.
    """

    request: float = 3.0
    trace: float = 10.0
    source: float = 15.0
    rest: float = 60.0
    traces: int = 256


@dataclass
class TraceServer:
    """One prover's address, until when it is left alone, and what it took since when."""

    url: str
    rested: float = 0.0
    since: float = 0.0
    took: float = 0.0

    def charge(self, now: float, seconds: float, patience: Patience) -> None:
        """Count what a request took; who takes too much, with answers as good as they may be, is left alone for a while."""
        if now - self.since > patience.rest:
            self.since, self.took = now, 0.0
        self.took += seconds
        if self.took > patience.source:
            self.rested = max(self.rested, self.since + patience.rest)


@dataclass
class RemoteTrace:
    """One trace, as far as it was fetched; every node in ``nodes`` hashes to ``root``.

    ``left``: seconds that fetching it may still take. ``asked_again``: by source that did not have it, from when on.
    """

    store: RemoteTraces
    root: Root
    depth: int
    left: float
    nodes: dict[Gindex, Root] = field(default_factory=dict)
    leaves: dict[int, bytes] = field(default_factory=dict)
    asked_again: dict[str, float] = field(default_factory=dict)

    def node(self, gindex: Gindex) -> Root:
        self.nodes.setdefault(ROOT, self.root)
        while gindex not in self.nodes:
            above = gindex
            while above not in self.nodes:
                above = Gindex(above >> 1)
            levels = min(LEVELS, self.depth - depth_of(above))
            if levels <= 0:
                raise CommitmentError(f"node {gindex} lies below the leaves of its trace")
            body = self.store.ask(
                self,
                f"children/{above}?levels={levels}",
                ROOT_BYTES << levels,
                lambda data, above=above, levels=levels: _descendants(above, levels, data)[above] == self.nodes[above],  # type: ignore[misc]
            )
            self.nodes |= _descendants(above, levels, body)
        return self.nodes[gindex]

    def leaf_bytes(self, leaf: int) -> bytes:
        if leaf not in self.leaves:
            node = self.node(leaf_gindex(leaf, self.depth))
            self.leaves[leaf] = self.store.ask(self, f"leaves/{leaf}", LEAF_BYTES, lambda data: hash_leaf(data) == node)
        return self.leaves[leaf]


def _descendants(above: Gindex, levels: int, data: bytes) -> dict[Gindex, Root]:
    """The nodes some levels below ``above``, and all those between, ``above`` included, as the data would have them."""
    row = [Root(data[at : at + ROOT_BYTES]) for at in range(0, len(data), ROOT_BYTES)]
    found: dict[Gindex, Root] = {}
    for level in range(levels, -1, -1):
        found |= {descendant(above, level, j): node for j, node in enumerate(row)}
        row = [hash_node(left, right) for left, right in zip(row[::2], row[1::2], strict=False)]
    return found


class RemoteTraces:
    """A TraceStore over the provers at ``urls``, asked in turn.

    A source that fails, lies or dawdles is left alone for ``patience.rest`` seconds; one that does not have a trace is
    not asked for this one as long. No trace costs more than ``patience.trace`` seconds in all.
    """

    def __init__(
        self,
        urls: Sequence[str],
        patience: Patience = Patience(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sources = [TraceServer(url.rstrip("/")) for url in urls]
        self._patience, self._monotonic = patience, monotonic
        self._traces: LRUCache[tuple[Root, int], RemoteTrace] = LRUCache(patience.traces)

    def published(self, claim_id: ClaimId, trace_root: Root, depth: int) -> KnownTrace | None:
        """The trace with this root; None while the claim has none. Nothing is fetched before a node is asked for."""
        if trace_root == NO_ROOT or not self.sources:
            return None
        fresh = RemoteTrace(self, trace_root, depth, self._patience.trace)
        return self._traces.setdefault((trace_root, depth), fresh)

    def ask(self, trace: RemoteTrace, what: str, length: int, fits: Callable[[bytes], bool]) -> bytes:
        """The first source's body that has this length and fits; raises CommitmentError if there is none in time."""
        for source in self.sources:
            started = self._monotonic()
            if started < max(source.rested, trace.asked_again.get(source.url, started)) or trace.left <= 0:
                continue
            try:
                seconds = min(self._patience.request, trace.left)
                data = get_exactly(f"{source.url}/v1/trace/0x{trace.root.hex()}/{what}", length, seconds)
                if fits(data):
                    return data
            except ClientError as error:
                if _not_there(error):
                    trace.asked_again[source.url] = self._monotonic() + self._patience.rest
                    continue
            finally:
                now = self._monotonic()
                trace.left -= now - started
                source.charge(now, now - started, self._patience)
            source.rested = self._monotonic() + self._patience.rest
        raise CommitmentError(f"no prover publishes {what} of trace 0x{trace.root.hex()}; wait for the defender")


def _not_there(error: ClientError) -> bool:
    """Whether the source has nothing under this name, or there is no server: known at once, and at no cost."""
    return error.status == 404 or (isinstance(error, Lost) and error.refused)
