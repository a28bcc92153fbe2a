"""The reduction of an op by folding, looping or over derived arrays.

Small domains are folded slice by slice, everything else is reduced over derived arrays, in blocks if they are large. Sums of products
(``dot``) and sums that slide (``sliding``) have kernels of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.executor.kernels import halving
from prover.executor.kernels.access import derive, pad
from prover.executor.kernels.gather import Derived, Scalars
from rollup.audit.intervals import OpIntervals
from rollup.form.affine import extents, variables
from rollup.form.ops import ARGUMENTS, Access, Monoid, Op

FOLD_LIMIT = 32
"""Domains up to this size are folded element by element, without an array over the domain."""

THIN = 16
"""Sums of products up to this length are folded too: a matrix product would cost more than it saves."""

BLOCK_ELEMENTS = 1 << 26
"""Reductions over more (element, domain position) pairs than this are looped over their longest domain variable."""


@dataclass(frozen=True)
class AccessReader:
    """Reads accesses of (variants of) one op. ``operand`` gives an access's source [claims or 1, *access.shape]."""

    operand: Callable[[int], jax.Array]

    def __call__(self, number: int, op: Op, scalars: Scalars) -> Derived:
        """What access ``number`` of ``op`` reads, its index accesses followed."""
        access = op.accesses[number]
        index = None if access.indirect is None else self(access.indirect[1], op, scalars)
        return derive(self.operand(number), access, extents(op), scalars, index)

    def padded(self, op: Op) -> tuple[AccessReader, Op]:
        """The same reads with every factor's fill already around its source, so that variants of the op need not add
        it each.
        """
        sources: dict[int, jax.Array] = {}
        accesses = list(op.accesses)
        for number in range(op.factors):
            if accesses[number].indirect is None:
                found = pad(self.operand(number), accesses[number], extents(op))
                if found is not None:
                    sources[number], accesses[number] = found
        return AccessReader(lambda number: sources[number] if number in sources else self.operand(number)), replace(
            op, accesses=tuple(accesses)
        )


def domain_variables(op: Op) -> tuple[int, ...]:
    return tuple(var for var in range(len(op.shape), len(op.shape) + len(op.domain)) if extents(op)[var] > 1)


def full_variables(op: Op, number: int) -> tuple[int, ...]:
    """Variables that access ``number`` depends on, through its index accesses too."""
    sizes = extents(op)
    access = op.accesses[number]
    used = set(variables(access, sizes))
    if access.indirect is not None and access.indirect[1] != number:
        used |= set(full_variables(op, access.indirect[1]))
    return tuple(sorted(used))


def _terms(op: Op, read: Callable[[int, Op, Scalars], Derived], scalars: Scalars, reach: OpIntervals) -> jax.Array:
    """x * y [claims, one axis per output and domain variable], in int32 where products are proven to fit, else int64."""
    order = range(len(op.shape) + len(op.domain))
    x = read(0, op, scalars).spread(order)
    if op.factors == 1:
        return x
    y = read(1, op, scalars).spread(order)
    small = reach.magnitude < 1 << 31
    dtype = jnp.int32 if small else jnp.int64
    return x.astype(dtype) * y.astype(dtype)


def _without(op: Op, fixed: dict[int, int]) -> Op:
    """The op with some domain variables at a fixed position: their terms are folded into the offsets."""

    def settle(access: Access) -> Access:
        offsets = list(access.offsets)
        for term in access.terms:
            if term.var in fixed:
                offsets[term.dimension] += term.coef * fixed[term.var]
        return replace(
            access, offsets=tuple(offsets), terms=tuple(term for term in access.terms if term.var not in fixed)
        )

    rank = len(op.shape)
    domain = tuple(1 if rank + d in fixed else size for d, size in enumerate(op.domain))
    return replace(op, domain=domain, accesses=tuple(settle(access) for access in op.accesses))


def _positions(op: Op, sizes: Sequence[int]) -> np.ndarray:
    """int64 [1, 1 per output variable, *sizes]: row-major domain positions of the first ``sizes`` coordinates."""
    grid = np.arange(op.domain_elements, dtype=np.int64).reshape(op.domain)
    return grid[tuple(slice(0, n) for n in sizes)].reshape([1] * (1 + len(op.shape)) + list(sizes))


def _fold(op: Op, read: AccessReader, scalars: Scalars, reach: OpIntervals) -> jax.Array:
    rank = len(op.shape)
    read, op = read.padded(op)
    best: jax.Array | None = None
    where = jnp.zeros([], jnp.int32)
    for position in range(op.domain_elements):
        k = np.unravel_index(position, op.domain) if op.domain else ()
        single = _without(op, {rank + d: int(at) for d, at in enumerate(k)})
        term = _terms(single, read, scalars, reach)
        term = term.reshape(term.shape[: 1 + rank])
        if op.monoid is Monoid.SUM:
            term = term.astype(jnp.int32 if reach.magnitude < 1 << 31 else jnp.int64)
        if best is None:
            best, where = term, jnp.zeros(term.shape, jnp.int32)
        elif op.monoid is Monoid.SUM:
            best = best + term
        elif op.monoid in (Monoid.MAX, Monoid.MIN):
            best = jnp.maximum(best, term) if op.monoid is Monoid.MAX else jnp.minimum(best, term)
        else:
            better = term > best if op.monoid is Monoid.ARGMAX else term < best
            best, where = jnp.where(better, term, best), jnp.where(better, jnp.int32(position), where)
    assert best is not None
    return where if op.monoid in ARGUMENTS else best


