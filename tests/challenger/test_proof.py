"""What a proof's witness shows: nodes that hash to the trace root, or nothing, whatever the calldata holds."""

from __future__ import annotations

import struct

import pytest

from challenger.play.proof import Shown, shown
from rollup.errors import CommitmentError
from rollup.form.encoding import Header, TracePolicy
from rollup.game.moves import Rule
from rollup.game.position import leaf_gindex
from rollup.l1.artifacts import artifact
from rollup.l1.events import Convicted
from rollup.machine.witness import step_witness
from rollup.types import Gindex, Root
from tests.e2e.lies import PROGRAMS, RIGHT
from tests.e2e.toy_program import Published, with_lie

PROGRAM = PROGRAMS[TracePolicy.WITH_CLAIM]
LIED = with_lie(PROGRAM, RIGHT, 3, 2)
TRACE = Published(PROGRAM, LIED)
HEADER: Header = PROGRAM.header
LEAF = 3 << HEADER.tensor_depth
WITNESS = step_witness(PROGRAM, LIED, TRACE, LEAF, TRACE.leaf_bytes(LEAF), 2)
EVENT = Convicted(b"", b"", Rule.STEP, leaf_gindex(LEAF, PROGRAM.depth), 3, 2, 0, b"", b"")


class Node:
    """The chain and the client of one transaction: all that is asked of them is its calldata."""

    def __init__(self, proof: bytes, data: bytes | None = None) -> None:
        claim = ((b"\0" * 32, "0x" + "00" * 20, 0, 0, *[b"\0" * 32] * 4),)
        move = (((b"\0" * 32, b"\0" * 32, "0x" + "00" * 20, 0), b"\0" * 32),)
        prove = artifact("DisputeGame").functions["prove"]
        self._data = data if data is not None else prove.encode([*move, *claim, 1, b"\0" * 32, 0, proof])
        self.chain = self

    def calldata(self, transaction: bytes) -> bytes:
        return self._data


def told(proof: bytes, root: Root = TRACE.root, data: bytes | None = None) -> Shown:
    return shown(Node(proof, data), b"", EVENT, HEADER, root)  # type: ignore[arg-type]


def test_the_nodes_beside_the_way_are_those_of_the_claimed_trace() -> None:
    nodes = told(WITNESS).nodes
    assert nodes[leaf_gindex(3, HEADER.trace_depth)] == TRACE.node(leaf_gindex(3, HEADER.trace_depth))
    assert len(nodes) > PROGRAM.depth
    assert all(TRACE.node(gindex) == node for gindex, node in nodes.items())


def test_what_was_not_shown_is_said_to_be_unknown() -> None:
    with pytest.raises(CommitmentError, match="outside what the proof shows"):
        told(WITNESS).node(Gindex((2 << PROGRAM.depth) - 1))


def test_attack_a_witness_of_another_trace_shows_nothing() -> None:
    assert told(WITNESS, Published(PROGRAM, RIGHT).root).nodes == {}


def test_attack_a_witness_that_was_cut_shows_nothing_or_the_truth() -> None:
    """Behind the trace's tree follow those of constants, which are not looked at."""
    silent = 0
    for length in range(0, len(WITNESS), 97):
        nodes = told(WITNESS[:length]).nodes
        silent += not nodes
        assert all(TRACE.node(gindex) == node for gindex, node in nodes.items())
    assert silent > 10


def test_attack_calldata_that_is_no_proof_shows_nothing() -> None:
    for data in (b"", b"\0" * 4, b"\xff" * 2000, Node(WITNESS).calldata(b"")[:300]):
        assert told(b"", data=data).nodes == {}


def test_attack_a_witness_that_names_billions_of_leaves_costs_nothing() -> None:
    """Calldata of a contract that is not the game's: nobody checked it."""
    path = struct.pack(">HHIB", 0, 0, 0, 0)
    spans = struct.pack(">BBH", 1, 255, 0xFFFF) + struct.pack(">QH", 0, 0xFFFF) * 0xFFFF
    assert told(path + spans).nodes == {}
