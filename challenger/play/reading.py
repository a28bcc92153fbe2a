"""What L1 says of one claim and its games, as a player needs it."""

from __future__ import annotations

from contextlib import suppress

from challenger.play.inside import Inside
from challenger.play.known import FirstOf, KnownTrace, RevealedTrace
from challenger.play.layout import TraceLayout
from challenger.play.trace import TraceStore
from challenger.state.l1_state import L1State
from rollup.claim import ClaimId, output_types, tensor_roots
from rollup.errors import CommitmentError, EncodingError
from rollup.form.program import Program
from rollup.game.position import descendant, offset_of
from rollup.game.question import decode_results
from rollup.l1.answers import GameInfo
from rollup.merkle import depth_of
from rollup.types import Gindex, Root


def layout_of(l1: L1State, program: Program, claim_id: ClaimId) -> TraceLayout:
    """What the claim says of its trace."""
    _, outputs = l1.data_of(claim_id)
    header = program.header
    return TraceLayout.of(program, tensor_roots(outputs, output_types(header), header.tensor_depth, "output"))


def theirs(l1: L1State, program: Program, claim_id: ClaimId, store: TraceStore | None) -> KnownTrace:
    """The claimant's trace, as far as it was revealed on L1 or published."""
    revealed = RevealedTrace(l1.preimages, l1.trace_root(claim_id), program.depth)
    published = None
    if store is not None:
        with suppress(Exception):
            published = store.published(claim_id, revealed.root, program.depth)
    return revealed if published is None else FirstOf([revealed, published])


def inside_of(l1: L1State, game: GameInfo, game_id: bytes) -> Inside | None:
    """Where a game stands inside an element, with the answer as far as it is known."""
    question = l1.question(game_id)
    if not game.inside or question is None:
        return None
    results = None
    with suppress(EncodingError):
        given = l1.preimages.answer(game.node)
        results = None if given is None else decode_results(question.monoid, given)
    return Inside(question, results)


def is_known(trace: KnownTrace, program: Program, position: Gindex, node: Root) -> bool:
    """Whether anything below a node of the opponent's trace is known; what it says is checked where it is used."""
    try:
        if depth_of(position) == program.depth:
            trace.leaf_bytes(offset_of(position))
        else:
            trace.node(descendant(position, 1, 0))
    except CommitmentError:
        return False
    return True
