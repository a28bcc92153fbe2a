"""Adversarial descriptors: each is refused by the audit, or its proofs cost at most their bound and say what the reference says.

``python -m tests.campaigns.hostile --n 20000``. A generator composes every field of the encoding, extreme values included; a climb
goes on from the descriptors whose gas came nearest to their bound. Operands are made up where they are read, and the rest of
the trace by the siblings alone: so tensors and traces are as large as the format allows.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import random
import re
import struct
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256, shake_128
from pathlib import Path

import numpy as np
from eth_abi.abi import decode

from prover.executor import Executor
from rollup.audit import GasBound, Proof, bound_of, examine
from rollup.audit.gas import DESCEND, PROVE, SETTLE
from rollup.audit.prices import PRAGUE, PRICES, Prices
from rollup.errors import EncodingError
from rollup.form.constants import constant_root
from rollup.form.encoding import Header, TensorType, TracePolicy, decode_op, depths, encode_op
from rollup.form.ops import (
    ARGUMENTS,
    FAN_OUT,
    INSTRUCTIONS,
    ITERATION,
    MAX_RANK,
    Access,
    Carried,
    Constant,
    Instr,
    Monoid,
    Op,
    Opcode,
    Source,
    Term,
    Value,
)
from rollup.form.parts import Partition, partition
from rollup.form.program import Program
from rollup.machine.reference import Step, run, unravel
from rollup.machine.witness import TRACE, runs
from rollup.merkle import branch, hash_leaf, hash_node
from rollup.types import LEAF_BYTES, DType, Gindex, Root
from tests.contracts import around
from tests.contracts.probes import Meter
from tests.lockstep.evm import EPILOGUE_TYPES, OUTLINE_TYPES, PART_TYPES, STEP_TYPES, Disputed, calldata, seed_of

EXTREMES = (0, 1, -1, 2, -2, 3, 5, 64, 127, 128, 129, 1023, 1024, 1025, (1 << 31) - 1, -(1 << 31), -(1 << 31) + 1)
WIDE = (*EXTREMES, (1 << 63) - 1, -(1 << 63), 1 << 32, -(1 << 32), 63, 65, -64)
POSITIONS = 3_000
"""Most domain positions that the reference is asked to evaluate at once."""


class Fault(AssertionError):
    """The contract does not do what the audit or the reference says."""


# The operands -----------------------------------------------------------------------------------------------------------


@dataclass
class SparseExecution:
    """An execution of which only what is looked at exists.

    Elements of trace values follow from ``style`` and their place; constants are real. ``indices``: by source, the range that
    its elements come from where they are used as an index.
    """

    program: Program
    op: Op
    style: int
    indices: dict[Source, tuple[int, int]] = field(default_factory=dict)
    _leaves: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _constants: dict[int, np.ndarray] = field(default_factory=dict)

    def leaf(self, value: int, leaf: int, dtype: DType, reach: tuple[int, int] | None) -> bytes:
        """1,024 bytes of a trace value."""
        key = value, leaf
        if key not in self._leaves:
            noise = shake_128(struct.pack(">QQQ", self.style, value, leaf)).digest(LEAF_BYTES)
            if reach is not None:
                low, high = (max(dtype.min, min(dtype.max, end)) for end in reach)
                drawn = np.frombuffer(noise, f"<u{dtype.size}").astype(object) % (max(low, high) - low + 1) + low
                noise = np.array(drawn, dtype.numpy).tobytes()
            elif self.style % 3 == 1:
                ends = np.array([dtype.min, dtype.max], dtype.numpy)
                noise = ends[np.frombuffer(noise, f"<u{dtype.size}") % 2].tobytes()
            self._leaves[key] = noise
        return self._leaves[key]

    def read(self, number: int, value: int, element: int) -> int:
        access = self.op.accesses[number]
        if isinstance(access.source, Constant):
            return int(self._seen(number)[element])
        at = element * access.dtype.size
        data = self.leaf(value, at // LEAF_BYTES, access.dtype, self.indices.get(access.source))
        at %= LEAF_BYTES
        return int.from_bytes(data[at : at + access.dtype.size], "little", signed=True)

    def _seen(self, number: int) -> np.ndarray:
        if number not in self._constants:
            self._constants[number] = self.program.seen(self.op.accesses[number])
        return self._constants[number]


@dataclass
class Sparse:
    """A trace tree of which some leaves are known, and anything stands beside them."""

    depth: int
    known: dict[int, Root]

    @cached_property
    def _levels(self) -> list[dict[int, Root]]:
        levels = [dict(sorted(self.known.items()))]
        for height in range(self.depth):
            above: dict[int, Root] = {}
            for index in levels[-1]:
                if index >> 1 in above:
                    continue
                left, right = self._node(levels[-1], height, index & ~1), self._node(levels[-1], height, index | 1)
                above[index >> 1] = hash_node(left, right)
            levels.append(above)
        return levels

    def _node(self, level: dict[int, Root], height: int, index: int) -> Root:
        found = level.get(index)
        return Root(sha256(struct.pack(">BQ", height, index)).digest()) if found is None else found

    @property
    def root(self) -> Root:
        return self._levels[-1].get(0) or Root(sha256(b"nothing is read").digest())

    def siblings(self) -> list[Root]:
        """Those of the multi-proof of all known leaves."""
        found = []
        for height in range(self.depth):
            level = self._levels[height]
            found += [self._node(level, height, index ^ 1) for index in level if index ^ 1 not in level]
        return found


@dataclass(frozen=True)
class Query:
    """One proof about one element: ``number`` is the part."""

    kind: str
    t: int
    position: int
    number: int = 0
    acc: int = 0


def ask(execution: SparseExecution, query: Query) -> tuple[bytes, bytes, tuple[int, ...], int]:
    """(calldata for the contract, witness, what it must answer, leaves in the witness)."""
    program, op = execution.program, execution.op
    header = program.header
    value = op.first + (op.body if op.repeat > 1 else 1) * query.t
    per_leaf = LEAF_BYTES // op.dtype.size
    leaf = (value << header.tensor_depth) + query.position // per_leaf
    element = 0 if query.kind == "padding" else query.position % per_leaf
    in_trace: dict[int, bytes] = {}
    in_constants: dict[Root, set[int]] = {}

    def spy(number: int, at: int, place: int) -> int:
        access = op.accesses[number]
        index = place * access.dtype.size // LEAF_BYTES
        if isinstance(access.source, Constant):
            in_constants.setdefault(access.source.root, set()).add(index)
        else:
            data = execution.leaf(at, index, access.dtype, execution.indices.get(access.source))
            in_trace[(at << header.tensor_depth) + index] = data
        return execution.read(number, at, place)

    step = Step(op, query.t, unravel(query.position, op.shape), spy)
    expected: tuple[int, ...] = ()
    if query.kind == "step":
        expected = (step.evaluate(),)
    elif query.kind == "part":
        expected = step.partial(query.number)
    elif query.kind == "epilogue":
        expected = (step.epilogue(query.acc),)
    if query.kind in ("step", "epilogue", "padding"):
        mine = bytearray(shake_128(struct.pack(">QQ", execution.style, leaf)).digest(LEAF_BYTES))
        if query.kind == "padding":
            # Zeros behind the last element: the contract looks at all of them.
            used = max(0, op.bytes - (query.position // per_leaf) * LEAF_BYTES)
            mine[used:] = bytes(max(0, LEAF_BYTES - used))
            expected = (0,)
        else:
            low = element * op.dtype.size
            claimed = int.from_bytes(mine[low : low + op.dtype.size], "little", signed=True)
            expected = (claimed, *expected)
        in_trace[leaf] = bytes(mine)
    trace = Sparse(program.depth, {index: hash_leaf(data) for index, data in in_trace.items()})
    descriptor = program.ops.index(op)
    path = branch(program.tree, Gindex((1 << program.tree.depth) + descriptor + 2))
    data = program.descriptors[descriptor]
    proven = (
        struct.pack(">H", len(data)) + data + struct.pack(">IB", descriptor + 2, program.tree.depth) + b"".join(path)
    )
    disputed = Disputed(program.id, trace.root, header.trace_depth, header.tensor_depth, leaf).fields
    if query.kind == "descend":
        parts = partition(op).count
        return calldata("outline", OUTLINE_TYPES, disputed, element, proven), proven, (int(op.monoid), parts), 0
    trees = [
        _tree(TRACE, sorted(in_trace), trace.siblings() if in_trace else [], [in_trace[j] for j in sorted(in_trace)])
    ]
    leaves = len(in_trace)
    for number, access in enumerate(op.accesses):
        source = access.source
        if not isinstance(source, Constant) or source.root not in in_constants:
            continue
        wanted = sorted(in_constants.pop(source.root))
        tree = program.constant_tree(source.root)
        array = program.constant(source.root).tobytes()
        chunks = [array[j * LEAF_BYTES : (j + 1) * LEAF_BYTES].ljust(LEAF_BYTES, b"\0") for j in wanted]
        siblings = [tree.node(Gindex(gindex)) for gindex in _beside(wanted, tree.depth)]
        trees.append(_tree(number, wanted, siblings, chunks))
        leaves += len(wanted)
    witness = struct.pack(">H", element) + proven + struct.pack(">B", len(trees)) + b"".join(trees)
    match query.kind:
        case "step":
            call = calldata("step", STEP_TYPES, disputed, witness)
        case "padding":
            call = calldata("padding", STEP_TYPES, disputed, witness)
        case "part":
            call = calldata("part", PART_TYPES, disputed, element, query.number, witness)
        case _:
            call = calldata("epilogue", EPILOGUE_TYPES, disputed, element, query.acc, witness)
    return call, witness, expected, leaves


def _beside(indices: list[int], depth: int) -> Iterator[int]:
    level = indices
    for height in range(depth):
        present = set(level)
        yield from ((1 << (depth - height)) + (j ^ 1) for j in level if j ^ 1 not in present)
        level = sorted({j >> 1 for j in level})


def _tree(access: int, leaves: list[int], siblings: list[Root], chunks: list[bytes]) -> bytes:
    spans = runs(leaves)
    head = struct.pack(">BH", access, len(spans)) + b"".join(struct.pack(">QH", *span) for span in spans)
    return head + struct.pack(">H", len(siblings)) + b"".join(siblings) + b"".join(chunks)


_ANSWERS = {
    "step": ["int64", "int64"],
    "padding": ["bool"],
    "part": ["int64", "uint64"],
    "epilogue": ["int64", "int64"],
    "descend": ["uint8", "uint32"],
}


# The descriptors --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidate:
    """An op, and where it stands: behind ``inputs`` inputs and ``stacked`` values, as member ``member`` of its segment's body, with
    ``tail`` values behind it and ``extra`` descriptors. The tensors that it reads are as its accesses see them.
    """

    op: Op
    inputs: int = 3
    stacked: int = 4
    member: int = 0
    tail: int = 1
    extra: int = 1

    @property
    def first(self) -> int:
        return self.inputs + self.stacked + self.member


LARGEST_CONSTANT = 1 << 17


def build(candidate: Candidate) -> tuple[Program, Op]:
    """The program about a candidate; raises EncodingError where it can't be encoded."""
    op = candidate.op
    blank = TensorType(DType.I8, 0, (1,))
    inputs = [blank] * candidate.inputs
    stacked = blank
    constants: dict[Root, np.ndarray] = {}
    accesses = list(op.accesses)
    for number, access in enumerate(accesses):
        source = access.source
        if isinstance(source, Constant):
            array = _constant(candidate, number, source)
            if array is not None:
                root = constant_root(array)
                constants[root] = array
                accesses[number] = replace(access, source=Constant(root))
        elif access.tensor_shape and all(size > 0 for size in access.tensor_shape):
            base = source.base if isinstance(source, Value) else source.init
            seen = TensorType(access.dtype, 0, access.tensor_shape)
            if 0 <= base < candidate.inputs and inputs[base] == blank:
                inputs[base] = seen
            elif candidate.inputs <= base < candidate.inputs + candidate.stacked and stacked == blank:
                stacked = seen
    op = replace(op, first=candidate.first, accesses=tuple(accesses))

    def filler(first: int, body: int, repeat: int, tensor: TensorType) -> Op:
        return Op(first, body, repeat, Monoid.NONE, tensor.dtype, 0, tensor.shape, (), (), ())

    ops = [filler(candidate.inputs, 1, candidate.stacked, stacked)] if candidate.stacked else []
    body = max(op.body, candidate.member + 1) if op.repeat > 1 else 1
    own = TensorType(op.dtype, 0, op.shape)
    start = candidate.inputs + candidate.stacked
    if op.repeat > 1:
        ops += [
            op if j == candidate.member else filler(start + j, op.body, op.repeat, own) for j in range(min(body, 8))
        ]
    else:
        ops += [filler(start + j, 1, 1, own) for j in range(candidate.member)] + [op]
    at = start + (body * op.repeat if op.repeat > 1 else candidate.member + 1)
    if candidate.tail:
        ops.append(filler(at, 1, candidate.tail, blank))
        at += candidate.tail
    for _ in range(candidate.extra):
        ops.append(filler(at, 1, 1, blank))
        at += 1
    last = ops[-1]
    sizes = [tensor.bytes for tensor in inputs] + [one.bytes for one in ops]
    if any(size < 0 for size in sizes):
        raise EncodingError("a tensor has a negative dimension")
    header = Header(
        TracePolicy.ON_DISPUTE,
        *depths(at, sizes),
        at,
        tuple(inputs),
        ((at - 1, TensorType(last.dtype, 0, last.shape)),),
    )
    return Program.of(header, ops, constants), op


