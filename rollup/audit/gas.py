"""What the proofs about one op can cost at most, from its descriptor and the depths of its program alone.

The worst output element, iteration, part and index values, all bytes non-zero, on the slowest way that the contracts have for such
a descriptor: nothing is hoped for that an adversary's operands could prevent. Bounds are of whole transactions to DisputeGame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollup.affine import extents, variables
from rollup.audit.leaves import Cut, Touched, by_tree, chain, code_reads, factor_reads, siblings, strides
from rollup.audit.prices import EIP_7976, PRAGUE, PRICES, TRANSACTION, Calldata, Prices
from rollup.encoding import encode_op
from rollup.merkle import depth_for, leaf_count
from rollup.ops import FAN_OUT, ITERATION, Access, Monoid, Op, Opcode
from rollup.parts import partition
from rollup.program import Program
from rollup.types import LEAF_BYTES

GAS_LIMIT = 600_000
"""Of any proof, under Prague's rules."""

GAS_LIMIT_7976 = 1_000_000
"""Of any proof, where a byte of calldata costs 64 gas."""

ENVELOPE = 4 + 8 * 32
"""Bytes of a transaction that carries one call in a multicall: selector, offsets and lengths, padding of the call."""

PROVE = ENVELOPE + 4 + 19 * 32 + 31
"""Bytes of a proof beside its witness: move, claim, place, salt, rule, padding."""

SETTLE = ENVELOPE + 4 + 26 * 32 + 31
"""Bytes of a settlement beside its witness and the partial results: move, claim, question, child."""

DESCEND = ENVELOPE + 4 + 18 * 32 + 31


@dataclass(frozen=True)
class Proof:
    """The dearest transaction of one kind: execution without calldata, bytes of calldata, leaves in the witness."""

    kind: str
    execution: int
    calldata: int
    leaves: int

    def under(self, rules: Calldata) -> int:
        """Gas of the transaction."""
        return TRANSACTION + max(rules.floor * self.calldata, rules.byte * self.calldata + self.execution)


@dataclass(frozen=True)
class GasBound:
    """The proofs that a dispute about one element of an op can need, each at its worst."""

    proofs: tuple[Proof, ...]

    @property
    def gas(self) -> int:
        """Of the dearest proof under Prague's rules."""
        return max(proof.under(PRAGUE) for proof in self.proofs)

    @property
    def gas_7976(self) -> int:
        """Of the dearest proof where a byte of calldata costs 64 gas."""
        return max(proof.under(EIP_7976) for proof in self.proofs)

    @property
    def calldata(self) -> int:
        return max(proof.calldata for proof in self.proofs)

    @property
    def leaves(self) -> int:
        return max(proof.leaves for proof in self.proofs)

    @property
    def fits(self) -> bool:
        """Whether every proof stays within both limits."""
        return self.gas <= GAS_LIMIT and self.gas_7976 <= GAS_LIMIT_7976


@dataclass
class _Cost:
    """Gas, words of memory and bytes of calldata, added up."""

    gas: int = 0
    words: int = 0
    calldata: int = 0
    leaves: int = 0

    @property
    def execution(self) -> int:
        return self.gas + 3 * self.words + self.words**2 // 512


def _memory(op: Op, descriptor: int) -> int:
    """Words of memory that the prover fills with a descriptor's fields and with what it computes of them."""
    ranks = sum(len(access.shape) for access in op.accesses)
    terms = sum(len(access.terms) for access in op.accesses)
    words = 150 + 3 * len(op.shape) + 16 * len(op.box) + 18 * len(op.accesses) + 10 * ranks + terms + len(op.code)
    return words + descriptor // 32 + 2


def _parse(op: Op, cost: _Cost, prices: Prices) -> None:
    cost.gas += prices.output_dimension * len(op.shape) + prices.box_dimension * len(op.box)
    for access in op.accesses:
        cost.gas += prices.access + prices.dimension * len(access.shape) + prices.term * len(access.terms)


def _trees(
    op: Op, reads: Sequence[tuple[int, Touched]], cost: _Cost, trace_depth: int, disputed: bool, prices: Prices
) -> int:
    """Adds the witness's trees; the most runs of one of them."""
    in_trace, in_constants = by_tree(op, list(reads))
    trees = [(trace_depth, in_trace + [Touched(1, 1)] * disputed)]
    for number, reaches in in_constants.values():
        access = op.accesses[number]
        trees.append((depth_for(leaf_count(access.elements * access.dtype.size)), reaches))
    most = 1
    for depth, reaches in trees:
        leaves, runs = sum(reach.leaves for reach in reaches), sum(reach.runs for reach in reaches)
        nodes = siblings(reaches, depth)
        cost.calldata += 5 + 10 * runs + 32 * nodes + LEAF_BYTES * leaves
        cost.gas += prices.tree + prices.tree_access * len(op.accesses)
        cost.gas += prices.run * runs + prices.leaf * leaves + prices.node * (nodes + leaves)
        cost.words += 5 + runs + 2 * leaves
        cost.leaves += leaves
        most = max(most, runs)
    return most


def _halvings(runs: int) -> int:
    """Steps of the search among so many runs."""
    return runs.bit_length()


def _terms_over_box(op: Op, access: Access) -> int:
    outer = len(op.shape)
    return sum(outer <= term.var != ITERATION for term in access.terms)


