"""What a proof on L1 shows of the claimant's trace: its witness holds every node beside the way to the disputed place. In a
game of two transactions nothing else of that trace was ever revealed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rollup.errors import CommitmentError
from rollup.form.encoding import Header
from rollup.game.moves import Rule
from rollup.game.position import leaf_gindex
from rollup.l1.artifacts import artifact
from rollup.l1.calls import inner_calls
from rollup.l1.client import L1Client
from rollup.l1.events import Convicted
from rollup.machine.witness import TRACE
from rollup.merkle import depth_of, hash_leaf, hash_node
from rollup.types import LEAF_BYTES, Gindex, Root

ROOT = Gindex(1)


@dataclass(frozen=True)
class Shown:
    """The nodes of a trace that a proof passed; all of them hash to the trace root."""

    nodes: Mapping[Gindex, Root] = field(default_factory=dict)

    def node(self, gindex: Gindex) -> Root:
        try:
            return self.nodes[gindex]
        except KeyError:
            raise CommitmentError(f"node {gindex} lies outside what the proof shows") from None

    def leaf_bytes(self, leaf: int) -> bytes:
        raise CommitmentError(f"a proof is read for its nodes; leaf {leaf} is not kept")


def shown(client: L1Client, transaction: bytes, event: Convicted, header: Header, trace_root: Root) -> Shown:
    """What the proof in ``transaction`` shows, alone or among other moves; nothing if it was sent through another contract, or
    does not fit.
    """
    for data in inner_calls(client.chain.calldata(transaction)):
        for name in ("prove", "settle"):
            try:
                *_, proof = artifact("DisputeGame").functions[name].decode_input(data)
                nodes = _nodes(bytes(proof), event, header)
            except (ValueError, struct.error, CommitmentError):
                continue
            # Of a part's proof the disputed leaf is no part.
            if nodes.get(ROOT) == trace_root and (event.place in nodes or event.rule is Rule.PART):
                return Shown(nodes)
    return Shown()


def _nodes(proof: bytes, event: Convicted, header: Header) -> dict[Gindex, Root]:
    depth = header.trace_depth + header.tensor_depth
    if event.rule in (Rule.INPUT, Rule.OUTPUT):
        roots = list(_roots(proof[: 32 * (1 + header.trace_depth)]))
        return _above({event.place: roots[0]}, roots[1:])
    is_op = len(header.inputs) <= event.trace_index < header.values
    if event.rule is Rule.PADDING and not is_op:
        siblings = list(_roots(proof[LEAF_BYTES : LEAF_BYTES + 32 * depth]))
        return _above({event.place: hash_leaf(proof[:LEAF_BYTES])}, siblings)
    leaves, siblings = _trace_tree(proof)
    return _above({leaf_gindex(leaf, depth): root for leaf, root in leaves.items()}, siblings)


def _trace_tree(proof: bytes) -> tuple[dict[int, Root], list[Root]]:
    """(leaves, siblings) of the trace tree of a step's witness, which comes first."""
    _, length = struct.unpack_from(">HH", proof)
    at = 4 + length
    _, path = struct.unpack_from(">IB", proof, at)
    at += 5 + 32 * path
    trees, access, spans = struct.unpack_from(">BBH", proof, at)
    if not trees or access != TRACE:
        raise CommitmentError("the witness does not begin with the trace tree")
    at += 4
    indices: list[int] = []
    for _ in range(spans):
        first, count = struct.unpack_from(">QH", proof, at)
        if (len(indices) + count) * LEAF_BYTES > len(proof):
            # Calldata of another contract, which may say anything.
            raise CommitmentError("the witness names more leaves than it holds")
        indices += range(first, first + count)
        at += 10
    (count,) = struct.unpack_from(">H", proof, at)
    siblings = list(_roots(proof[at + 2 : at + 2 + 32 * count]))
    at += 2 + 32 * count
    return {
        leaf: hash_leaf(proof[at + LEAF_BYTES * j : at + LEAF_BYTES * (j + 1)]) for j, leaf in enumerate(indices)
    }, siblings


def _above(level: Mapping[Gindex, Root], siblings: Sequence[Root]) -> dict[Gindex, Root]:
    """All nodes that follow from some of one level and a multi-proof's siblings."""
    rest, known = iter(siblings), dict(sorted(level.items()))
    found = dict(known)
    for _ in range(depth_of(next(iter(known))) if known else 0):
        above: dict[Gindex, Root] = {}
        for gindex, node in known.items():
            partner = Gindex(gindex ^ 1)
            if gindex & 1 and partner in known:
                continue
            other = known.get(partner) or next(rest, None)
            if other is None:
                raise CommitmentError("the proof has too few siblings")
            found[partner] = other
            above[Gindex(gindex >> 1)] = hash_node(other, node) if gindex & 1 else hash_node(node, other)
        found |= above
        known = above
    return found


def _roots(data: bytes) -> Iterator[Root]:
    if len(data) % 32 or not data:
        raise CommitmentError("the proof ends in the middle of a node")
    return (Root(data[at : at + 32]) for at in range(0, len(data), 32))
