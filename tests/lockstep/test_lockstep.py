"""Executor = reference = EVM on random programs, and no witness makes a right element look wrong."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from rollup.form.ops import Monoid, Opcode, wrap
from rollup.form.parts import partition
from rollup.form.program import Program
from rollup.machine.reference import run
from rollup.machine.witness import TRACE, _descriptor, runs
from rollup.merkle import multiproof
from rollup.types import LEAF_BYTES, DType
from tests.lockstep.campaign import Tally, compare
from tests.lockstep.evm import Disputed, Execution, Prover, Refused
from tests.lockstep.programs import draw

WANTED = 2_400
HEAD = 2
NO_TREE = struct.pack(">BHH", TRACE, 0, 0)
"""The trace tree of a part that reads constants alone."""


@pytest.fixture(scope="module")
def prover() -> Prover:
    return Prover()


def execute(seed: int) -> Execution:
    program, inputs = draw(seed)
    return Execution(program, run(program, inputs))


def some_elements(execution: Execution, rng: random.Random, per_op: int = 1) -> Iterator[tuple[int, int]]:
    """(value, position) of random elements of every op's output."""
    for value, descriptor, _ in execution.program.op_values():
        elements = execution.program.ops[descriptor].elements
        for position in rng.sample(range(elements), min(per_op, elements)):
            yield value, position


def test_evm_equals_reference(prover: Prover) -> None:
    tally, seed = Tally(), 0
    while tally.evm < WANTED:
        compare(seed, prover, 4, tally, executor=False)
        seed += 1
    print("\n".join(tally.lines()))
    assert tally.by["monoid"].keys() == {monoid.name for monoid in Monoid}
    assert tally.by["opcode"].keys() == {opcode.name for opcode in Opcode}
    assert tally.by["dtype"].keys() == {dtype.name for dtype in DType}
    assert tally.by["source"].keys() == {"Constant", "Value", "Carried", "Value stack", "indirect factor"}
    assert tally.by["parts"].keys() == {monoid.name for monoid in Monoid if monoid is not Monoid.NONE}
    assert tally.parts > 700 and tally.epilogues > 500, (tally.parts, tally.epilogues)
    pairs = {f"{x} x {y}" for x in ("I8", "I16") for y in ("I8", "I16")}
    assert pairs | {"I8", "I16", "I32", "I64"} <= {name[3:] for name in tally.by["factors"]}


def test_executor_equals_reference(prover: Prover) -> None:
    tally = Tally()
    for seed in range(9_000, 9_006):
        compare(seed, prover, 1, tally, executor=True)
    assert tally.executor > 500, tally.executor


def test_tampered_element_is_a_mismatch(prover: Prover) -> None:
    rng, found = random.Random(1), 0
    for seed in range(40):
        execution = execute(seed)
        for value, position in some_elements(execution, rng):
            right = int(execution.values[value].reshape(-1)[position])
            wrong = wrap(
                right ^ (1 << rng.randrange(execution.values[value].itemsize * 8)), execution.values[value].itemsize * 8
            )
            values = [array.copy() for array in execution.values]
            values[value].reshape(-1)[position] = wrong
            assert prover.step(*Execution(execution.program, values).witness(value, position)) == (wrong, right)
            found += 1
    assert found > 200, found


