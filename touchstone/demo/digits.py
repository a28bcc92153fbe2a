"""The demo's model: a small convolutional network for the handwritten digits that scikit-learn ships.

``python -m touchstone.demo.digits`` trains it (about a minute on two cores) and writes ``data/digits.npz``, which is shipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

WEIGHTS = "digits.npz"
SPLIT_SEED = 2024
HELD_OUT = 0.25
CALIBRATION = 200
"""Images that choose the formats of its program."""

NHWC = ("NHWC", "HWIO", "NHWC")

Params = dict[str, Any]


@dataclass(frozen=True)
class Digits:
    """Images (n, 8, 8, 1) float32 in [0, 1] with labels (n,), split once and for all."""

    train_images: np.ndarray
    train_labels: np.ndarray
    images: np.ndarray
    labels: np.ndarray


def digits() -> Digits:
    """scikit-learn's 1,797 digits; a quarter of them, stratified, is held out from training and calibration."""
    data = load_digits()
    images = (data.images / 16.0).astype(np.float32)[..., None]
    train, held, train_labels, labels = train_test_split(
        images, data.target, test_size=HELD_OUT, random_state=SPLIT_SEED, stratify=data.target
    )
    return Digits(train, train_labels, held, labels)


def classify(params: Params, image: jax.Array) -> jax.Array:
    """Logits (10,) of one image (8, 8, 1)."""
    x = image[None]
    for layer in ("conv1", "conv2"):
        x = (
            jax.lax.conv_general_dilated(x, params[layer], (1, 1), "SAME", dimension_numbers=NHWC)
            + params[layer + "_bias"]
        )
        x = jax.nn.relu(x)
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = jax.nn.relu(x.reshape(-1) @ params["hidden"] + params["hidden_bias"])
    logits: jax.Array = x @ params["logits"] + params["logits_bias"]
    return logits


def load_params() -> Params:
    """The shipped weights."""
    with (resources.files("touchstone") / "data" / WEIGHTS).open("rb") as file:
        return dict(np.load(file))


def train(seed: int = 0, epochs: int = 60, batch: int = 64) -> tuple[Params, float]:
    """Train by Adam with small random shifts of the images; (weights, accuracy on the held-out digits)."""
    data = digits()
    rng = np.random.default_rng(seed)

    def glorot(*shape: int) -> np.ndarray:
        fan_in = int(np.prod(shape[:-1]))
        weights: np.ndarray = (rng.standard_normal(shape) * np.sqrt(2.0 / fan_in)).astype(np.float32)
        return weights

    params: Params = {
        "conv1": glorot(3, 3, 1, 16),
        "conv1_bias": np.zeros(16, np.float32),
        "conv2": glorot(3, 3, 16, 32),
        "conv2_bias": np.zeros(32, np.float32),
        "hidden": glorot(512, 64),
        "hidden_bias": np.zeros(64, np.float32),
        "logits": glorot(64, 10),
        "logits_bias": np.zeros(10, np.float32),
    }

    def loss(params: Params, images: jax.Array, labels: jax.Array) -> jax.Array:
        logits = jax.vmap(classify, in_axes=(None, 0))(params, images)
        decay = sum(jnp.sum(w**2) for name, w in params.items() if "bias" not in name)
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels]) + 1e-4 * decay

    @jax.jit
    def step(params: Params, first: Params, second: Params, t: jax.Array, images: jax.Array, labels: jax.Array) -> Any:
        gradient = jax.grad(loss)(params, images, labels)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        rate = 2e-3 * 0.5 * (1 + jnp.cos(jnp.pi * t / total))
        update = jax.tree.map(
            lambda m, v: rate * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), first, second
        )
        return jax.tree.map(lambda p, u: p - u, params, update), first, second

    count = len(data.train_labels)
    total = epochs * (count // batch)
    zeros = jax.tree.map(np.zeros_like, params)
    first, second, t = zeros, zeros, 0
    for _ in range(epochs):
        order = rng.permutation(count)
        for at in range(0, count - batch + 1, batch):
            rows = order[at : at + batch]
            shift = rng.integers(-1, 2, 2)
            images = np.roll(data.train_images[rows], shift, (1, 2)) if rng.random() < 0.5 else data.train_images[rows]
            t += 1
            params, first, second = step(params, first, second, jnp.float32(t), images, data.train_labels[rows])
    params = jax.tree.map(np.asarray, params)
    return params, accuracy(params, data)


def accuracy(params: Params, data: Digits) -> float:
    """Share of the held-out digits that the float network classifies correctly."""
    logits = jax.jit(jax.vmap(classify, in_axes=(None, 0)))(params, data.images)
    return float(np.mean(np.asarray(logits).argmax(-1) == data.labels))


def main() -> None:
    params, score = train()
    target = Path(__file__).parent.parent / "data" / WEIGHTS
    np.savez_compressed(target, **params)
    print(f"accuracy on held-out digits {100 * score:.2f} %, weights written to {target.name}")


if __name__ == "__main__":
    main()
