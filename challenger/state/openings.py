"""What was opened on L1: where, for good; the bytes, as far as memory allows. Anybody may open anything, at no more than its
gas.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from challenger.play.known import Preimages
from rollup.l1.events import Answered, LeafRevealed, Logged, Revealed
from rollup.types import Gindex, Root

HELD_BYTES = 128 << 20
"""Most bytes of openings that are held, about; others are read from L1 again when a game needs them."""

NODE_BYTES = 400
LEAF_BYTES = 1200
"""What a node and a leaf take in memory, about."""


def _nothing(block: int) -> Sequence[Logged]:
    return ()


def _levels(opened: Revealed | LeafRevealed | Answered) -> int:
    """How deep the opening goes; 0 for a leaf's bytes, and for an answer inside an element."""
    return len(opened.children).bit_length() - 1 if isinstance(opened, Revealed) else 0


@dataclass
class Openings(Preimages):
    """Preimages that can be forgotten and read again; no reorganisation takes them back. ``read``: the events of a block.

    ``answers``: what was given to questions inside elements, by their nodes. ``paths``: nodes that selections passed, which
    are kept: a game has no more of them than its tree has levels, and a bond is locked for each game. ``blocks``: (levels,
    block) of every opening of a node or leaf, the deepest last: a node may be opened several times, each time to another
    depth. ``noted``: how often an opening of a node was read, also of one that the chain took back and has again.
    """

    held_bytes: int = HELD_BYTES
    read: Callable[[int], Sequence[Logged]] = _nothing
    answers: dict[Root, bytes] = field(default_factory=dict)
    paths: Preimages = field(default_factory=Preimages)
    blocks: dict[Root, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    noted: Counter[Root] = field(default_factory=Counter)
    _held: dict[Root, int] = field(default_factory=dict)

    def note(self, opened: Revealed | LeafRevealed | Answered, block: int) -> None:
        """An opening, and the block that it was made in."""
        self.noted[opened.node] += 1
        known = self.blocks.get(opened.node, ())
        this = _levels(opened), block
        if this not in known:
            self.blocks[opened.node] = tuple(sorted((*known, this)))
        self._hold(opened)

    def add_path(self, node: Root, position: Gindex, siblings: Sequence[Root]) -> None:
        self.paths.add_path(node, position, siblings)

    def pair(self, node: Root) -> tuple[Root, Root] | None:
        return self.paths.pair(node) or super().pair(node)

    def again(self, node: Root) -> bool:
        """Read the deepest opening of a node again, if it was forgotten; a shallower one is a part of it."""
        known = self.blocks.get(node, ())
        if not known or self._held.get(node, -1) >= known[-1][0]:
            return False
        deepest = known[-1][0]
        for levels, block in known:
            if levels == deepest:
                for logged in self.read(block):
                    event = logged.event
                    if isinstance(event, Revealed | LeafRevealed | Answered) and (event.node, _levels(event)) == (
                        node,
                        deepest,
                    ):
                        self._hold(event)
        return self._held.get(node) == deepest

    def _hold(self, opened: Revealed | LeafRevealed | Answered) -> None:
        if NODE_BYTES * len(self.pairs) + LEAF_BYTES * (len(self.leaves) + len(self.answers)) > self.held_bytes:
            for held in (self.pairs, self.leaves, self.answers, self._held):
                held.clear()
        self._held[opened.node] = max(_levels(opened), self._held.get(opened.node, 0))
        match opened:
            case Revealed():
                self.add_children(opened.children)
            case LeafRevealed():
                self.add_leaf(opened.data)
            case Answered():
                self.answers[opened.node] = opened.results

    def answer(self, node: Root) -> bytes | None:
        """The answer to the question at a node, if there is one."""
        if node not in self.answers:
            self.again(node)
        return self.answers.get(node)
