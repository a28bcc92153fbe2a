"""What an op's descriptor may not hold because another one means the same, or because nothing that it says could be used.

An encoding that says things twice costs whoever must prove with it: every term, access and domain position is a price that
an honest side pays on L1. So there is one way to say each thing, and the bound may count on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from rollup.form.affine import extents, variables
from rollup.form.ops import Access, Carried, Monoid, Op, Value, loads
from rollup.form.parts import Partition, is_canonical, partition

CHAIN_LIMIT = 2
"""Most indices behind one another: an index may have an index, and no more."""

TERM_LIMIT = 48
"""Most terms of one access."""

ACCESS_LIMIT = 64
INSTRUCTION_LIMIT = 128


def canonical(op: Op) -> Iterator[str]:
    """What is not canonical about an otherwise well-formed op: sentences with the remedy."""
    if len(op.accesses) > ACCESS_LIMIT:
        yield f"it has {len(op.accesses)} accesses; at most {ACCESS_LIMIT}, split the op"
    if len(op.code) > INSTRUCTION_LIMIT:
        yield f"its code has {len(op.code)} instructions; at most {INSTRUCTION_LIMIT}, split the op"
    if op.repeat == 1 and op.body != 1:
        yield f"it is executed once, but its body is {op.body}; a body of one iteration is 1"
    if op.monoid is not Monoid.NONE and not op.domain:
        yield f"monoid {op.monoid.name.lower()} has no domain to reduce; use none"
    for d, size in enumerate(op.domain):
        if size == 1:
            yield f"domain dimension {d} has one position; leave it out"
    for number, access in enumerate(op.accesses):
        yield from _access(op, number, access)
    yield from _reads(op)
    if not is_canonical(op):
        cut = partition(op)
        part = 0 if cut.count == 1 else Partition.of(op.domain, op.part).size
        yield f"part {op.part} cuts the domain {op.domain} as {part} does; write {part}"


def _access(op: Op, number: int, access: Access) -> Iterator[str]:
    name, sizes = f"access {number}", extents(op)
    if len(access.terms) > TERM_LIMIT:
        yield f"{name} has {len(access.terms)} terms; at most {TERM_LIMIT}, split the op"
    keys = [(term.dimension, term.var) for term in access.terms]
    for (dimension, var), after in itertools.pairwise(keys):
        if (dimension, var) == after:
            yield f"{name} adds variable {var} to dimension {dimension} twice; add the coefficients up"
        elif (dimension, var) > after:
            yield f"{name} has its terms out of order; sort them by dimension and variable"
            break
    for term in access.terms:
        if term.coef == 0:
            yield f"{name} adds variable {term.var} to dimension {term.dimension} zero times; leave the term out"
        if sizes[term.var] == 1:
            yield f"{name} adds variable {term.var}, which is always 0; leave the term out"
    source = access.source
    if isinstance(source, Carried) and op.repeat == 1:
        yield f"{name} is carried, but there is one iteration; read value {source.init}"
    elif isinstance(source, Value) and op.repeat == 1 and source.step:
        yield f"{name} reads {source.step} values on in every iteration, but there is one; write step 0"
    if access.stack and access.shape[0] == 1:
        yield f"{name} stacks a single value; read it without a stack"


def _reads(op: Op) -> Iterator[str]:
    """Whether everything that the op has is used, and no index lies too deep."""
    sizes = extents(op)
    read = set(range(op.factors))
    moved: set[int] = set()
    for factor in range(op.factors):
        number, depth = factor, 0
        moved.update(variables(op.accesses[factor], sizes))
        while (indirect := op.accesses[number].indirect) is not None:
            number, depth = indirect[1], depth + 1
            read.add(number)
            moved.update(variables(op.accesses[number], sizes))
        if depth > CHAIN_LIMIT:
            yield (
                f"access {factor} is indexed through {depth} accesses; at most {CHAIN_LIMIT}, "
                "compute the index in an op of its own"
            )
    read.update(access for instr in op.code for access in loads(instr))
    for number in sorted(set(range(len(op.accesses))) - read):
        yield f"access {number} is read by nothing; leave it out"
    for d, size in enumerate(op.domain):
        if size > 1 and len(op.shape) + d not in moved:
            yield f"domain dimension {d} is read by no factor; leave it out"
