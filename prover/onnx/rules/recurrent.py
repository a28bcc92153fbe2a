"""Recurrent layers, as scans over time: LSTM, GRU, RNN; both directions, both layouts, sequences of several lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.onnx.node import OnnxNode, is_static, rule

Activation = Callable[[Any], Any]

ACTIVATIONS: dict[str, tuple[int, tuple[float, float], Callable[[Any, float, float], Any]]] = {
    "Relu": (0, (0, 0), lambda x, a, b: jnp.maximum(x, 0)),
    "Tanh": (0, (0, 0), lambda x, a, b: jnp.tanh(x)),
    "Sigmoid": (0, (0, 0), lambda x, a, b: jax.nn.sigmoid(x)),
    "Softsign": (0, (0, 0), lambda x, a, b: x / (1 + jnp.abs(x))),
    "Softplus": (0, (0, 0), lambda x, a, b: jax.nn.softplus(x)),
    "LeakyRelu": (1, (0.01, 0), lambda x, a, b: jnp.where(x >= 0, x, a * x)),
    "ThresholdedRelu": (1, (1.0, 0), lambda x, a, b: jnp.where(x > a, x, 0)),
    "Elu": (1, (1.0, 0), lambda x, a, b: jnp.where(x > 0, x, a * jnp.expm1(jnp.minimum(x, 0)))),
    "Affine": (2, (1.0, 0.0), lambda x, a, b: a * x + b),
    "ScaledTanh": (2, (1.0, 1.0), lambda x, a, b: a * jnp.tanh(b * x)),
    "HardSigmoid": (2, (0.2, 0.5), lambda x, a, b: jnp.clip(a * x + b, 0, 1)),
}
"""Name -> how many parameters it takes, their defaults, and the function."""


def _activations(node: OnnxNode, defaults: Sequence[str], directions: int) -> list[list[Activation]]:
    """Per direction, with alpha and beta taken in order by the activations that have them."""
    names = node.step.attributes.get("activations") or tuple(defaults) * directions
    if len(names) != len(defaults) * directions:
        raise node.error(f"{len(names)} activations are given where {len(defaults) * directions} are expected")
    alphas, betas = iter(node.attribute("activation_alpha") or ()), iter(node.attribute("activation_beta") or ())
    known = {name.lower(): entry for name, entry in ACTIVATIONS.items()}
    found = []
    for name in names:
        entry = known.get(name.lower())
        if entry is None:
            raise node.error(f"the activation {name!r} does not exist")
        found.append(_with(entry, alphas, betas))
    step = len(defaults)
    return [found[j * step : (j + 1) * step] for j in range(directions)]


def _with(entry: Any, alphas: Iterator[float], betas: Iterator[float]) -> Activation:
    count, (alpha, beta), fn = entry
    a = next(alphas, alpha) if count > 0 else alpha
    b = next(betas, beta) if count > 1 else beta
    return lambda x: fn(x, a, b)


Cell = Callable[[Any, tuple[Any, ...]], tuple[Any, ...]]
"""(projected input of one step, carries) -> carries; the first is the output."""


def _run(node: OnnxNode, count: int, defaults: Sequence[str], gates: int, make: Callable[..., Cell]) -> Any:
    """``count``: carries; ``make(node, direction, activations)`` gives the cell and prepares its input projection."""
    x = node[0]
    batch_first = bool(node.attribute("layout", 0))
    if x.ndim != 3:
        raise node.error(f"an input of shape {list(x.shape)} is no (time, batch, features)")
    x = x.swapaxes(0, 1) if batch_first else x
    direction = node.attribute("direction")
    if direction not in ("forward", "reverse", "bidirectional"):
        raise node.error(f"the direction {direction!r} does not exist")
    directions = 2 if direction == "bidirectional" else 1
    time, batch, features = x.shape
    hidden = int(node.attribute("hidden_size") or node.shape(2)[-1])
    if node.shape(1) != (directions, gates * hidden, features) or node.shape(2) != (directions, gates * hidden, hidden):
        raise node.error(f"weights of shapes {list(node.shape(1))}, {list(node.shape(2))} do not fit {list(x.shape)}")
    if node.has(3) and node.shape(3) != (directions, 2 * gates * hidden):
        raise node.error(f"a bias of shape {list(node.shape(3))} does not fit {gates} gates of {hidden}")
    node.sized((time, batch, directions, gates * hidden))
    lengths = _lengths(node, time, batch)
    activations = _activations(node, defaults, directions)
    outputs, states = [], []
    for d in range(directions):
        backwards = direction == "reverse" or d == 1
        init = tuple(_initial(node, 5 + j, d, (batch, hidden), x.dtype, batch_first) for j in range(count))
        y, final = _scanned(node, x, d, backwards, init, lengths, make(node, d, activations[d]), gates, hidden)
        outputs.append(y)
        states.append(final)
    y = jnp.stack(outputs, axis=1)
    ends = [jnp.stack([state[j] for state in states]) for j in range(count)]
    if batch_first:
        return y.transpose(2, 0, 1, 3), *(end.swapaxes(0, 1) for end in ends)
    return y, *ends


def _lengths(node: OnnxNode, time: int, batch: int) -> Any:
    """Sequence lengths, None if all are the whole time."""
    if not node.has(4):
        return None
    if node.shape(4) != (batch,):
        raise node.error(f"sequence lengths of shape {list(node.shape(4))} do not fit a batch of {batch}")
    lengths = node.operands[4]
    if is_static(lengths) and (lengths == time).all():  # type: ignore[union-attr]
        return None
    return node[4].astype(np.int32)


def _initial(node: OnnxNode, index: int, d: int, shape: tuple[int, ...], dtype: Any, batch_first: bool) -> Any:
    if not node.has(index):
        return jnp.zeros(shape, dtype)
    state = node[index]
    state = state[:, d] if batch_first else state[d]
    if state.shape != shape:
        raise node.error(f"an initial state of shape {list(node.shape(index))} does not fit {list(shape)}")
    return state


def _reversed(x: Any, lengths: Any) -> Any:
    """Each sequence backwards within its own length."""
    if lengths is None:
        return jnp.flip(x, 0)
    place = np.arange(x.shape[0], dtype=np.int32)[:, None]
    source = jnp.where(place < lengths, lengths - 1 - place, place)
    return jnp.take_along_axis(x, source[..., None], axis=0)


def _scanned(
    node: OnnxNode, x: Any, d: int, backwards: bool, init: Any, lengths: Any, cell: Cell, gates: int, hidden: int
) -> tuple[Any, Any]:
    """The products with the inputs are one product before the scan; the scan has the recurrent ones."""
    source = _reversed(x, lengths) if backwards and lengths is not None else x
    projected = jnp.einsum("tbi,gi->tbg", source, node[1][d])
    if node.has(3):
        projected = projected + node[3][d][: gates * hidden]
    time = x.shape[0]
    flip = backwards and lengths is None

    def step(carry: Any, inputs: Any) -> Any:
        own, t = inputs
        new = cell(own, carry)
        if lengths is None:
            return new, new[0]
        active = (t < lengths)[:, None]
        kept = tuple(jnp.where(active, a, b) for a, b in zip(new, carry, strict=True))
        return kept, jnp.where(active, new[0], jnp.zeros((), x.dtype))

    init = tuple(jnp.asarray(state) for state in init)
    if time == 1:
        final, y = step(init, (projected[0], np.int32(0)))
        return y[None], final
    places = np.arange(time, dtype=np.int32)
    if lengths is None:
        final, y = lax.scan(lambda carry, own: step(carry, (own, None)), init, projected, reverse=flip)
    else:
        final, y = lax.scan(step, init, (projected, places))
    return (_reversed(y, lengths) if backwards and lengths is not None else y), final


def _clipped(node: OnnxNode) -> Activation:
    clip = node.attribute("clip")
    return (lambda x: x) if clip is None else (lambda x: jnp.clip(x, -clip, clip))


def _recurrent(node: OnnxNode, d: int, gates: int) -> tuple[Any, Any]:
    """The recurrent weights, and their bias or None."""
    bias = node[3][d][node.shape(3)[1] // 2 :] if node.has(3) else None
    return node[2][d].T, bias


@rule("LSTM")
def _lstm(node: OnnxNode) -> Any:
    """Gates input, output, forget, cell; peepholes are input 7."""
    if node.attribute("input_forget"):
        raise node.unsupported("coupled input and forget gates are out of scope")

    def make(node: OnnxNode, d: int, activations: list[Activation]) -> Cell:
        weights, bias = _recurrent(node, d, 4)
        f, g, h = activations
        clip = _clipped(node)
        peep = jnp.split(node[7][d], 3) if node.has(7) else None

        def cell(own: Any, carry: tuple[Any, ...]) -> tuple[Any, ...]:
            before, state = carry
            total = own + jnp.matmul(before, weights)
            total = total if bias is None else total + bias
            i, o, forget, c = jnp.split(total, 4, axis=-1)
            if peep is not None:
                i, forget = i + peep[0] * state, forget + peep[2] * state
            state = f(clip(forget)) * state + f(clip(i)) * g(clip(c))
            if peep is not None:
                o = o + peep[1] * state
            return f(clip(o)) * h(state), state

        return cell

    return _run(node, 2, ("Sigmoid", "Tanh", "Tanh"), 4, make)


@rule("GRU")
def _gru(node: OnnxNode) -> Any:
    """Gates update, reset, hidden; linear_before_reset applies the reset gate after the product."""

    def make(node: OnnxNode, d: int, activations: list[Activation]) -> Cell:
        weights, bias = _recurrent(node, d, 3)
        f, g = activations
        clip = _clipped(node)
        hidden = weights.shape[0]
        late = bool(node.attribute("linear_before_reset"))

        def cell(own: Any, carry: tuple[Any, ...]) -> tuple[Any, ...]:
            (before,) = carry
            both = own[..., : 2 * hidden] + jnp.matmul(before, weights[:, : 2 * hidden])
            both = both if bias is None else both + bias[: 2 * hidden]
            z, r = (f(clip(part)) for part in jnp.split(both, 2, axis=-1))
            inner = jnp.matmul(before if late else r * before, weights[:, 2 * hidden :])
            inner = inner if bias is None else inner + bias[2 * hidden :]
            new = g(clip(own[..., 2 * hidden :] + (r * inner if late else inner)))
            return ((1 - z) * new + z * before,)

        return cell

    return _run(node, 1, ("Sigmoid", "Tanh"), 3, make)


@rule("RNN")
def _rnn(node: OnnxNode) -> Any:
    def make(node: OnnxNode, d: int, activations: list[Activation]) -> Cell:
        weights, bias = _recurrent(node, d, 1)
        clip = _clipped(node)

        def cell(own: Any, carry: tuple[Any, ...]) -> tuple[Any, ...]:
            total = own + jnp.matmul(carry[0], weights)
            return (activations[0](clip(total if bias is None else total + bias)),)

        return cell

    return _run(node, 1, ("Tanh",), 1, make)