def _lone(op: Op, number: int, cut: Cut) -> bool:
    """Whether a factor's index, or the value that it reads, can change over a part."""
    sizes, inner = extents(op), range(len(op.shape), len(op.shape) + len(op.box))
    access = op.accesses[number]
    if any(set(variables(op.accesses[index], sizes)) & set(inner) for index in chain(op, number)):
        return True
    return bool(access.stack) and any(term.dimension == 0 and term.var in inner for term in access.terms)


def _reduce(op: Op, cut: Cut, runs: int, cost: _Cost, prices: Prices) -> None:
    """Adds what the reduction of one part costs, whatever its operands are."""
    search = prices.search * _halvings(runs)
    sizes = extents(op)
    row = prices.row
    for number in range(op.factors):
        access = op.accesses[number]
        rank, terms = len(access.shape), _terms_over_box(op, access)
        cost.gas += prices.factor + prices.factor_dimension * rank + prices.factor_term * terms
        row += prices.row_dimension * rank + prices.row_term * terms + search
        for index in chain(op, number):
            cost.gas += 3 * (prices.load + prices.load_dimension * len(op.accesses[index].shape) + search)
    cost.gas += cut.rows * row
    if not op.factors:
        return
    if any(_lone(op, number, cut) for number in range(op.factors)):
        each = prices.element
        for number in range(op.factors):
            for place in (number, *chain(op, number)):
                access = op.accesses[place]
                each += prices.lone + prices.lone_dimension * len(access.shape) + search
                each += prices.lone_term * _terms_over_box(op, access)
        cost.gas += cut.positions * each
        return
    wide = any(op.accesses[number].dtype.size == 8 for number in range(op.factors))
    each = prices.wide_element if wide else prices.element
    last = len(op.shape) + len(op.box) - 1
    apart = op.factors == 2 and op.monoid not in (Monoid.NONE, Monoid.SUM)
    for number in range(op.factors if op.box else 0):
        access = op.accesses[number]
        apart |= abs(strides(access, sizes)[0].get(last, 0)) * access.dtype.size > LEAF_BYTES
    if apart:
        each += op.factors * (prices.apart + search)
    cost.gas += cut.positions * each


def _code(op: Op, runs: int, cost: _Cost, prices: Prices) -> None:
    assert prices.instruction is not None
    search = prices.search * _halvings(runs)
    for instr in op.code:
        cost.gas += prices.instruction[instr.op]
        if instr.op in (Opcode.LOAD, Opcode.LOOK):
            rank = len(op.accesses[instr.args[0]].shape)
            cost.gas += prices.load + prices.load_dimension * rank + search


def bound_of(op: Op, trace_depth: int, tensor_depth: int, program_depth: int, prices: Prices = PRICES) -> GasBound:
    """The bound of an op, with its ``part``, in a program of such depths (or of smaller ones).

    ``program_depth``: of the tree over header and descriptors. The op must be well-formed.
    """
    descriptor = len(encode_op(op))
    cut = partition(op)
    depth = trace_depth + tensor_depth
    path = 9 + descriptor + 32 * program_depth
    words = _memory(op, descriptor)

    def begin(game: int, envelope: int) -> _Cost:
        cost = _Cost(game, words, envelope + path + 1)
        cost.gas += prices.node * program_depth
        return cost

    def end(kind: str, cost: _Cost) -> Proof:
        cost.gas += prices.byte * cost.calldata
        return Proof(kind, cost.execution, cost.calldata, cost.leaves)

    proofs = []
    padding = begin(prices.prove, PROVE)
    padding.gas += prices.output_dimension * len(op.shape) + prices.padding * LEAF_BYTES
    _trees(op, (), padding, depth, True, prices)
    proofs.append(end("padding", padding))

    if cut.count == 1:
        whole = Cut.of(op, cut)
        step = begin(prices.prove, PROVE)
        _parse(op, step, prices)
        runs = _trees(op, factor_reads(op, whole) + code_reads(op), step, depth, True, prices)
        _reduce(op, whole, runs, step, prices)
        _code(op, runs, step, prices)
        proofs.append(end("step", step))
        return GasBound(tuple(proofs))

    descend = begin(prices.descend, DESCEND)
    descend.gas += prices.output_dimension * len(op.shape) + prices.box_dimension * len(op.box)
    proofs.append(end("descend", descend))

    results = (16 if op.monoid in (Monoid.ARGMAX, Monoid.ARGMIN) else 8) * min(cut.count, FAN_OUT)
    part = begin(prices.settle, SETTLE + results)
    _parse(op, part, prices)
    one = Cut.of(op, cut)
    runs = _trees(op, factor_reads(op, one), part, depth, False, prices)
    _reduce(op, one, runs, part, prices)
    proofs.append(end("part", part))

    epilogue = begin(prices.settle, SETTLE + results)
    _parse(op, epilogue, prices)
    runs = _trees(op, code_reads(op), epilogue, depth, True, prices)
    _code(op, runs, epilogue, prices)
    proofs.append(end("epilogue", epilogue))
    return GasBound(tuple(proofs))


def gas_bound(op: Op, program: Program) -> GasBound:
    """The bound of one op of the program."""
    return bound_of(op, program.header.trace_depth, program.header.tensor_depth, program.tree.depth)
