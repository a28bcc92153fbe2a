"""Arithmetic of generalised indices; the twin of Position.sol."""

from __future__ import annotations

from rollup.merkle import depth_of
from rollup.types import Gindex

ROOT = Gindex(1)


def is_at_or_below(below: Gindex, above: Gindex) -> bool:
    """Whether ``below`` lies inside the subtree of ``above``, which contains ``above`` itself."""
    levels = depth_of(below) - depth_of(above)
    return levels >= 0 and below >> levels == above


def relative(below: Gindex, above: Gindex) -> Gindex:
    """The position of ``below`` as seen from its ancestor ``above``, which becomes the root."""
    levels = depth_of(below) - depth_of(above)
    assert levels >= 0 and below >> levels == above
    return Gindex((1 << levels) | (below & ((1 << levels) - 1)))


def ancestor_at(gindex: Gindex, depth: int) -> Gindex:
    """The ancestor at a smaller (or the same) depth."""
    return Gindex(gindex >> (depth_of(gindex) - depth))


def descendant(gindex: Gindex, levels: int, offset: int) -> Gindex:
    """Number ``offset`` from the left of the descendants ``levels`` below."""
    return Gindex((gindex << levels) | offset)


def leaf_gindex(leaf: int, depth: int) -> Gindex:
    """Position of leaf ``leaf`` of a tree of the given depth."""
    return Gindex((1 << depth) | leaf)


def offset_of(gindex: Gindex) -> int:
    """Index of the node among the nodes of its level, from the left."""
    return gindex ^ (1 << depth_of(gindex))