class Pieces:
    """An honest witness taken apart, to be put together wrongly."""

    @classmethod
    def of(cls, execution: Execution, value: int, position: int) -> Pieces:
        return cls(execution, *execution.witness(value, position))

    def __init__(self, execution: Execution, disputed: Disputed, whole: bytes) -> None:
        self.execution, self.disputed, self.whole = execution, disputed, whole
        at = 2 + 2 + int.from_bytes(self.whole[2:4], "big")
        at += 5 + 32 * self.whole[at + 4]
        self.head = self.whole[:at]
        self.trees: list[bytes] = []
        count, at = self.whole[at], at + 1
        for _ in range(count):
            spans = int.from_bytes(self.whole[at + 1 : at + 3], "big")
            leaves = sum(int.from_bytes(self.whole[at + 11 + 10 * j : at + 13 + 10 * j], "big") for j in range(spans))
            siblings = int.from_bytes(self.whole[at + 3 + 10 * spans : at + 5 + 10 * spans], "big")
            stop = at + 5 + 10 * spans + 32 * siblings + LEAF_BYTES * leaves
            self.trees.append(self.whole[at:stop])
            at = stop
        assert at == len(self.whole)

    def join(self, trees: list[bytes], head: bytes | None = None) -> bytes:
        return (self.head if head is None else head) + bytes([len(trees)]) + b"".join(trees)

    def trace_tree(self, leaves: set[int], spans: list[tuple[int, int]] | None = None) -> bytes:
        """A trace tree with a right multi-proof for these leaves."""
        tree, depth = self.execution.tree, self.execution.program.depth
        siblings = multiproof(tree, leaves, depth)
        spans = runs(leaves) if spans is None else spans
        head = struct.pack(">BH", TRACE, len(spans)) + b"".join(struct.pack(">QH", *span) for span in spans)
        data = b"".join(tree.leaf_bytes(first + j) for first, count in spans for j in range(count))
        return head + struct.pack(">H", len(siblings)) + b"".join(siblings) + data

    @property
    def trace_leaves(self) -> set[int]:
        spans = int.from_bytes(self.trees[0][1:3], "big")
        found = [struct.unpack(">QH", self.trees[0][3 + 10 * j : 13 + 10 * j]) for j in range(spans)]
        return {first + j for first, count in found for j in range(count)}


def surplus_leaf(pieces: Pieces, rng: random.Random) -> bytes:
    leaves = pieces.trace_leaves
    others = [leaf for leaf in range(1 << pieces.execution.program.depth) if leaf not in leaves]
    more = leaves | {rng.choice(others)}
    return pieces.join([pieces.trace_tree(more), *pieces.trees[1:]])


def split_run(pieces: Pieces, _: random.Random) -> bytes:
    leaves = pieces.trace_leaves | {pieces.disputed.leaf - 1}
    return pieces.join([pieces.trace_tree(leaves, [(leaf, 1) for leaf in sorted(leaves)]), *pieces.trees[1:]])


def overlapping_runs(pieces: Pieces, _: random.Random) -> bytes:
    spans = runs(pieces.trace_leaves)
    return pieces.join([pieces.trace_tree(pieces.trace_leaves, [*spans, spans[-1]]), *pieces.trees[1:]])


def unsorted_runs(pieces: Pieces, rng: random.Random) -> bytes:
    leaves = pieces.trace_leaves | {rng.randrange(pieces.disputed.leaf)}
    spans = runs(leaves)
    return pieces.join([pieces.trace_tree(leaves, [*spans[1:], spans[0]]), *pieces.trees[1:]])


def duplicate_tree(pieces: Pieces, rng: random.Random) -> bytes:
    return pieces.join([*pieces.trees, rng.choice(pieces.trees)])


def swapped_trees(pieces: Pieces, rng: random.Random) -> bytes:
    trees = list(pieces.trees)
    at = rng.randrange(len(trees) - 1) if len(trees) > 1 else 0
    return pieces.join([*trees[:at], *trees[at : at + 2][::-1], *trees[at + 2 :]])


def missing_tree(pieces: Pieces, rng: random.Random) -> bytes:
    trees = list(pieces.trees)
    trees.pop(rng.randrange(len(trees)))
    return pieces.join(trees)


def other_access(pieces: Pieces, rng: random.Random) -> bytes:
    trees = list(pieces.trees)
    j = rng.randrange(len(trees))
    trees[j] = bytes([rng.choice((rng.randrange(6), TRACE))]) + trees[j][1:]
    return pieces.join(trees)


def other_descriptor(pieces: Pieces, rng: random.Random) -> bytes:
    program = pieces.execution.program
    return pieces.join(pieces.trees, pieces.whole[:HEAD] + _descriptor(program, rng.randrange(len(program.ops))))


def other_element(pieces: Pieces, rng: random.Random) -> bytes:
    return struct.pack(">H", rng.choice((rng.randrange(1 << 16), rng.randrange(8)))) + pieces.whole[HEAD:]


def flipped_bit(pieces: Pieces, rng: random.Random) -> bytes:
    data = bytearray(pieces.whole)
    # Headers are as likely to be hit as leaves, which are most of the bytes.
    at = rng.randrange(len(data)) if rng.random() < 0.5 else rng.randrange(min(len(data), len(pieces.head) + 60))
    data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


