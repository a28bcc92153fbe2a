"""What to play next, as pure functions: a view of the game and two traces in, actions out; nothing is sent from here."""

from __future__ import annotations

from dataclasses import dataclass

from challenger.play.accusation import accuse, is_divided, leftmost_difference
from challenger.play.actions import (
    Action,
    ToChallenge,
    ToCommit,
    ToDescend,
    ToProve,
    ToReveal,
    ToRevealLeaf,
    ToSelect,
    ToSetTraceRoot,
    ToTimeout,
)
from challenger.play.inside import Elements, Inside, answer, dispute
from challenger.play.known import KnownTrace
from challenger.play.layout import TraceLayout
from rollup.claim import NO_ROOT
from rollup.game.clock import Side
from rollup.game.position import ROOT, descendant, offset_of
from rollup.merkle import depth_of
from rollup.types import Gindex, Root


@dataclass(frozen=True)
class SeenGame:
    """What a player sees of one open game on L1. ``committed``: the place that its commitment names;
    ``commitment_counts``: whether it counts in the next block. ``inside``: where it stands inside an element; ``node`` is then the
    question's hash, and ``position`` the leaf.
    """

    position: Gindex
    node: Root
    turn: Side
    trace_root: Root
    committed: Gindex | None = None
    commitment_counts: bool = False
    expired: Side | None = None
    inside: Inside | None = None


def challenger(
    layout: TraceLayout,
    own: KnownTrace,
    theirs: KnownTrace,
    trace_root: Root,
    view: SeenGame | None,
    elements: Elements | None = None,
) -> list[Action]:
    """The challenger's next actions about a claim it holds to be false; ``view`` is None before its game is open.
    ``elements``: what its own trace's elements reduce to, needed where a game goes inside one.

    With the opponent's trace published: commit at the challenge, prove in the next block. Otherwise select as deep
    as is known. An element that is proven in parts is gone into where others are proven.
    """
    if view is None:
        accusation = accuse(layout, own, theirs, trace_root)
        return [ToChallenge(accusation.position if accusation else None)]
    if view.expired is not None:
        return [ToTimeout(view.expired)] if view.expired is Side.DEFENDER else []
    if view.inside is not None:
        if view.turn is Side.DEFENDER or elements is None:
            return []
        action = dispute(view.inside, elements)
        return [] if action is None else [action]
    accusation = accuse(layout, own, theirs, view.trace_root)
    if accusation is not None:
        if view.position == accusation.position or (view.committed == accusation.position and view.commitment_counts):
            return [ToDescend(accusation) if is_divided(layout, accusation) else ToProve(accusation)]
        return [] if view.committed == accusation.position else [ToCommit(accusation.position)]
    if view.turn is Side.DEFENDER:
        return []
    found = leftmost_difference(layout, own, theirs, view.position, view.node)
    return [] if found.position == view.position else [ToSelect(found.position, found.node, found.siblings)]


def defender(
    layout: TraceLayout, own: KnownTrace, arity: int, view: SeenGame, elements: Elements | None = None
) -> list[Action]:
    """The defender's next actions in one game: give the root, open what the game stands on, collect a challenger's
    clock. ``elements``: what its trace's elements reduce to; without them (whoever is not the claimant) nothing is answered
    inside one.
    """
    if view.expired is not None:
        return [ToTimeout(view.expired)] if view.expired is Side.CHALLENGER else []
    if view.trace_root == NO_ROOT:
        return [ToSetTraceRoot(own.node(ROOT))]
    if view.turn is Side.CHALLENGER:
        return []
    if view.inside is not None:
        return [] if elements is None else [answer(view.inside, elements)]
    levels = min(arity, layout.depth - depth_of(view.position))
    if levels == 0:
        return [ToRevealLeaf(own.leaf_bytes(offset_of(view.position)))]
    return [ToReveal(tuple(own.node(descendant(view.position, levels, j)) for j in range(1 << levels)))]
