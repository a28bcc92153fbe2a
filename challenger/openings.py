"""What was opened on L1: where, for good; the bytes, as far as memory allows. Anybody may open anything, at no more than its
gas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from challenger.strategy import Preimages
from rollup.l1.events import LeafRevealed, Logged, Revealed
from rollup.types import Gindex, Root

HELD_BYTES = 128 << 20
"""Most bytes of openings that are held, about; others are read from L1 again when a game needs them."""

NODE_BYTES = 400
LEAF_BYTES = 1200
"""What a node and a leaf take in memory, about."""


def _nothing(block: int) -> Sequence[Logged]:
    return ()


@dataclass
class Openings(Preimages):
    """Preimages that can be forgotten and read again; no reorganisation takes them back. ``read``: the events of a block.

    ``paths``: nodes that selections passed, which are kept: a game has no more of them than its tree has levels, and a
    bond is locked for each game. ``blocks``: where a node or leaf was opened; more than once if in several depths.
    """

    held_bytes: int = HELD_BYTES
    read: Callable[[int], Sequence[Logged]] = _nothing
    paths: Preimages = field(default_factory=Preimages)
    blocks: dict[Root, tuple[int, ...]] = field(default_factory=dict)
    _held: set[Root] = field(default_factory=set)

    def note(self, opened: Revealed | LeafRevealed, block: int) -> None:
        """An opening, and the block that it was made in."""
        known = self.blocks.get(opened.node, ())
        if block not in known:
            self.blocks[opened.node] = (*known, block)
        self._hold(opened)

    def add_path(self, node: Root, position: Gindex, siblings: Sequence[Root]) -> None:
        self.paths.add_path(node, position, siblings)

    def pair(self, node: Root) -> tuple[Root, Root] | None:
        return self.paths.pair(node) or super().pair(node)

    def again(self, node: Root) -> bool:
        """Read what was opened at a node again, if it was forgotten."""
        if node in self._held or node not in self.blocks:
            return False
        for block in self.blocks[node]:
            for logged in self.read(block):
                if isinstance(logged.event, Revealed | LeafRevealed) and logged.event.node == node:
                    self._hold(logged.event)
        return node in self._held

    def _hold(self, opened: Revealed | LeafRevealed) -> None:
        if NODE_BYTES * len(self.pairs) + LEAF_BYTES * len(self.leaves) > self.held_bytes:
            for held in (self.pairs, self.leaves, self._held):
                held.clear()
        self._held.add(opened.node)
        if isinstance(opened, Revealed):
            self.add_children(opened.children)
        else:
            self.add_leaf(opened.data)
