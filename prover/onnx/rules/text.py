"""Counting n-grams of numbers; of strings it is out of scope."""

from __future__ import annotations

import itertools
from typing import Any

import jax.numpy as jnp
import numpy as np

from prover.onnx.node import OnnxNode, rule
from prover.onnx.tensors import Array

MOST_WORK = 1 << 26
"""Comparisons of an n-gram with a place, all together."""


@rule("TfIdfVectorizer")
def _tf_idf(node: OnnxNode) -> Any:
    """How often each n-gram of the pool occurs in a row, its elements up to ``max_skip_count`` others apart."""
    if node.attribute("pool_strings"):
        raise node.unsupported("it counts strings, and a program computes with numbers; map words to integers before")
    x = jnp.asarray(node[0])
    if x.dtype.kind not in "iu" or x.ndim not in (1, 2):
        raise node.error(f"an input of {x.dtype}{list(x.shape)}; rows of integers are expected")
    rows = x.reshape(-1, x.shape[-1])
    indexes = np.asarray(node.attribute("ngram_indexes"), np.int64)
    low, high = int(node.attribute("min_gram_length")), int(node.attribute("max_gram_length"))
    skips, mode = int(node.attribute("max_skip_count")), node.attribute("mode")
    if mode not in ("TF", "IDF", "TFIDF") or not 0 < low <= high or skips < 0:
        raise node.error(f"n-grams from {low} to {high} with {skips} skips in mode {mode!r} do not exist")
    grams = _grams(node)
    weights = np.asarray(node.attribute("weights") or np.ones(len(grams)), np.float32)
    if len(indexes) != len(grams) or len(weights) != len(grams) or (indexes.size and indexes.min() < 0):
        raise node.error(f"it has {len(grams)} n-grams, {len(indexes)} indexes and {len(weights)} weights")
    size = int(indexes.max(initial=-1)) + 1
    node.sized((len(rows), max(size, 1)))
    columns: list[Any] = [jnp.zeros(len(rows), jnp.float32)] * size
    work = 0
    for gram, index, weight in zip(grams, indexes, weights, strict=True):
        if not low <= len(gram) <= high:
            continue
        count: Any = 0
        for step in range(1, (skips if len(gram) > 1 else 0) + 2):
            places = rows.shape[1] - (len(gram) - 1) * step
            if places < 1:
                break
            work += places * len(gram) * len(rows)
            if work > MOST_WORK:
                raise node.error("counting these n-grams is too much work")
            same = [rows[:, k * step : k * step + places] == np.asarray(v, x.dtype) for k, v in enumerate(gram)]
            count = count + jnp.sum(jnp.all(jnp.stack(same), axis=0).astype(jnp.int32), axis=1)
        found = jnp.broadcast_to(jnp.asarray(count), (len(rows),))
        value = found.astype(jnp.float32) if mode != "IDF" else (found > 0).astype(jnp.float32)
        columns[int(index)] = value if mode == "TF" else value * weight
    return jnp.stack(columns, axis=1).reshape((*x.shape[:-1], size))


def _grams(node: OnnxNode) -> list[Array]:
    """The n-grams of the pool: lengths 1, 2, ... begin at ``ngram_counts``."""
    pool, starts = np.asarray(node.attribute("pool_int64s") or (), np.int64), node.attribute("ngram_counts")
    bounds = [*starts, len(pool)]
    grams: list[Array] = []
    for length, (a, b) in enumerate(itertools.pairwise(bounds), start=1):
        if not 0 <= a <= b <= len(pool) or (b - a) % length:
            raise node.error(f"ngram_counts {list(starts)[:20]} do not fit a pool of {len(pool)}")
        grams.extend(pool[a:b].reshape(-1, length))
    return grams
