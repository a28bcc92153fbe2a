"""Witnesses: the leaves and paths from which a contract recomputes one element, in the encoding of docs/formats.md."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from rollup.errors import CommitmentError
from rollup.form.constants import stored_bytes
from rollup.form.ops import Constant
from rollup.form.program import DESCRIPTORS, Program
from rollup.machine.reference import Step, touched
from rollup.merkle import Nodes, branch, multiproof
from rollup.types import LEAF_BYTES, Gindex, Root

TRACE = 255
"""Stands for the trace tree where a tree names its access."""


def runs(leaves: Iterable[int]) -> list[tuple[int, int]]:
    """Sorted, disjoint, non-adjacent (first, count) that cover the leaves."""
    found: list[tuple[int, int]] = []
    for leaf in sorted(set(leaves)):
        if found and sum(found[-1]) == leaf:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((leaf, 1))
    return found


def _tree(access: int, leaves: set[int], siblings: list[Root], data: Iterable[bytes]) -> bytes:
    spans = runs(leaves)
    head = struct.pack(">BH", access, len(spans)) + b"".join(struct.pack(">QH", *span) for span in spans)
    return head + struct.pack(">H", len(siblings)) + b"".join(siblings) + b"".join(data)


def _descriptor(program: Program, descriptor: int) -> bytes:
    data = program.descriptors[descriptor]
    depth = program.tree.depth
    path = branch(program.tree, Gindex((1 << depth) + DESCRIPTORS + descriptor))
    return struct.pack(">H", len(data)) + data + struct.pack(">IB", DESCRIPTORS + descriptor, depth) + b"".join(path)


def _element_witness(
    program: Program,
    values: Sequence[np.ndarray],
    nodes: Nodes,
    leaf: int,
    element: int,
    run: Callable[[Step], object],
    leaf_data: bytes | None,
) -> bytes:
    """Witness of what ``run`` reads when it evaluates an element; ``leaf_data``: the disputed leaf's bytes, if it belongs there."""
    depth = program.header.tensor_depth
    value = leaf >> depth
    count, size = program.type_of(value)
    position = (leaf & ((1 << depth) - 1)) * (LEAF_BYTES // size) + element
    if not 0 <= element < LEAF_BYTES // size or position >= count:
        raise CommitmentError(f"value {value} has {count} elements; element {element} of leaf {leaf} is none of them")
    descriptor, _ = program.locate(value)
    op = program.ops[descriptor]
    in_trace: set[int] = set() if leaf_data is None else {leaf}
    in_constant: dict[Root, set[int]] = {}
    first_use: dict[Root, int] = {}
    for number, access in enumerate(op.accesses):
        if isinstance(access.source, Constant):
            first_use.setdefault(access.source.root, number)
    for source, at in touched(program, values, value, position, run):
        if isinstance(source, int):
            in_trace.add((source << depth) + at)
        else:
            in_constant.setdefault(source, set()).add(at)

    def trace_leaf(index: int) -> bytes:
        if leaf_data is not None and index == leaf:
            return leaf_data.ljust(LEAF_BYTES, b"\x00")
        array, at = values[index >> depth], (index & ((1 << depth) - 1)) * LEAF_BYTES
        return bytes(stored_bytes(array)[at : at + LEAF_BYTES]).ljust(LEAF_BYTES, b"\x00")

    siblings = multiproof(nodes, in_trace, program.depth) if in_trace else []
    trees = [_tree(TRACE, in_trace, siblings, (trace_leaf(j) for j in sorted(in_trace)))]
    for root, number in first_use.items():
        wanted = in_constant.get(root)
        if not wanted:
            continue
        data, tree = stored_bytes(program.constant(root)), program.constant_tree(root)
        chunks = (bytes(data[j * LEAF_BYTES : (j + 1) * LEAF_BYTES]).ljust(LEAF_BYTES, b"\x00") for j in sorted(wanted))
        trees.append(_tree(number, wanted, multiproof(tree, wanted, tree.depth), chunks))
    return (
        struct.pack(">H", element) + _descriptor(program, descriptor) + struct.pack(">B", len(trees)) + b"".join(trees)
    )


def step_witness(
    program: Program, values: Sequence[np.ndarray], nodes: Nodes, leaf: int, leaf_data: bytes, element: int
) -> bytes:
    """Witness for ``element`` (index within the leaf) of the disputed trace leaf ``leaf``, whose claimed bytes are ``leaf_data``.

    ``values``: the trace values before the disputed one, which both sides agree on. ``nodes`` knows the siblings in the *disputed*
    trace tree. Raises CommitmentError if a needed node was never revealed, or the element does not exist.
    """
    return _element_witness(program, values, nodes, leaf, element, Step.evaluate, leaf_data)


def part_witness(
    program: Program, values: Sequence[np.ndarray], nodes: Nodes, leaf: int, element: int, number: int
) -> bytes:
    """Witness for what part ``number`` of the reduction domain gives for the element; as ``step_witness``, without the leaf."""
    return _element_witness(program, values, nodes, leaf, element, lambda step: step.partial(number), None)


def epilogue_witness(
    program: Program, values: Sequence[np.ndarray], nodes: Nodes, leaf: int, leaf_data: bytes, element: int, acc: int
) -> bytes:
    """Witness for what the op's code makes of the accumulator ``acc``, on which the places that it looks up may depend; as
    ``step_witness``.
    """
    return _element_witness(program, values, nodes, leaf, element, lambda step: step.epilogue(acc), leaf_data)


def outline_witness(program: Program, leaf: int) -> bytes:
    """The descriptor that executes the value of a trace leaf, with its path, as ``outline`` and ``descend`` take it."""
    descriptor, _ = program.locate(leaf >> program.header.tensor_depth)
    return _descriptor(program, descriptor)


def padding_witness(program: Program, nodes: Nodes, leaf: int, leaf_data: bytes) -> bytes:
    """Witness that a leaf of an op's output has a non-zero byte after the last element."""
    descriptor, _ = program.locate(leaf >> program.header.tensor_depth)
    tree = _tree(TRACE, {leaf}, multiproof(nodes, {leaf}, program.depth), [leaf_data.ljust(LEAF_BYTES, b"\x00")])
    return struct.pack(">H", 0) + _descriptor(program, descriptor) + struct.pack(">B", 1) + tree