def _constant(candidate: Candidate, number: int, source: Constant) -> np.ndarray | None:
    """An array as the access sees it; none where there is no such array, or a large one."""
    access = candidate.op.accesses[number]
    count = access.elements
    if not 0 < count * access.dtype.size <= LARGEST_CONSTANT or any(size < 1 for size in access.shape):
        return None
    rng = np.random.default_rng(source.root[0])
    low, high = access.dtype.min, access.dtype.max
    for other in candidate.op.accesses:
        if other.indirect is not None and other.indirect[1] == number and other.indirect[0] < len(other.shape):
            d = other.indirect[0]
            low, high = max(low, -other.offsets[d]), min(high, other.shape[d] - 1 - other.offsets[d])
            break
    if low > high:
        low, high = access.dtype.min, access.dtype.max
    return rng.integers(low, high, count, access.dtype.numpy, endpoint=True)


def _placeholder(rng: random.Random) -> Constant:
    return Constant(Root(bytes([rng.randrange(1, 200)]) * 32))


def _split(rng: random.Random, count: int, rank: int) -> tuple[int, ...]:
    """A shape of exactly so many elements, and at most that rank."""
    shape: list[int] = []
    for _ in range(max(1, rank) - 1):
        choices = [f for f in (1, 2, 3, 4, 5, 7, 8, 16, 32, 64) if count % f == 0]
        size = rng.choice(choices)
        shape.append(size)
        count //= size
    shape.insert(rng.randint(0, len(shape)), count)
    return tuple(shape)


