"""How a token is drawn, in integers: by a program, which checks a whole answer, and by a generator, token by token.

A token *outranks* another if it weighs more, or as much and has a lower number. Top-k keeps the k tokens that fewest outrank; top-p
keeps, of these, the fewest that hold at least that share of their mass. Of what is kept, in the order of the numbers, the token is drawn
within whose part of the mass a uniform number falls. To find the last token that is kept is work for whoever generates; a program is told
it (``cuts``), and sees with one mask over the vocabulary that it is right. What weights and masses are is said once, for NumPy and JAX.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.language.sampling import COOLEST, HOTTEST, Sampling
from rollup.receipt import MILLION

Array = np.ndarray[Any, np.dtype[Any]]

STEP_BITS = 16
"""Logits are compared in steps of 2^-16."""

FAR = 1 << 22
"""So many steps below the greatest logit a token weighs nothing at any temperature."""

WEIGHT_BITS = 32
"""The most likely tokens weigh 2^32 - 1; what weighs less than half of a unit beside them is never drawn."""

HALF = 1 << (WEIGHT_BITS - 1)
"""Programs store weights less this, so that they fit 32 bits with a sign."""

HALVING_BITS, LEAD_BITS, HALVINGS = 30, 11, 34
"""Fraction bits of halvings, those of them that choose an entry of the table of powers, and how many halvings leave nothing."""

REST_BITS = HALVING_BITS - LEAD_BITS

POWERS = np.rint(2.0 ** (WEIGHT_BITS - np.arange(HALVINGS << LEAD_BITS) / (1 << LEAD_BITS))).astype(np.int64)
"""2^32, halved by steps of 2^-11."""

LN_2 = round(math.log(2) * (1 << HALVING_BITS))

BLOCK = 256
"""Tokens whose weights are summed before the block is found that a number falls into."""


def weights_of(xp: Any, logits: Any, greatest: Any, heat: Any) -> Any:
    """exp((logit - greatest) / temperature) in units of 2^-32, int64, like ``logits``; the greatest weigh one less, 2^32 - 1.

    ``heat``: the temperature in millionths, int64; of 0, the coolest's. Nothing else weighs as much as the greatest. Errors are at most
    a unit and 2^-28 of the weight.
    """
    heat = xp.clip(heat, COOLEST, HOTTEST)
    rate = round(math.log2(math.e) * MILLION * 2**HALVING_BITS) // heat

    def halvings() -> Any:
        # Written out where it is used: what a program reads twice, it stores.
        below = xp.ceil((greatest - logits) * 2.0**STEP_BITS).astype(xp.int32)
        steps = xp.clip(below, 0, FAR).astype(xp.int64)
        return xp.minimum((steps * rate) >> STEP_BITS, (HALVINGS << HALVING_BITS) - 1)

    power = xp.take(xp.asarray(POWERS), halvings() >> REST_BITS, mode="clip")
    # 2^-r = 1 - z + z^2 / 2 = ((1 - z)^2 + 1) / 2 for the rest r < 2^-11 and z = r ln 2; the next term is less than 2^-36.
    z = ((halvings() & ((1 << REST_BITS) - 1)) * LN_2) >> HALVING_BITS
    factor = (xp.square((1 << HALVING_BITS) - z) + (1 << 2 * HALVING_BITS)) >> (HALVING_BITS + 1)
    rounded = xp.clip(power, 0, 1 << WEIGHT_BITS) * factor + (1 << (HALVING_BITS - 1))
    return xp.minimum(rounded >> HALVING_BITS, (1 << WEIGHT_BITS) - 1)


def mass_share(xp: Any, mass: Any, share: Any) -> Any:
    """The least integer that is no less than ``share`` millionths of a mass; the product itself would pass 64 bits."""
    whole = mass // MILLION
    rest = xp.clip(mass - whole * MILLION, 0, MILLION - 1)
    return whole * share + (rest * share + (MILLION - 1)) // MILLION


def place_in(total: Any, number: Any) -> Any:
    """floor(number * total / 2^32), in parts: the product itself would pass 64 bits."""
    low = (number * (total & ((1 << 24) - 1))) >> 24
    return (number * (total >> 24) + low) >> 8


def numbers(seed: Any, count: int) -> Any:
    """A uniform number of 32 bits for every position, uint32 [count]: the first word of ``jax.random.fold_in(seed, position)``.

    ``seed``: uint32 [2], the data of a threefry key.
    """
    key = jax.random.wrap_key_data(seed, impl="threefry2x32")
    folded = jax.vmap(lambda position: jax.random.fold_in(key, position))(np.arange(count, dtype=np.uint32))
    return jax.random.key_data(folded)[:, 0]


_numbers = jax.jit(numbers, static_argnums=1)


def drawn(logits: Any, seed: Any, temperature: Any, top_p: Any, top_k: Any, cuts: Any) -> tuple[Any, Any]:
    """(the token that is drawn after every position, int32 [N]; whether its cuts are right, bool [N]), traced by JAX for a program.

    ``logits``: real [N, V]; ``seed``: uint32 [2]; ``temperature``, ``top_p``, ``top_k``: int32, see ``in_range``; ``cuts``: int32 [2, N],
    the last token that top-k keeps and the last one that top-p keeps, read only where these keep less than all.
    """
    vocabulary = logits.shape[-1]
    with jax.enable_x64(True):
        best = lax.argmax(logits, 1, jnp.int32)
        whole = weights_of(jnp, logits, jnp.max(logits, axis=-1, keepdims=True), temperature.astype(jnp.int64))
        weights = (whole - HALF).astype(jnp.int32)
        few, part = (top_k > 0) & (top_k < vocabulary), top_p < MILLION
        left = _up_to(weights, cuts[0], few)
        kept = _up_to(weights, jnp.where(part, cuts[1], cuts[0]), few | part)
        count, mass = jnp.sum(left, axis=-1, dtype=jnp.int32), _mass(left, weights)
        total, token = _picked(kept, weights, numbers(seed, len(best)).astype(jnp.int64))
        share = mass_share(jnp, mass, jnp.clip(top_p, 1, MILLION).astype(jnp.int64))
        lightest = _at(weights, cuts[1]).astype(jnp.int64) + HALF
        fewest = (total >= share) & (total - lightest < share)
        right = (~few | (count == top_k)) & (~part | fewest)
        greedy = temperature == 0
        return jnp.where(greedy, best, token), greedy | right


def in_range(temperature: Any, top_p: Any, top_k: Any, vocabulary: int) -> Any:
    """Whether a program's parameters are such as ``Sampling`` takes."""
    cool = (temperature == 0) | ((temperature >= COOLEST) & (temperature <= HOTTEST))
    return cool & (top_p >= 1) & (top_p <= MILLION) & (top_k >= 0) & (top_k <= vocabulary)