def _whole(op: Op, read: AccessReader, scalars: Scalars, reach: OpIntervals) -> jax.Array:
    """Reduce an array over the domain variables that the factors depend on."""
    rank = len(op.shape)
    terms = _terms(op, read, scalars, reach)
    reduced = terms.shape[1 + rank :]
    flat = terms.reshape([*terms.shape[: 1 + rank], -1])
    match op.monoid:
        case Monoid.SUM:
            total = halving.total(flat.astype(jnp.int32 if reach.magnitude < 1 << 31 else jnp.int64))
            unused = op.domain_elements // flat.shape[-1]
            return total if unused == 1 else total.astype(jnp.int64) * unused
        case Monoid.MAX | Monoid.MIN:
            return halving.extreme(flat, op.monoid is Monoid.MAX)
    # Domain variables that no factor depends on stay at 0, the lowest position of a tie.
    best = halving.position(flat, op.monoid)
    if reduced == op.domain:
        return best
    full = _positions(op, reduced).reshape(-1)
    return jnp.take(jnp.asarray(full), best, mode="clip")


def _looped(op: Op, read: AccessReader, scalars: Scalars, reach: OpIntervals) -> jax.Array:
    """Loop over the longest domain variable; every round reduces the rest."""
    rank = len(op.shape)
    sizes = extents(op)
    var = max(domain_variables(op), key=lambda v: sizes[v])
    stride = math.prod(op.domain[var - rank + 1 :])
    inner = replace(op, domain=tuple(1 if rank + d == var else size for d, size in enumerate(op.domain)))
    loose = replace(reach, magnitude=max(reach.magnitude, 1 << 31))

    def whole(number: int, _: Op, fixed: Scalars) -> Derived:
        return read(number, op, fixed)

    def round_(at: jax.Array) -> tuple[jax.Array, jax.Array]:
        terms = _terms(inner, whole, {**scalars, var: at}, loose).astype(jnp.int64)
        axes = tuple(range(1 + rank, 1 + rank + len(op.domain)))
        if op.monoid is Monoid.SUM:
            unused = inner.domain_elements // math.prod(terms.shape[axis] for axis in axes)
            return jnp.sum(terms, axis=axes) * unused, jnp.int64(0)
        largest = op.monoid in (Monoid.MAX, Monoid.ARGMAX)
        best = jnp.max(terms, axis=axes) if largest else jnp.min(terms, axis=axes)
        if op.monoid in (Monoid.MAX, Monoid.MIN):
            return best, jnp.int64(0)
        positions = jnp.asarray(_positions(op, terms.shape[1 + rank :])) + at * stride
        equal = terms == jnp.expand_dims(best, axes)
        return best, jnp.min(jnp.where(equal, positions, jnp.int64(op.domain_elements)), axis=axes)

    def join(at: int | jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        best, where = state
        other, place = round_(jnp.asarray(at, jnp.int64))
        match op.monoid:
            case Monoid.SUM:
                return best + other, where
            case Monoid.MAX:
                return jnp.maximum(best, other), where
            case Monoid.MIN:
                return jnp.minimum(best, other), where
        better = other > best if op.monoid is Monoid.ARGMAX else other < best
        better = better | ((other == best) & (place < where))
        return jnp.where(better, other, best), jnp.where(better, place, where)

    state: tuple[jax.Array, jax.Array] = lax.fori_loop(1, sizes[var], join, round_(jnp.int64(0)))
    return state[1] if op.monoid in ARGUMENTS else state[0]


def general(op: Op, read: AccessReader, scalars: Scalars, reach: OpIntervals, claims: int) -> jax.Array:
    """acc [claims or 1, *op.shape or 1 each] of any op without a special kernel."""
    if op.factors == 0:
        return jnp.zeros([1] * (1 + len(op.shape)), jnp.int32)
    if op.monoid is Monoid.NONE:
        terms = _terms(op, read, scalars, reach)
        return terms.reshape(terms.shape[: 1 + len(op.shape)])
    if op.domain_elements <= FOLD_LIMIT or not domain_variables(op):
        return _fold(op, read, scalars, reach)
    if op.factors == 2 and op.domain_elements <= THIN:
        return _fold(op, read, scalars, reach)
    if op.elements * op.domain_elements * claims > BLOCK_ELEMENTS:
        return _looped(op, read, scalars, reach)
    return _whole(op, read, scalars, reach)
