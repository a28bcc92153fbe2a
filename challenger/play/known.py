"""What is known of a trace, of one's own or an opponent's: what others say of theirs is checked where it is used."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from rollup.errors import CommitmentError
from rollup.game.position import leaf_gindex
from rollup.merkle import depth_of, hash_leaf, hash_node
from rollup.types import LEAF_BYTES, Gindex, Root

ROOT_BYTES = 32


class KnownTrace(Protocol):
    """One execution's tree with its leaves."""

    def node(self, gindex: Gindex) -> Root:
        """The node's hash; raises CommitmentError if it is not known."""
        ...

    def leaf_bytes(self, leaf: int) -> bytes:
        """The 1,024 bytes of leaf ``leaf``; raises CommitmentError if they are not known."""
        ...


@dataclass
class Preimages:
    """What was revealed on L1, by hash: whatever game or claim a node was opened in, it hangs below every node with its
    hash.
    """

    pairs: dict[Root, tuple[Root, Root]] = field(default_factory=dict)
    leaves: dict[Root, bytes] = field(default_factory=dict)

    def add_children(self, children: Sequence[Root]) -> None:
        """All descendants of a node some levels below it, left to right."""
        level = list(children)
        while len(level) > 1:
            above = []
            for left, right in zip(level[::2], level[1::2], strict=True):
                above.append(hash_node(left, right))
                self.pairs[above[-1]] = (left, right)
            level = above

    def add_path(self, node: Root, position: Gindex, siblings: Sequence[Root]) -> None:
        """The way up from a selected node; ``position`` is relative to where the siblings end."""
        for sibling in siblings:
            left, right = (sibling, node) if position & 1 else (node, sibling)
            node = hash_node(left, right)
            self.pairs[node] = (left, right)
            position = Gindex(position >> 1)

    def add_leaf(self, data: bytes) -> None:
        self.leaves[hash_leaf(data)] = data

    def pair(self, node: Root) -> tuple[Root, Root] | None:
        """The children of a node, if they are at hand."""
        return self.pairs.get(node)

    def leaf(self, node: Root) -> bytes | None:
        """The bytes of a leaf, if they are at hand."""
        return self.leaves.get(node)

    def again(self, node: Root) -> bool:
        """Make at hand what was opened at a node; False if that changes nothing."""
        return False


@dataclass(frozen=True)
class RevealedTrace:
    """The opponent's trace as far as its preimages are known."""

    preimages: Preimages
    root: Root
    depth: int

    def node(self, gindex: Gindex) -> Root:
        way = [self.root]
        for shift in range(depth_of(gindex) - 1, -1, -1):
            pair = self._pair(way)
            if pair is None:
                raise CommitmentError(
                    f"node {gindex >> (shift + 1)} was never revealed; wait for the defender to open it"
                )
            way.append(pair[(gindex >> shift) & 1])
        return way[-1]

    def _pair(self, way: Sequence[Root]) -> tuple[Root, Root] | None:
        """The children of the last node of a way down, opened there or further up."""
        found = self.preimages.pair(way[-1])
        for above in reversed(way):
            if found is not None:
                break
            if self.preimages.again(above):
                found = self.preimages.pair(way[-1])
        return found

    def leaf_bytes(self, leaf: int) -> bytes:
        node = self.node(leaf_gindex(leaf, self.depth))
        data = self.preimages.leaf(node)
        if data is None and self.preimages.again(node):
            data = self.preimages.leaf(node)
        if data is None:
            raise CommitmentError(f"the bytes of leaf {leaf} were never revealed; wait for the defender to open it")
        return data


@dataclass(frozen=True)
class FirstOf:
    """Several sources of the opponent's trace; the first that knows a node or leaf gives it. What it gives is checked
    where it is used.

    A source that fails, in whatever way, does not know: it is the opponent's, who would like nothing better than to stop
    a challenger by a broken publication.
    """

    sources: Sequence[KnownTrace]

    def node(self, gindex: Gindex) -> Root:
        for source in self.sources:
            with suppress(Exception):
                node = source.node(gindex)
                if isinstance(node, bytes) and len(node) == ROOT_BYTES:
                    return node
        raise CommitmentError(f"node {gindex} was neither published nor revealed; wait for the defender to open it")

    def leaf_bytes(self, leaf: int) -> bytes:
        for source in self.sources:
            with suppress(Exception):
                data = source.leaf_bytes(leaf)
                if isinstance(data, bytes) and len(data) == LEAF_BYTES:
                    return data
        raise CommitmentError(
            f"the bytes of leaf {leaf} were neither published nor revealed; wait for the defender to open it"
        )
