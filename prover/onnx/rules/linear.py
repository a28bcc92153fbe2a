"""Products: matrices, Einstein sums, determinants."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from prover.onnx.node import OnnxNode, rule


@rule("MatMul")
def _matmul(node: OnnxNode) -> Any:
    x, y = node[0], node[1]
    _checked_product(node, x.shape, y.shape)
    return node.xp.matmul(x, y)


def _checked_product(node: OnnxNode, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    inner = right[-2] if len(right) > 1 else right[0] if right else None
    if not left or inner != left[-1]:
        raise node.error(f"matrices of shapes {list(left)} and {list(right)} have no product")
    node.sized((*np.broadcast_shapes(left[:-2], right[:-2]), *left[-2:-1], *right[-1:]))


@rule("Gemm")
def _gemm(node: OnnxNode) -> Any:
    x, y = node[0], node[1]
    if x.ndim != 2 or y.ndim != 2:
        raise node.error(f"operands of shapes {list(x.shape)} and {list(y.shape)} are no matrices")
    x = x.T if node.attribute("transA") else x
    y = y.T if node.attribute("transB") else y
    _checked_product(node, x.shape, y.shape)
    alpha, beta = node.attribute("alpha"), node.attribute("beta")
    out = node.xp.matmul(x, y)
    if alpha != 1:
        out = (out * np.asarray(alpha, np.float32).astype(out.dtype)).astype(out.dtype)
    if node.has(2) and beta != 0:
        bias = node[2]
        out = out + (bias if beta == 1 else bias * np.asarray(beta).astype(bias.dtype))
    return out


@rule("Einsum")
def _einsum(node: OnnxNode) -> Any:
    return jnp.einsum(node.attribute("equation").replace(" ", ""), *node.all, optimize="greedy")


@rule("Det")
def _det(node: OnnxNode) -> Any:
    x = node[0]
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise node.error(f"a tensor of shape {list(x.shape)} holds no square matrices")
    return jnp.linalg.det(jnp.asarray(x))
