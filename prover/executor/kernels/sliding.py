"""Cumulative and sliding sums as differences of running sums."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.executor.kernels.gather import Derived, Scalars
from prover.executor.kernels.reduce import FOLD_LIMIT, AccessReader, domain_variables
from rollup.form.affine import coefficients, extents
from rollup.form.ops import ITERATION, Monoid, Op, Term


@dataclass(frozen=True)
class Sliding:
    """``sum over k of x[.. offset + coef_i * i +- k ..]`` with zeros outside: a difference of running sums along
    ``dimension``.
    """

    dimension: int
    outer: int
    inner: int


def plan_sliding(op: Op) -> Sliding | None:
    """How to compute a long one-factor sum by running sums; None if it does not slide along one dimension."""
    domain = domain_variables(op)
    if op.monoid is not Monoid.SUM or op.factors != 1 or len(domain) != 1 or op.domain_elements <= FOLD_LIMIT:
        return None
    access, sizes = op.accesses[0], extents(op)
    if access.indirect is not None or access.fill != 0:
        return None
    table = coefficients(access, sizes)
    (inner,) = domain
    places = [d for d, row in enumerate(table) if inner in row]
    if len(places) != 1:
        return None
    row = table[places[0]]
    outer = [var for var in row if var != inner]
    if abs(row[inner]) != 1 or len(outer) != 1 or outer[0] == ITERATION:
        return None
    if any(outer[0] in other for d, other in enumerate(table) if d != places[0]):
        return None
    if abs(row[outer[0]]) >= op.domain_elements:
        # Windows that share nothing are summed one by one.
        return None
    return Sliding(places[0], outer[0], inner)


def sliding_sum(plan: Sliding, op: Op, read: AccessReader, scalars: Scalars) -> jax.Array:
    """acc [claims, *op.shape or 1 each], int64."""
    access, sizes = op.accesses[0], extents(op)
    row = coefficients(access, sizes)[plan.dimension]
    size, count = access.shape[plan.dimension], sizes[plan.inner]
    # The dimension is read whole by a domain variable of its own size; the outer variable picks among the running sums.
    terms = tuple(term for term in access.terms if term.dimension != plan.dimension and term.var != plan.inner)
    rank = len(op.shape)
    whole = replace(
        access,
        offsets=tuple(0 if d == plan.dimension else o for d, o in enumerate(access.offsets)),
        terms=(*terms, Term(plan.dimension, plan.inner, 1)),
    )
    domain = tuple(size if rank + d == plan.inner else n for d, n in enumerate(op.domain))
    found = read(0, replace(op, domain=domain, accesses=(whole, *op.accesses[1:])), scalars)
    if plan.inner not in found.used:
        found = Derived((*found.used, plan.inner), found.array[..., None])
    axis = found.used.index(plan.inner) + 1
    running = jnp.cumsum(found.array.astype(jnp.int64), axis=axis)
    running = jnp.concatenate([jnp.zeros_like(lax.slice_in_dim(running, 0, 1, axis=axis)), running], axis=axis)
    start = access.offsets[plan.dimension] + row[plan.outer] * np.arange(sizes[plan.outer])
    low, high = (start - count + 1, start + 1) if row[plan.inner] < 0 else (start, start + count)
    total = jnp.take(running, np.clip(high, 0, size), axis=axis) - jnp.take(running, np.clip(low, 0, size), axis=axis)
    used = [plan.outer if var == plan.inner else var for var in found.used]
    wanted = sorted(used)
    return Derived(tuple(wanted), jnp.transpose(total, [0, *(used.index(var) + 1 for var in wanted)])).spread(
        range(rank)
    )