def _at(values: Any, places: Any) -> Any:
    """One value of every position."""
    return jnp.take_along_axis(values, places[:, None], axis=-1, mode="clip")[:, 0]


def _up_to(weights: Any, last: Any, cut: Any) -> Any:
    """bool [N, V]: ``last`` int32 [N] and the tokens that outrank it; all where nothing is ``cut``."""
    lightest = _at(weights, last)[:, None]
    token = np.arange(weights.shape[-1], dtype=np.int32)
    return (weights > lightest) | ((weights == lightest) & (token <= last[:, None])) | ~cut


def _mass(kept: Any, weights: Any) -> Any:
    """int64: what the tokens that are kept weigh together."""
    most = math.prod(weights.shape[1:]) << WEIGHT_BITS
    stored = jnp.sum(kept.astype(jnp.int64) * weights.astype(jnp.int64), axis=-1)
    return jnp.clip(stored + jnp.sum(kept, axis=-1, dtype=jnp.int64) * HALF, 0, most)


def _picked(kept: Any, weights: Any, number: Any) -> tuple[Any, Any]:
    """(the mass of what is kept, int64 [N]; the token int32 [N] within whose part of it ``number`` / 2^32 falls).

    First the block of tokens is found, and then the token in it: sums up to every token would be as many numbers as weights.
    """
    n, vocabulary = weights.shape
    blocks = -(-vocabulary // BLOCK)
    shape, padding = (n, blocks, BLOCK), ((0, 0), (0, blocks * BLOCK - vocabulary))
    kept, weights = (jnp.pad(x, padding).reshape(shape) for x in (kept, weights))
    ends = jnp.clip(jnp.cumsum(_mass(kept, weights), axis=-1), 0, vocabulary << WEIGHT_BITS)
    total = ends[:, -1]
    place = place_in(total, number)
    block = jnp.sum(ends <= place[:, None], axis=-1, dtype=jnp.int32)
    before = jnp.where(block > 0, _at(ends, block - 1), 0)
    inside = [jnp.take_along_axis(x, block[:, None, None], axis=1, mode="clip")[:, 0] for x in (kept, weights)]
    within = jnp.cumsum(inside[0].astype(jnp.int64) * (inside[1].astype(jnp.int64) + HALF), axis=-1)
    return total, block * BLOCK + jnp.sum(within <= (place - before)[:, None], axis=-1, dtype=jnp.int32)


class DrawnToken(int):
    """A token that a ``Drawer`` drew: an int that knows the last tokens that top-k and top-p kept, 0 where they keep all."""

    cuts: tuple[int, int]

    def __new__(cls, token: int, cuts: tuple[int, int] = (0, 0)) -> DrawnToken:
        made = super().__new__(cls, token)
        made.cuts = cuts
        return made


class Drawer:
    """Draws the tokens of one answer from rows of logits, as ``drawn`` checks them."""

    def __init__(self, sampling: Sampling, positions: int, vocabulary: int) -> None:
        """``positions``: those of the program. Raises ExecutionError for a top-k beyond the vocabulary."""
        sampling.check(vocabulary)
        self.sampling = sampling
        self._numbers = [] if sampling.heat == 0 else np.asarray(numbers(sampling.words, positions)).tolist()

    def draw(self, logits: Array, position: int) -> DrawnToken:
        """The token after a position. ``logits``: float64 [V], exactly those of the program."""
        if self.sampling.heat == 0:
            return DrawnToken(int(logits.argmax()))
        weights = weights_of(np, logits, logits.max(), np.int64(self.sampling.heat))
        kept, cuts = self._kept(weights)
        ends = np.cumsum(weights[kept])
        place = self._numbers[position] * int(ends[-1]) >> 32
        return DrawnToken(int(kept[np.searchsorted(ends, place, side="right")]), cuts)

    def _kept(self, weights: Array) -> tuple[Array, tuple[int, int]]:
        """(the tokens that are kept, in the order of their numbers; the last ones)."""
        count, share = self.sampling.top_k, self.sampling.share
        kept, last = np.arange(len(weights)), [0, 0]
        if 0 < count < len(weights):
            kept = _ranked(weights, np.partition(weights, -count)[-count])[:count]
            last[0] = int(kept[-1])
        if share < MILLION:
            wanted = int(mass_share(np, weights[kept].sum(), share))
            if len(kept) == len(weights):
                kept = _heaviest(weights, wanted)
            kept = kept[: int(np.searchsorted(np.cumsum(weights[kept]), wanted)) + 1]
            last[1] = int(kept[-1])
        return np.sort(kept), (last[0], last[1])


def _ranked(weights: Array, lightest: int) -> Array:
    """The tokens that weigh at least so much, each outranking the next."""
    found = np.flatnonzero(weights >= lightest)
    return found[np.argsort(-weights[found], kind="stable")]


def _heaviest(weights: Array, mass: int) -> Array:
    """The first tokens of the ranking, at least as many as hold a mass: sorting all of them would take longest."""
    for halvings in range(4, WEIGHT_BITS, 4):
        lightest = 1 << (WEIGHT_BITS - halvings)
        if int(weights[weights >= lightest].sum()) >= mass:
            return _ranked(weights, lightest)
    return _ranked(weights, 1)
