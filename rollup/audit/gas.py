"""What the proofs about one op can cost at most, from its descriptor and the depths of its program alone.

The worst output element, iteration, part and index values, all bytes non-zero, on the slowest way that the contracts have for such
a descriptor: nothing is hoped for that an adversary's operands could prevent. Bounds are of whole transactions to DisputeGame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollup.audit.leaves import PartDomain, Touched, by_tree, chain, code_reads, factor_reads, siblings, strides
from rollup.audit.prices import EIP_7976, PRAGUE, PRICES, TRANSACTION, Calldata, Prices
from rollup.form.affine import extents, spans
from rollup.form.encoding import encode_op
from rollup.form.ops import ARGUMENTS, FAN_OUT, ITERATION, Access, Monoid, Op, Opcode
from rollup.form.parts import partition
from rollup.form.program import Program
from rollup.hashing import leaf_count
from rollup.merkle import depth_for
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
    words = 200 + 3 * len(op.shape) + 25 * len(op.domain) + 22 * len(op.accesses) + 9 * ranks + terms + len(op.code)
    return words + descriptor // 32


def _parse(op: Op, cost: _Cost, prices: Prices) -> None:
    cost.gas += prices.output_dimension * len(op.shape) + prices.domain_dimension * len(op.domain)
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


def _terms_over_domain(op: Op, access: Access) -> int:
    outer = len(op.shape)
    return sum(outer <= term.var != ITERATION for term in access.terms)


def _lone(op: Op) -> bool:
    """Whether an index of a factor, or the value that a factor or an index reads, changes along a row."""
    if not op.domain:
        return False
    last = len(op.shape) + len(op.domain) - 1
    for number in range(op.factors):
        for place in (number, *chain(op, number)):
            access = op.accesses[place]
            moving = [term for term in access.terms if term.var == last and term.coef]
            if place != number and moving:
                return True
            if access.stack and any(term.dimension == 0 for term in moving):
                return True
    return False


def _steps(op: Op) -> list[int]:
    """By factor, bytes from one element of a row to the next."""
    last, sizes = len(op.shape) + len(op.domain) - 1, extents(op)
    factors = op.accesses[: op.factors]
    return [strides(access, sizes)[0].get(last, 0) * access.dtype.size for access in factors]


def _may_enter(op: Op, access: Access) -> bool:
    """Whether the access can be inside its operand at one place of a row, and outside of it at another."""
    last, sizes = len(op.shape) + len(op.domain) - 1, extents(op)
    moving = {term.dimension for term in access.terms if op.domain and term.var == last}
    if access.indirect is not None and access.indirect[0] in moving:
        return True
    reach = spans(access, sizes)
    return any(reach[d][0] < 0 or reach[d][1] >= access.shape[d] for d in moving)


def _is_linear(op: Op) -> bool:
    """Whether all factors are linear over what is left of any part once the margins, where a factor reads its fill, are cut
    off: nothing that is read can change that.
    """
    inner = range(len(op.shape), len(op.shape) + len(op.domain))
    sizes = extents(op)
    trimmed = op.monoid in (Monoid.MAX, Monoid.MIN) and op.factors == 1
    for number in range(op.factors):
        access = op.accesses[number]
        if any(term.var in inner for index in chain(op, number) for term in op.accesses[index].terms):
            return False
        moves = [0] * len(access.shape)
        for term in access.terms:
            moves[term.dimension] += term.var in inner
        if access.stack and moves[0]:
            return False
        is_cut = trimmed or (op.monoid is Monoid.SUM and access.fill == 0)
        for d, (low, high) in enumerate(spans(access, sizes)):
            isolated = is_cut and moves[d] <= 1
            indexed = access.indirect is not None and access.indirect[0] == d
            if not isolated and (indexed or low < 0 or high >= access.shape[d]):
                return False
    return True


def _merged_row(op: Op, search: int, prices: Prices) -> int:
    """One row of factors that are linear, without what each position costs."""
    gas = prices.merged_row + prices.piece + prices.word
    return gas + op.factors * (prices.merged_factor + prices.reach + search)


def _row(op: Op, columns: int, search: int, prices: Prices) -> int:
    """One row of so many positions, without what each of them costs."""
    last = len(op.shape) + len(op.domain) - 1
    gas = prices.row
    margins = 0
    for number in range(op.factors):
        for place in (number, *chain(op, number)):
            access = op.accesses[place]
            gas += prices.row_factor if place == number else prices.row_index + search
            gas += prices.row_dimension * len(access.shape) + prices.row_term * _terms_over_domain(op, access)
            slopes = {term.dimension for term in access.terms if op.domain and term.var == last}
            gas += prices.row_slope * (len(slopes) + (place == number and access.indirect is not None))
        margins += _may_enter(op, op.accesses[number])
    pieces = min(columns, 2 * margins + 1)
    # At most one factor is read in the first and in the last piece.
    reaches = min(op.factors * pieces, 4 if margins else op.factors)
    return gas + (prices.piece + prices.word) * pieces + (prices.reach + search) * reaches


def _position(op: Op, search: int, prices: Prices) -> int:
    """One position within a row."""
    widest = max(op.accesses[number].dtype.size for number in range(op.factors))
    steps = _steps(op)
    beside = all(step == access.dtype.size for step, access in zip(steps, op.accesses[: op.factors], strict=True))
    if op.monoid in (Monoid.NONE, Monoid.SUM):
        if op.factors == 1:
            gas = prices.wide_sum if widest == 8 else prices.adjacent_sum if beside else prices.sum
        else:
            gas = prices.wide_dot if widest == 8 else prices.adjacent_dot if beside and widest <= 2 else prices.dot
    elif op.factors == 1:
        gas = prices.wide_extreme if widest == 8 else prices.extreme
    else:
        gas = prices.wide_product if widest == 8 else prices.product
    if _lone(op):
        places = sum(1 + len(chain(op, number)) for number in range(op.factors))
        return prices.wide_product + places * (prices.lone + search)
    gas += sum(-(-prices.mark * min(abs(step), LEAF_BYTES) // LEAF_BYTES) for step in steps)
    apart = any(abs(step) > LEAF_BYTES for step in steps)
    return gas + (op.factors * (prices.reach + search) if apart else 0)


def _reduce(op: Op, cut: PartDomain, runs: int, cost: _Cost, prices: Prices) -> None:
    """Adds what the reduction of one part costs, whatever its operands are."""
    if not op.factors:
        return
    search = prices.search * _halvings(runs)
    for number in range(op.factors):
        access = op.accesses[number]
        cost.gas += prices.factor + prices.factor_dimension * len(access.shape)
        cost.gas += prices.factor_term * _terms_over_domain(op, access)
        for index in chain(op, number):
            cost.gas += prices.factor_index + 3 * (prices.load_dimension * len(op.accesses[index].shape) + search)
            cost.gas += 3 * prices.row_term * _terms_over_domain(op, op.accesses[index])
    columns = cut.positions // cut.rows
    row = _merged_row(op, search, prices) if _is_linear(op) else _row(op, columns, search, prices)
    cost.gas += cut.rows * (row + 2 * prices.mark * op.factors)
    cost.gas += cut.positions * _position(op, search, prices)


def _code(op: Op, runs: int, cost: _Cost, prices: Prices) -> None:
    search = prices.search * _halvings(runs)
    for instr in op.code:
        cost.gas += prices.instructions[instr.op]
        if instr.op in (Opcode.LOAD, Opcode.GATHER):
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
        cost = _Cost(game + prices.call, words, envelope + path + 1)
        cost.gas += prices.node * program_depth
        return cost

    def end(kind: str, cost: _Cost) -> Proof:
        cost.gas += prices.byte * cost.calldata
        return Proof(kind, cost.execution, cost.calldata, cost.leaves)

    proofs = []
    padding = begin(prices.prove, PROVE)
    padding.gas += prices.output_dimension * len(op.shape)
    _trees(op, (), padding, depth, True, prices)
    proofs.append(end("padding", padding))

    if cut.count == 1:
        whole = PartDomain.of(op, cut)
        step = begin(prices.prove, PROVE)
        _parse(op, step, prices)
        runs = _trees(op, factor_reads(op, whole) + code_reads(op), step, depth, True, prices)
        _reduce(op, whole, runs, step, prices)
        _code(op, runs, step, prices)
        proofs.append(end("step", step))
        return GasBound(tuple(proofs))

    descend = begin(prices.descend, DESCEND)
    descend.gas += prices.output_dimension * len(op.shape) + prices.domain_dimension * len(op.domain)
    proofs.append(end("descend", descend))

    results = (16 if op.monoid in ARGUMENTS else 8) * min(cut.count, FAN_OUT)
    part = begin(prices.settle, SETTLE + results)
    _parse(op, part, prices)
    one = PartDomain.of(op, cut)
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
