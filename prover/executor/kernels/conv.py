"""Sums of products over windows as convolutions, on backends whose convolutions are plain sums of products.

A float convolution is exact under the same bound as a matrix product (every partial sum is an exact integer), unless
the backend transforms it; the self-test finds out. Elsewhere the windows are stacked and multiplied as matrices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from prover.executor.kernels.dot import DotPlan
from prover.executor.kernels.gather import Derived
from rollup.form.affine import coefficients, extents
from rollup.form.ops import Access, Constant, Op

_BACKENDS = frozenset({"cpu"})
_MOST_SPATIAL = 2


@dataclass(frozen=True)
class ConvPlan:
    """Roles of the dimensions of the windowed factor ``image`` (0 or 1); the other factor is a constant.

    ``spatial``: (dimension, output variable, domain variable); ``rows``: dimensions with one output variable or none;
    ``features``: dimensions with one domain variable.
    """

    image: int
    spatial: tuple[tuple[int, int, int], ...]
    rows: tuple[tuple[int, int | None], ...]
    features: tuple[tuple[int, int], ...]


def plan_conv(op: Op, plan: DotPlan | None) -> ConvPlan | None:
    """How to compute a matrix product over windows as one convolution; None if it is none or this backend should
    not.
    """
    if plan is None or plan.batch or plan.limbs != (1, 1) or jax.default_backend() not in _BACKENDS:
        return None
    sizes = extents(op)
    for image in (0, 1):
        access, kernel = op.accesses[image], op.accesses[1 - image]
        outer = plan.free_y if image else plan.free_x
        if not isinstance(kernel.source, Constant) or isinstance(access.source, Constant):
            continue
        if kernel.indirect is not None or access.indirect is not None:
            continue
        found = _roles(image, access, sizes, outer, plan.contract)
        if found is not None:
            return found
    return None


def _roles(
    image: int, access: Access, sizes: Mapping[int, int], outer: Sequence[int], contract: Sequence[int]
) -> ConvPlan | None:
    spatial, rows, features = [], [], []
    for d, (row, offset) in enumerate(zip(coefficients(access, sizes), access.offsets, strict=True)):
        free = [var for var in row if var in outer]
        inner = [var for var in row if var in contract]
        if len(free) + len(inner) != len(row) or min(row.values(), default=1) < 1:
            return None
        whole = (
            offset == 0
            and all(coef == 1 for coef in row.values())
            and access.shape[d] == math.prod(sizes[var] for var in row)
        )
        if len(free) == len(inner) == 1:
            spatial.append((d, free[0], inner[0]))
        elif len(row) <= 1 and whole:
            if inner:
                features.append((d, inner[0]))
            else:
                rows.append((d, free[0] if free else None))
        else:
            return None
    placed = (
        [var for _, i, k in spatial for var in (i, k)]
        + [var for _, var in rows if var is not None]
        + [var for _, var in features]
    )
    if not 1 <= len(spatial) <= _MOST_SPATIAL or sorted(placed) != sorted((*outer, *contract)):
        return None
    return ConvPlan(image, tuple(spatial), tuple(rows), tuple(features))


def convolve(plan: ConvPlan, dot: DotPlan, op: Op, image: jax.Array, matrix: jax.Array) -> Derived:
    """Float sums over the output variables of both factors.

    ``image`` [claims, *access.shape]: the integer operand; ``matrix``: the other factor as ``reduce.matrix`` gives it,
    in floats.
    """
    sizes, access = extents(op), op.accesses[plan.image]
    table = coefficients(access, sizes)
    channels = math.prod(sizes[var] for _, var in plan.features)
    order = [d for d, _ in plan.rows] + [d for d, _, _ in plan.spatial] + [d for d, _ in plan.features]
    claims = image.shape[0]
    lead = math.prod(access.shape[d] for d, _ in plan.rows)
    extents_in = [access.shape[d] for d, _, _ in plan.spatial]
    image = jnp.transpose(image, [0, *(d + 1 for d in order)]).reshape(claims * lead, *extents_in, channels)
    padding, strides, dilations, window = [], [], [], []
    for d, i, k in plan.spatial:
        low = -access.offsets[d]
        reach = (sizes[i] - 1) * table[d][i] + (sizes[k] - 1) * table[d][k] + 1
        padding.append((low, reach - access.shape[d] - low))
        strides.append(table[d][i])
        dilations.append(table[d][k])
        window.append(sizes[k])
    image = image.astype(dot.dtype)
    if access.fill:
        around = [(max(low, 0), max(high, 0), 0) for low, high in padding]
        image = lax.pad(image, jnp.asarray(access.fill, dot.dtype), [(0, 0, 0), *around, (0, 0, 0)])
        padding = [(min(low, 0), min(high, 0)) for low, high in padding]
    free = dot.free_x if plan.image else dot.free_y
    columns = math.prod(sizes[var] for var in free)
    walk = [k for _, _, k in plan.spatial] + [var for _, var in plan.features]
    if plan.image:
        matrix = jnp.swapaxes(matrix, -1, -2)
    weights = matrix.reshape([*(sizes[var] for var in dot.contract), columns])
    weights = jnp.transpose(weights, [*(dot.contract.index(var) for var in walk), len(dot.contract)])
    weights = weights.reshape(*window, channels, columns)
    if len(window) == 1:
        image, weights = image[:, None], weights[None]
        padding, strides, dilations = [(0, 0), *padding], [1, *strides], [1, *dilations]
    result = lax.conv_general_dilated(
        image,
        weights,
        strides,
        padding,
        rhs_dilation=dilations,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=lax.Precision.HIGHEST,
    )
    used = [var for _, var in plan.rows if var is not None] + [i for _, i, _ in plan.spatial] + list(free)
    result = result.reshape([claims, *(sizes[var] for var in used)])
    wanted = sorted(used)
    return Derived(tuple(wanted), jnp.transpose(result, [0, *(used.index(var) + 1 for var in wanted)]))
