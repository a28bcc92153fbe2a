"""An example model: a small network that classifies wines into three cultivars by 13 measurements.

The data are scikit-learn's; training takes about a second, when this file is imported.

    touchstone model build examples.wine:network --samples examples.wine:samples -o wine
"""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_wine

DATA = load_wine()
MEAN, SPREAD = DATA.data.mean(0), DATA.data.std(0)
X = ((DATA.data - MEAN) / SPREAD).astype(np.float32)
Y = DATA.target


def forward(params, x):
    hidden = jnp.tanh(x @ params["hidden"] + params["hidden_bias"])
    return jax.nn.softmax(hidden @ params["last"] + params["last_bias"])


def train(steps=200, rate=0.5, seed=0):
    rng = np.random.default_rng(seed)
    params = {
        "hidden": (rng.normal(size=(13, 16)) / 4).astype(np.float32),
        "hidden_bias": np.zeros(16, np.float32),
        "last": (rng.normal(size=(16, 3)) / 4).astype(np.float32),
        "last_bias": np.zeros(3, np.float32),
    }

    @jax.jit
    def step(params):
        def loss(params):
            chances = jax.vmap(forward, in_axes=(None, 0))(params, X)
            return -jnp.mean(jnp.log(chances[jnp.arange(len(Y)), Y] + 1e-6))

        return jax.tree.map(lambda p, g: p - rate * g, params, jax.grad(loss)(params))

    for _ in range(steps):
        params = step(params)
    return jax.tree.map(np.asarray, params)


PARAMS = train()


def network(x):
    """Probabilities (3,) of the three cultivars, from the standardised measurements (13,) of one wine."""
    return forward(PARAMS, x)


def samples():
    """The inputs that choose the number formats: one array per input, the samples along the first axis."""
    return X