def _size(rng: random.Random) -> int:
    """Elements of a tensor, small or as large as the format has."""
    return rng.choice(
        (
            1,
            rng.randint(1, 64),
            rng.randint(1, 5_000),
            1 << rng.randint(0, 16),
            3 << rng.randint(0, 12),
            1 << rng.randint(10, 31),
        )
    )


def _coef(rng: random.Random, size: int) -> int:
    return rng.choice((1, 1, 1, 1, -1, -1, 2, -2, 3, rng.randint(-9, 9) or 1, size or 1, rng.choice(EXTREMES) or 1))


def _access(rng: random.Random, op: Op, candidate: Candidate, free: list[int]) -> Access:
    """An access that is mostly canonical; ``free``: the variables that it may use."""
    dtype = rng.choice(list(DType))
    spans = [*op.shape, *op.domain]
    kind = rng.random()
    source: Source
    stack = 0
    count = _size(rng)
    if kind < 0.3:
        source, count = _placeholder(rng), min(count, LARGEST_CONSTANT // dtype.size)
    elif kind < 0.75 or not candidate.stacked:
        source = Value(rng.randrange(candidate.inputs))
    elif kind < 0.9:
        stack = rng.choice((1, 1, 1, 2))
        source = Value(candidate.inputs)
    elif op.repeat > 1 and kind < 0.95:
        source, dtype, count = Carried(candidate.first - op.body, op.body, candidate.inputs), op.dtype, op.elements
    else:
        source = Value(candidate.inputs + rng.randrange(candidate.stacked))
    rank = rng.choice((1, 1, 1, 2, 2, 3, 4, rng.randint(1, MAX_RANK - 1)))
    shape = _split(rng, count, rank)
    if stack:
        depth = max(2, candidate.stacked // stack) if rng.random() < 0.9 else rng.randint(1, 9)
        shape = (min(depth, 1 << 12), *shape)
    used = [v for v in free if (op.repeat if v == ITERATION else spans[v]) > 1]
    terms = []
    dense = rng.random()
    for d in range(len(shape)):
        many = rng.choice((0, 1, 1, 1, 2, len(used))) if dense < 0.85 else len(used)
        for var in sorted(rng.sample(used, min(many, len(used)))):
            terms.append(Term(d, var, _coef(rng, shape[-1])))
    offsets = []
    for d, size in enumerate(shape):
        low = high = 0
        for term in terms:
            if term.dimension == d:
                move = term.coef * ((op.repeat if term.var == ITERATION else spans[term.var]) - 1)
                low, high = low + min(move, 0), high + max(move, 0)
        wish = rng.choice((-low, -low, -low, -low + rng.randint(-3, 3), size - 1 - high, rng.choice(EXTREMES)))
        offsets.append(max(-(1 << 31), min((1 << 31) - 1, wish)))
    fill = rng.choice((0, 0, 0, 1, -1, 7, rng.choice(WIDE)))
    return Access(source, dtype, shape, tuple(offsets), tuple(terms), fill, None, stack)


def compose(rng: random.Random) -> Candidate:
    """A descriptor that has a chance to pass: most of it is canonical, and any value of any field comes up."""
    if rng.random() < 0.12:
        return _scattering(rng)
    repeat = rng.choice((1, 1, 1, 1, 2, 3, 17, 1 << rng.randint(1, 12)))
    body = rng.randint(1, 4) if repeat > 1 else 1
    candidate = Candidate(
        Op(0, body, repeat, Monoid.NONE, DType.I8, 0, (1,), (), (), ()),
        rng.randint(1, 4),
        rng.choice((0, 1, 4, 16, 64, 1 << rng.randint(0, 20))),
        rng.randrange(body) if repeat > 1 else rng.choice((0, 0, 1)),
        rng.choice((0, 1, 5, 100, 1 << rng.randint(0, 31))),
        rng.choice((0, 1, 1, 7, 40)),
    )
    monoid = rng.choice((Monoid.NONE, Monoid.NONE, Monoid.SUM, Monoid.SUM, Monoid.SUM, Monoid.SUM, *Monoid))
    shape = tuple(rng.choice((1, 2, 3, 7, 64, 1 << rng.randint(0, 20))) for _ in range(rng.choice((0, 1, 1, 2, 3, 12))))
    if math.prod(shape) > 1 << 40:
        shape = shape[:1]
    domain: tuple[int, ...] = ()
    if monoid is not Monoid.NONE:
        style = rng.random()
        if style < 0.45:
            domain = (rng.choice((2, 9, 64, 256, 300, 512, 1024, rng.randint(2, 3000), 1 << rng.randint(1, 26))),)
        elif style < 0.75:
            domain = tuple(rng.randint(2, 40) for _ in range(rng.randint(2, 3)))
        else:
            domain = tuple(rng.choice((2, 2, 2, 3, 5)) for _ in range(rng.randint(3, 12)))
    factors = rng.choice((0, 1, 2)) if monoid is Monoid.NONE else rng.choice((1, 2))
    op = replace(
        candidate.op, monoid=monoid, dtype=rng.choice(list(DType)), factors=factors, shape=shape, domain=domain
    )
    candidate = replace(candidate, op=op)
    outer = [*range(len(shape)), ITERATION]
    inner = list(range(len(shape), len(shape) + len(domain)))
    accesses = [_access(rng, op, candidate, outer + inner) for _ in range(factors)]
    accesses = [_reading(rng, op, access, inner, j) for j, access in enumerate(accesses)]
    for number in range(factors):
        at = number
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
            index = _access(rng, op, candidate, outer + (inner if rng.random() < 0.6 else []))
            accesses[at] = replace(accesses[at], indirect=(rng.randrange(len(accesses[at].shape)), len(accesses)))
            at = len(accesses)
            accesses.append(index)
    loads = []
    for _ in range(rng.choice((0, 0, 1, 2, 3, 8))):
        loads.append(len(accesses))
        access = _access(rng, op, candidate, outer)
        if rng.random() < 0.3:
            access = replace(access, indirect=(rng.randrange(len(access.shape)), len(accesses)))
        accesses.append(access)
    op = replace(op, accesses=tuple(accesses))
    op = replace(op, code=_code(rng, op, loads))
    if op.domain_elements > 400 or rng.random() < 0.3:
        wanted = rng.choice((1, 2, 16, 64, 128, 256, 512, 1024, rng.randint(1, 2000)))
        cut = Partition.of(op.domain, wanted)
        op = replace(op, part=0 if cut.count == 1 else cut.size)
    return replace(candidate, op=op)


def _scattering(rng: random.Random) -> Candidate:
    """Rows that an index scatters, of pieces whose steps lie beside a leaf, its halves and quarters: what begins where, and how
    often a leaf's border lies between two pieces, is what a bound can get wrong.
    """
    dtype = rng.choice((DType.I8, DType.I8, DType.I16, DType.I32))
    leaf = LEAF_BYTES // dtype.size
    shape = rng.choice(((), (8,), (128,), (rng.randint(2, 2000),), (rng.randint(2, 40), rng.randint(2, 40))))
    # Powers of two begin pieces at few places of a leaf, which is where a bound may be low; else anywhere.
    even = rng.random() < 0.5
    sizes = (2, 4, 8, 16) if even else (2, 3, 5, rng.randint(2, 40))
    domain = (rng.choice(sizes), *(rng.choice((2, 2, 3, 4)) for _ in range(rng.choice((0, 1, 1, 2)))))
    outer = len(shape)
    spans = [*shape, *domain]
    inner = list(range(outer, len(spans)))
    scattering = [v for v in inner if rng.random() < 0.6] or inner[:1]

    def step(beside: bool) -> int:
        near = rng.choice((leaf // 4, leaf // 2, leaf, leaf, 2 * leaf) if even else (1, leaf, rng.randint(1, 2 * leaf)))
        return max(1, near + (rng.choice((0, -1, 1)) if beside else 0)) * rng.choice((1, 1, 1, -1))

    inside = [
        Term(1, v, step(v in inner and v not in scattering))
        for v in range(len(spans))
        if (v in inner and v not in scattering) or rng.random() < 0.5
    ]
    low = sum(min(0, term.coef) * (spans[term.var] - 1) for term in inside)
    width = 1 + sum(abs(term.coef) * (spans[term.var] - 1) for term in inside)
    if even or rng.random() < 0.3:
        floor = low // leaf * leaf
        low, width = floor, -(-(width + low - floor) // leaf) * leaf
    rows = rng.choice((2, 8, 64, 1 << 12, 1 << 16))
    own, index, count = [], [], 1
    for v in reversed(scattering):
        index.append(Term(0, v, count))
        count *= spans[v]
    if rng.random() < 0.3 and shape:
        index.append(Term(0, 0, count))
        count *= shape[0]
    if rng.random() < 0.3:
        own = [Term(0, rng.randrange(len(spans)), rng.choice((1, -1)))]
    table = Access(Value(0), dtype, (rows, width), (rng.choice((0, -1, 1)), -low), (*own, *inside), 0, (0, 1))
    index.sort(key=lambda term: term.var)
    places = Access(Value(1), rng.choice((DType.I8, DType.I16, DType.I32)), (count,), (0,), tuple(index))
    monoid = rng.choice((Monoid.SUM, Monoid.SUM, Monoid.MAX, Monoid.ARGMAX))
    op = Op(0, 1, 1, monoid, DType.I64, 1, shape, domain, (table, places), ())
    cut = Partition.of(domain, rng.choice((1, 2, 16, 64, 256, rng.randint(1, 300))))
    return Candidate(replace(op, part=0 if cut.count == 1 or rng.random() < 0.4 else cut.size), inputs=2, stacked=0)


def _reading(rng: random.Random, op: Op, access: Access, inner: list[int], number: int) -> Access:
    """The access with terms for domain variables that it lacks: every one has to be read, and a row mostly runs somewhere."""
    have = {term.var for term in access.terms}
    terms = list(access.terms)
    for var in inner:
        if var not in have and (number == 0 or rng.random() < 0.6):
            d = len(access.shape) - 1 if rng.random() < 0.7 else rng.randrange(len(access.shape))
            terms.append(Term(d, var, _coef(rng, access.shape[-1])))
    return replace(access, terms=tuple(sorted(terms, key=lambda term: (term.dimension, term.var))))


def _code(rng: random.Random, op: Op, loads: list[int]) -> tuple[Instr, ...]:
    code: list[Instr] = []
    for number in loads:
        if op.accesses[number].indirect is not None:
            code.append(Instr(Opcode.CONST, (), rng.choice((0, 1, rng.randint(0, 5_000), rng.choice(WIDE)))))
            code.append(Instr(Opcode.GATHER, (number, rng.choice((0, len(code))))))
        else:
            code.append(Instr(Opcode.LOAD, (number,)))
    for _ in range(rng.choice((0, 0, 3, 10, 60))):
        opcode = rng.choice(list(Opcode))
        arguments = []
        for kind in INSTRUCTIONS[opcode].arguments:
            if kind == "reg":
                arguments.append(rng.randint(max(0, len(code) - 3), len(code)))
            elif kind == "var":
                arguments.append(rng.choice([*range(len(op.shape)), ITERATION]))
            else:
                fitting = [n for n in loads if (op.accesses[n].indirect is not None) == (opcode is Opcode.GATHER)]
                if not fitting:
                    break
                arguments.append(rng.choice(fitting))
        else:
            code.append(Instr(opcode, tuple(arguments), rng.choice(WIDE) if opcode is Opcode.CONST else 0))
    # Nothing that overflows matters if nothing of it is looked at: the cheapest way past the audit.
    if op.dtype is not DType.I64 or code or rng.random() < 0.8:
        code.append(Instr(Opcode.CONST, (), rng.choice((0, 5, -1))))
    return tuple(code)


def _nudged(rng: random.Random, number: int, low: int, high: int) -> int:
    moved = rng.choice(
        (number + 1, number - 1, number * 2, number // 2, -number, rng.choice(EXTREMES), rng.randint(low, high), number)
    )
    return max(low, min(high, moved))


I32 = (-(1 << 31), (1 << 31) - 1)
U32 = (0, (1 << 32) - 1)


def mutate(rng: random.Random, candidate: Candidate) -> Candidate:
    """One field of the encoding changed, or a piece added or left out."""
    op = candidate.op
    what = rng.randrange(14)
    if what == 0:
        return replace(
            candidate,
            stacked=_nudged(rng, candidate.stacked, 0, 1 << 20),
            tail=_nudged(rng, candidate.tail, 0, 1 << 31),
            extra=_nudged(rng, candidate.extra, 0, 60),
        )
    if what == 1:
        domain = list(op.domain)
        change = rng.randrange(3)
        if change == 0 and len(domain) < MAX_RANK:
            domain.append(rng.randint(2, 9))
        elif change == 1 and domain:
            domain.pop()
        elif domain:
            d = rng.randrange(len(domain))
            domain[d] = _nudged(rng, domain[d], 1, 1 << 20)
        return _parted(rng, replace(candidate, op=replace(op, domain=tuple(domain))))
    if what == 2:
        shape = list(op.shape)
        if rng.random() < 0.5 and shape:
            d = rng.randrange(len(shape))
            shape[d] = _nudged(rng, shape[d], 0, 1 << 20)
        else:
            return replace(candidate, op=replace(op, repeat=_nudged(rng, op.repeat, 0, 1 << 14)))
        return replace(candidate, op=replace(op, shape=tuple(shape)))
    if what == 3:
        return _parted(rng, candidate)
    if what == 4:
        return replace(candidate, op=replace(op, monoid=rng.choice(list(Monoid)), dtype=rng.choice(list(DType))))
    if what == 5:
        code = list(op.code)
        place = rng.randrange(len(code) + 1)
        opcode = rng.choice(list(Opcode))
        arguments = tuple(rng.randint(0, max(0, place)) for _ in INSTRUCTIONS[opcode].arguments)
        if rng.random() < 0.3 and code:
            code.pop(rng.randrange(len(code)))
        else:
            imm = rng.choice(WIDE) if opcode is Opcode.CONST else 0
            code[place:place] = [Instr(opcode, arguments, imm)] * rng.choice((1, 1, 1, 20))
        return replace(candidate, op=replace(op, code=tuple(code)))
    if what == 6:
        return replace(candidate, op=replace(op, factors=rng.choice((0, 1, 2))))
    if not op.accesses:
        return candidate
    number = rng.randrange(len(op.accesses)) if rng.random() < 0.3 else rng.randrange(max(1, min(2, op.factors)))
    if number >= len(op.accesses):
        return candidate
    accesses = list(op.accesses)
    accesses[number] = _edited(rng, op, accesses[number])
    if rng.random() < 0.05:
        accesses.append(accesses[rng.randrange(len(accesses))])
    return replace(candidate, op=replace(op, accesses=tuple(accesses)))


def _parted(rng: random.Random, candidate: Candidate) -> Candidate:
    op = candidate.op
    if rng.random() < 0.1:
        return replace(candidate, op=replace(op, part=rng.choice((0, 1, 7, (1 << 32) - 1, rng.randint(0, 9_999)))))
    if any(size < 1 for size in op.domain):
        return candidate
    wanted = _nudged(rng, op.part or rng.randint(1, 600), 1, 1 << 14)
    cut = Partition.of(op.domain, wanted)
    return replace(candidate, op=replace(op, part=0 if cut.count == 1 else cut.size))


def _edited(rng: random.Random, op: Op, access: Access) -> Access:
    what = rng.randrange(9)
    terms = list(access.terms)
    variables = [v for v, size in enumerate((*op.shape, *op.domain)) if size > 1] + [ITERATION] * (op.repeat > 1)
    if what == 0 and terms:
        j = rng.randrange(len(terms))
        terms[j] = replace(terms[j], coef=_nudged(rng, terms[j].coef, *I32))
    elif what == 1 and variables and access.shape:
        terms.append(Term(rng.randrange(len(access.shape)), rng.choice(variables), _coef(rng, access.shape[-1])))
        if rng.random() < 0.9:
            unique = {(term.dimension, term.var): term for term in terms}
            terms = [unique[key] for key in sorted(unique)]
    elif what == 2 and terms:
        terms.pop(rng.randrange(len(terms)))
    elif what == 3 and access.shape:
        d = rng.randrange(len(access.shape))
        offsets = list(access.offsets)
        offsets[d] = _nudged(rng, offsets[d], *I32)
        return replace(access, offsets=tuple(offsets))
    elif what == 4 and access.shape:
        d = rng.randrange(len(access.shape))
        shape = list(access.shape)
        shape[d] = _nudged(rng, shape[d], 0 if rng.random() < 0.1 else 1, 1 << 24)
        return replace(access, shape=tuple(shape))
    elif what == 5:
        return replace(access, fill=rng.choice(WIDE))
    elif what == 6:
        return replace(access, dtype=rng.choice(list(DType)))
    elif what == 7 and access.shape:
        indirect = None if rng.random() < 0.5 else (rng.randrange(len(access.shape)), rng.randrange(len(op.accesses)))
        return replace(access, indirect=indirect)
    elif what == 8:
        if len(access.shape) < MAX_RANK and rng.random() < 0.6:
            return replace(
                access,
                shape=(1, *access.shape),
                offsets=(0, *access.offsets),
                terms=tuple(replace(term, dimension=term.dimension + 1) for term in access.terms),
                indirect=None if access.indirect is None else (access.indirect[0] + 1, access.indirect[1]),
            )
        return replace(access, stack=rng.choice((0, 1, 2, (1 << 32) - 1)))
    return replace(access, terms=tuple(terms))


def scrambled(rng: random.Random, candidate: Candidate) -> Candidate:
    """Bytes of the encoding changed; raises EncodingError where no op is left."""
    data = bytearray(encode_op(candidate.op))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data))
        data[at] = rng.choice((data[at] ^ (1 << rng.randrange(8)), 0, 255, rng.randrange(256)))
    if rng.random() < 0.1:
        del data[rng.randrange(len(data)) :]
    return replace(candidate, op=decode_op(bytes(data)))


# The campaign -----------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What came out. ``ratios``: by kind of proof, the largest execution, calldata and transaction over its bound."""

    tried: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    proofs: Counter[str] = field(default_factory=Counter)
    executor: int = 0
    ratios: dict[str, dict[str, float]] = field(default_factory=dict)
    dearest: int = 0
    """Gas of the dearest transaction under Prague's rules."""
    worst: dict[str, str] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        self.tried += other.tried
        self.accepted += other.accepted
        self.refused += other.refused
        self.proofs += other.proofs
        self.executor += other.executor
        self.dearest = max(self.dearest, other.dearest)
        for kind, mine in other.ratios.items():
            for what, ratio in mine.items():
                if ratio > self.ratios.setdefault(kind, {}).get(what, 0.0):
                    self.ratios[kind][what] = ratio
                    if what == "execution":
                        self.worst[kind] = other.worst[kind]

    def lines(self) -> Iterator[str]:
        yield f"{self.tried:,} descriptors: {self.accepted:,} accepted, {self.refused.total():,} refused"
        for reason, count in self.refused.most_common():
            yield f"  {count:>7,}  {reason}"
        yield "proofs: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(self.proofs.items()))
        yield f"accepted ops that the executor gave as the reference does: {self.executor:,}"
        for kind, ratios in sorted(self.ratios.items()):
            yield f"  real / bound of {kind:<9}" + ", ".join(f"{what} {ratio:.3f}" for what, ratio in ratios.items())
        yield f"dearest transaction: {self.dearest:,} gas under Prague's rules"


ADDED: dict[str, float] = json.loads(around.SNAPSHOT.read_text())
ENVELOPES = {"step": PROVE, "padding": PROVE, "part": SETTLE, "epilogue": SETTLE, "descend": DESCEND}


FUNCTIONS = {"step": "prove", "padding": "prove", "descend": "descend", "part": "settle", "epilogue": "settle"}


def measure(execution: SparseExecution, query: Query, proof: Proof, meter: Meter, prices: Prices) -> dict[str, float]:
    """Real over bound of one proof; raises Fault if a bound or an answer is wrong."""
    call, witness, expected, leaves = ask(execution, query)
    try:
        answer, gas = meter.call(call)
    except RuntimeError as error:
        raise Fault(f"{query}: the contract reverts on an honest witness: {str(error)[:200]}") from None
    given = decode(_ANSWERS[query.kind], answer)
    given = tuple(int(one) for one in given)
    if query.kind == "part" and execution.op.monoid not in ARGUMENTS:
        expected = (expected[0], 0)
    if given != expected:
        raise Fault(f"{query}: the contract says {given}, the reference {expected}")
    function = FUNCTIONS[query.kind]
    game = ADDED[function] + ADDED["byte"] * len(witness)
    results = (16 if execution.op.monoid in ARGUMENTS else 8) * min(partition(execution.op).count, FAN_OUT)
    envelope = ENVELOPES[query.kind] + (results if query.kind in ("part", "epilogue") else 0)
    zeros = witness.count(0)
    full = len(witness) - zeros + envelope
    tokens, standard = 10 * (zeros + 4 * full), 4 * zeros + 16 * full
    real = 21_000 + max(tokens, standard + gas + game)
    found = {
        # Of the prover alone, and with what the game was measured to add in the dearest dispute.
        "execution": max(gas / (proof.execution - getattr(prices, function)), (gas + game) / proof.execution),
        "calldata": (len(witness) + envelope) / proof.calldata,
        "leaves": leaves / max(1, proof.leaves),
        "transaction": real / proof.under(PRAGUE),
        "gas": float(real),
    }
    over = {what: ratio for what, ratio in found.items() if what != "gas" and ratio > 1}
    if over:
        raise Fault(f"{query}: {over}; {gas:,} gas, {len(witness):,} bytes, {leaves} leaves against {proof}")
    return found


def queries(rng: random.Random, op: Op, bound: GasBound, few: bool) -> Iterator[Query]:
    """Proofs about elements at the corners and anywhere."""

    def pick(count: int) -> int:
        return rng.choice((0, count - 1, rng.randrange(count)))

    count = partition(op).count
    for proof in bound.proofs:
        if proof.kind in ("descend", "padding") and (few or rng.random() < 0.7):
            continue
        for _ in range(1 if few or proof.kind in ("descend", "padding") else 3):
            position = op.elements - 1 if proof.kind == "padding" else pick(op.elements)
            yield Query(proof.kind, pick(op.repeat), position, pick(count), rng.choice(WIDE))


def execution_of(rng: random.Random, program: Program, op: Op) -> SparseExecution:
    indices: dict[Source, tuple[int, int]] = {}
    if rng.random() < 0.85:
        for access in op.accesses:
            if access.indirect is not None:
                d, number = access.indirect
                low = -access.offsets[d]
                indices[op.accesses[number].source] = low, low + access.shape[d] - 1
    return SparseExecution(program, op, rng.randrange(1 << 32), indices)


STEPS = 20_000
"""Most positions that the reference evaluates where a whole execution is compared with the executor's."""


def _is_small(program: Program) -> bool:
    """Whether the reference can run all of the program in about a second, and it stands for itself."""
    steps = sum(op.elements * op.repeat * max(1, op.domain_elements) for op in program.ops)
    bytes_in = sum(tensor.bytes for tensor in program.header.inputs)
    held = all(
        access.source.root in program.constants
        for op in program.ops
        for access in op.accesses
        if isinstance(access.source, Constant)
    )
    return held and steps <= STEPS and bytes_in <= 1 << 16 and program.header.values <= 64


def compare_executor(rng: random.Random, program: Program) -> None:
    """The jitted executor against the reference, all values, on extreme and random inputs; raises Fault."""
    draw = np.random.default_rng(rng.randrange(1 << 32))
    inputs = []
    for tensor in program.header.inputs:
        low, high = tensor.dtype.min, tensor.dtype.max
        noise = draw.integers(low, high, tensor.shape, tensor.dtype.numpy, endpoint=True)
        ends = draw.choice(np.array([low, high, 0, 1, -1], tensor.dtype.numpy), tensor.shape)
        inputs.append(np.where(draw.random(tensor.shape) < 0.3, ends, noise).astype(tensor.dtype.numpy))
    right, given = run(program, inputs), Executor(program).values(inputs)
    for value, (one, other) in enumerate(zip(right, given, strict=True)):
        if not np.array_equal(np.asarray(one).reshape(-1), np.asarray(other).reshape(-1)):
            raise Fault(f"the executor gives another value {value} than the reference")


def reason(program: Program, message: str, rule: str) -> str:
    return rule if rule != "canonical" else "canonical: " + re.sub(r"\(.*?\)|-?\d[\d,.^]*", "N", message.split(";")[0])


def judge(
    rng: random.Random, candidate: Candidate, meter: Meter, tally: Tally, prices: Prices, few: bool, executed: float
) -> dict[str, float] | None:
    """Counts a candidate; how near its dearest proofs came to their bounds, by kind, and the gas of the dearest; None if it is
    refused.
    """
    tally.tried += 1
    try:
        program, op = build(candidate)
        if decode_op(encode_op(op)) != op:
            raise Fault(f"the encoding gives another op back than {op}")
        report = examine(program)
    except EncodingError:
        tally.refused["encoding"] += 1
        return None
    if not report.ok:
        tally.refused[reason(program, report.findings[0].message, report.findings[0].rule)] += 1
        return None
    tally.accepted += 1
    header = program.header
    bound = bound_of(op, header.trace_depth, header.tensor_depth, program.tree.depth, prices)
    proofs = {proof.kind: proof for proof in bound.proofs}
    execution = execution_of(rng, program, op)
    heights: dict[str, float] = {}
    for query in queries(rng, op, bound, few):
        try:
            found = measure(execution, query, proofs[query.kind], meter, prices)
        except Fault as fault:
            raise Fault(f"{fault}\n{candidate}") from None
        tally.proofs[query.kind] += 1
        gas = found.pop("gas")
        tally.dearest = max(tally.dearest, int(gas))
        mine = tally.ratios.setdefault(query.kind, {})
        for what, ratio in found.items():
            if ratio > mine.get(what, 0.0):
                mine[what] = ratio
                if what == "execution":
                    tally.worst[query.kind] = f"{ratio:.3f} {query} {candidate}"
        for summit, height in ((query.kind, found["execution"]), ("gas", gas)):
            heights[summit] = max(heights.get(summit, 0.0), height)
    if _is_small(program) and rng.random() < executed:
        try:
            compare_executor(rng, program)
        except Fault as fault:
            raise Fault(f"{fault}\n{candidate}") from None
        tally.executor += 1
    return heights


POOL = 20
"""Candidates from which a climb goes on, by what it climbs: the ratio of a kind of proof, or the gas of any."""

EXECUTED = 0.1


def campaign(seed: int, count: int, prices: Prices = PRICES, few: bool = False, executed: float = EXECUTED) -> Tally:
    """``count`` candidates: new ones, scrambled ones, and what a climb makes of those that came nearest to their bound.

    ``few``: one proof of a kind. ``executed``: share of the small accepted programs that the executor runs, too.
    """
    rng, meter, tally = random.Random(seed), Meter(), Tally()
    pools: dict[str, list[tuple[float, int, Candidate]]] = {}
    while tally.tried < count:
        style = rng.random()
        if style < 0.4 or not pools:
            candidate = compose(rng)
        else:
            candidate = rng.choice(pools[rng.choice(list(pools))])[2]
            if style < 0.5:
                try:
                    candidate = scrambled(rng, candidate)
                except EncodingError:
                    tally.tried += 1
                    tally.refused["encoding"] += 1
                    continue
            else:
                for _ in range(rng.choice((1, 1, 2, 4))):
                    candidate = mutate(rng, candidate)
        heights = judge(rng, candidate, meter, tally, prices, few, executed)
        for summit, height in (heights or {}).items():
            pool = pools.setdefault(summit, [])
            if len(pool) < POOL or height > pool[-1][0]:
                pool.append((height, tally.tried, candidate))
                pool.sort(reverse=True, key=lambda entry: entry[:2])
                del pool[POOL:]
    return tally


def _worker(given: tuple[int, int]) -> Tally:
    return campaign(*given)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.hostile", description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=20_000, help="descriptors to try")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    started = time.monotonic()
    # A batch is one climb: long ones go further.
    size = 1_250
    batches = [(seed_of("hostile", options.seed, j), min(size, options.n - j)) for j in range(0, options.n, size)]
    tally = Tally()
    with multiprocessing.get_context("spawn").Pool(options.jobs) as workers:
        for found in workers.imap_unordered(_worker, batches):
            tally.add(found)
            print(f"{tally.tried:,} of {options.n:,}, {tally.accepted:,} accepted", flush=True)
    print("\n".join(tally.lines()))
    print(f"{time.monotonic() - started:,.0f} s")
    if options.json is not None:
        figures = {
            "tried": tally.tried,
            "accepted": tally.accepted,
            "refused": dict(tally.refused.most_common()),
            "proofs": dict(tally.proofs),
            "executor": tally.executor,
            "ratios": {
                kind: {what: round(one, 3) for what, one in found.items()} for kind, found in tally.ratios.items()
            },
            "dearest": tally.dearest,
            "seconds": round(time.monotonic() - started),
        }
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