def inserted_bytes(pieces: Pieces, rng: random.Random) -> bytes:
    at = rng.choice((rng.randrange(len(pieces.whole)), len(pieces.whole)))
    return pieces.whole[:at] + rng.randbytes(rng.choice((1, 32, LEAF_BYTES))) + pieces.whole[at:]


def dropped_bytes(pieces: Pieces, rng: random.Random) -> bytes:
    at, count = rng.randrange(len(pieces.whole)), rng.choice((1, 32, LEAF_BYTES))
    return pieces.whole[:at] + pieces.whole[at + count :]


TAMPERINGS: tuple[Callable[[Pieces, random.Random], bytes], ...] = (
    surplus_leaf,
    split_run,
    overlapping_runs,
    unsorted_runs,
    duplicate_tree,
    swapped_trees,
    missing_tree,
    other_access,
    other_descriptor,
    other_element,
    flipped_bit,
    inserted_bytes,
    dropped_bytes,
)


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: str(tamper.__name__))
def test_tampered_witness_never_convicts(prover: Prover, tamper: Callable[[Pieces, random.Random], bytes]) -> None:
    rng, refused, equal, unchanged = random.Random(tamper.__name__), Counter[str](), 0, 0
    for seed in range(100, 112):
        execution = execute(seed)
        for value, position in some_elements(execution, rng, 2):
            pieces = Pieces.of(execution, value, position)
            witness = tamper(pieces, rng)
            unchanged += witness == pieces.whole
            try:
                claimed, computed = prover.step(pieces.disputed, witness)
            except Refused as refusal:
                refused[refusal.error] += 1
                continue
            assert claimed == computed, (seed, value, position)
            equal += 1
    assert refused.total() + equal - unchanged >= 40, (refused, equal, unchanged)
    if tamper is not other_element:
        # Another element, if it exists, can need the same leaves; everything else is refused unless nothing was changed.
        assert equal == unchanged, (refused, equal, unchanged)


def test_leaf_of_another_place_is_refused(prover: Prover) -> None:
    rng, tried = random.Random(3), 0
    for seed in range(200, 210):
        execution = execute(seed)
        for value, position in some_elements(execution, rng):
            disputed, witness = execution.witness(value, position)
            other = Disputed(**{**vars(disputed), "leaf": rng.randrange(1 << execution.program.depth)})
            if other == disputed:
                continue
            with pytest.raises(Refused):
                prover.step(other, witness)
            tried += 1
    assert tried > 40, tried


def some_parts(seeds: range, rng: random.Random) -> Iterator[tuple[Execution, int, int, int]]:
    """(execution, value, position, parts) of random elements whose reductions are cut into parts."""
    for seed in seeds:
        execution = execute(seed)
        for value, descriptor, _ in execution.program.op_values():
            op = execution.program.ops[descriptor]
            if op.part:
                yield execution, value, rng.randrange(op.elements), partition(op).count


def test_part_with_another_parts_witness_never_gives_another_result(prover: Prover) -> None:
    rng, refused, same = random.Random(5), 0, 0
    for execution, value, position, count in some_parts(range(400, 420), rng):
        disputed, element, number, witness = execution.part(value, position, rng.randrange(count))
        other = rng.choice([j for j in range(count) if j != number])
        right = execution.memory.step(value, position).partial(other)
        try:
            assert prover.part(disputed, element, other, witness) == right
        except Refused:
            refused += 1
        else:
            same += 1
            assert execution.part(value, position, other)[3] == witness, "only if it is the same"
    assert refused > 8 and same > 40, (refused, same)


def test_part_that_does_not_exist_and_other_elements_are_refused(prover: Prover) -> None:
    rng, tried = random.Random(6), 0
    for execution, value, position, count in some_parts(range(420, 430), rng):
        disputed, element, _, witness = execution.part(value, position, 0)
        for number in (count, count + 1, (1 << 32) - 1):
            with pytest.raises(Refused, match="NoPart"):
                prover.part(disputed, element, number, witness)
        with pytest.raises(Refused, match="NoElement"):
            prover.part(disputed, element + 1, 0, witness)
        with pytest.raises(Refused, match="NoElement"):
            prover.outline(disputed, LEAF_BYTES, execution.outline(value, position)[2])
        _, _, acc, epilogue = execution.epilogue(value, position, 1)
        with pytest.raises(Refused, match="NoElement"):
            prover.epilogue(disputed, element + 1, acc, epilogue)
        descriptor = execution.outline(value, position)[2]
        for bad in (descriptor + b"\x00", descriptor[:-1], descriptor[:-32], b"\x00" + descriptor):
            with pytest.raises(Refused):
                prover.outline(disputed, element, bad)
        tried += 1
    assert tried > 20, tried


def test_part_and_epilogue_take_no_surplus_and_miss_no_leaf(prover: Prover) -> None:
    rng, tried, without_trace = random.Random(7), 0, 0
    for execution, value, position, count in some_parts(range(430, 450), rng):
        disputed, element, number, witness = execution.part(value, position, rng.randrange(count))
        pieces = Pieces(execution, disputed, witness)
        without_trace += not pieces.trace_leaves
        with_leaf = pieces.trace_leaves | {disputed.leaf}
        bad = [pieces.join([pieces.trace_tree(with_leaf), *pieces.trees[1:]]), witness + b"\x00", witness[:-1]]
        bad.append(pieces.join([*pieces.trees, pieces.trees[-1]]))
        bad.append(surplus_leaf(pieces, rng))
        bad += [pieces.join(pieces.trees[:j] + pieces.trees[j + 1 :]) for j in range(len(pieces.trees))]
        if pieces.trace_leaves:
            bad.append(pieces.join([NO_TREE, *pieces.trees[1:]]))
        for wrong in bad:
            with pytest.raises(Refused):
                prover.part(disputed, element, number, wrong)
        _, _, acc, whole = execution.epilogue(value, position, 1)
        pieces = Pieces(execution, disputed, whole)
        bad = [surplus_leaf(pieces, rng), whole + b"\x00", pieces.join([NO_TREE, *pieces.trees[1:]])]
        bad += [pieces.join(pieces.trees[:j] + pieces.trees[j + 1 :]) for j in range(len(pieces.trees))]
        for wrong in bad:
            with pytest.raises(Refused):
                prover.epilogue(disputed, element, acc, wrong)
        tried += 1
    assert tried > 40 and 5 < without_trace < tried - 5, (tried, without_trace)


def padded(execution: Execution) -> Iterator[tuple[int, int]]:
    """(value, bytes of the last leaf that hold elements) of ops' outputs whose last leaf has padding."""
    for value, _, _ in execution.program.op_values():
        if rest := execution.values[value].nbytes % LEAF_BYTES:
            yield value, rest


class Spoilt(Execution):
    """An execution whose committed bytes of one value have a surplus byte behind the last element."""

    def __init__(self, program: Program, values: list[np.ndarray], value: int, at: int) -> None:
        super().__init__(program, values)
        self._value, self._at = value, at

    def bytes_of(self, value: int) -> bytes:
        data = super().bytes_of(value)
        return data if value != self._value else data.ljust(self._at, b"\x00") + b"\x01"


def test_padding_convicts_exactly_if_a_byte_is_not_zero(prover: Prover) -> None:
    rng, tried = random.Random(4), 0
    for seed in range(300, 320):
        execution = execute(seed)
        for value, rest in padded(execution):
            leaf = (value << execution.program.header.tensor_depth) + (execution.values[value].nbytes - 1) // LEAF_BYTES
            assert prover.padding(*execution.padding(leaf)) is False
            start = execution.values[value].nbytes - rest
            at = start + rng.choice((rest, LEAF_BYTES - 1, rng.randrange(rest, LEAF_BYTES)))
            spoilt = Spoilt(execution.program, execution.values, value, at)
            assert prover.padding(*spoilt.padding(leaf)) is True
            disputed, witness = spoilt.padding(leaf)
            surplus = surplus_leaf(Pieces(spoilt, disputed, witness), rng)
            for bad in (b"\x00\x01" + witness[HEAD:], witness + b"\x00", witness[:-1], surplus):
                with pytest.raises(Refused):
                    prover.padding(disputed, bad)
            tried += 1
    assert tried > 50, tried
