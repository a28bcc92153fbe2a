"""A language model's sizes and constants from its metadata. A key that might change the function and isn't known is refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from prover.gguf.architecture import ARCHITECTURES, Architecture
from prover.gguf.fields import Fields
from prover.gguf.reader import GgufFile, Value
from rollup.errors import LoweringError

DIVISORS = "rope_freqs.weight"
"""Divisors of the rotation's frequencies, which some long-context models carry."""
SHORT, LONG = "rope_factors_short.weight", "rope_factors_long.weight"
"""Divisors for texts within the context of the first training, and for longer ones."""


@dataclass(frozen=True)
class Rotation:
    """How queries and keys carry their position.

    ``rotated``: elements of a head that turn; ``theta``: base of the wave lengths; ``stretch``: linear scaling, positions are
    divided by it; ``stretches`` [rotated / 2]: divisors of the single frequencies, or none; ``magnitude``: what every turned element
    is multiplied with.
    """

    rotated: int
    theta: float
    stretch: float = 1.0
    stretches: tuple[float, ...] = ()
    magnitude: float = 1.0


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes and constants of a decoder.

    ``width``: of the residual stream; ``hidden``: of the MLP; ``heads`` query heads share ``kv_heads`` key/value heads of ``head``
    elements; ``scale``: what a product of query and key is multiplied with; ``rotation``, and ``local_rotation`` in layers with a
    window, unless positions are learned; ``window``: the latest positions that such a layer sees, its own among them, or 0;
    ``context``: the longest sequence that the model was trained on, in tokens; ``longest``: the longest for which the function is
    defined here, or 0 without such a limit; ``tied``: the embedding is the output projection, too.
    """

    architecture: Architecture
    layers: int
    width: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    scale: float
    rotation: Rotation | None
    local_rotation: Rotation | None
    window: int
    epsilon: float
    context: int
    longest: int
    vocabulary: int
    tied: bool

    @property
    def group(self) -> int:
        """Query heads per key/value head."""
        return self.heads // self.kv_heads

    def windowed(self, layer: int) -> bool:
        """Whether a layer (from 0) sees the latest positions only."""
        return self.window > 0 and self.architecture.windowed(layer)

    def check_length(self, length: int) -> None:
        """Raises LoweringError for a sequence that is longer than the function is defined for."""
        if self.longest and length > self.longest:
            reason = (
                "it has learned no position beyond"
                if self.rotation is None
                else f"longer ones need {LONG!r}, which is not supported"
            )
            raise LoweringError(f"the model takes {self.longest} positions, not {length}: {reason}; use a shorter text")


def read_config(file: GgufFile) -> TransformerConfig:
    """The configuration in a file's metadata; raises LoweringError for what is missing, senseless or not supported."""
    name = Fields(file.path, file.metadata).text("general.architecture")
    architecture = ARCHITECTURES.get(name)
    if architecture is None:
        raise LoweringError(
            f"{file.path}: the architecture {name!r} is not supported; give a model of one of {', '.join(ARCHITECTURES)}"
        )
    keys = _Keys(file, architecture)
    config = _read(file, keys)
    keys.refuse_others()
    return config


def _read(file: GgufFile, keys: _Keys) -> TransformerConfig:
    architecture = keys.architecture
    width = keys.integer("embedding_length", 1, 1 << 20)
    heads = keys.integer("attention.head_count", 1, 1 << 12)
    kv_heads = keys.integer("attention.head_count_kv", 1, 1 << 12, default=heads)
    head = keys.integer("attention.key_length", 1, 1 << 14, default=max(width // heads, 1))
    if keys.integer("attention.value_length", 1, 1 << 14, default=head) != head:
        raise LoweringError(f"{file.path}: values and keys have heads of different sizes, which is not supported")
    if heads % kv_heads:
        raise LoweringError(
            f"{file.path}: {heads} heads can't share {kv_heads} key/value heads evenly; fetch the file again"
        )
    layers = keys.integer("block_count", 1, 1 << 12)
    context = keys.integer("context_length", 1, 1 << 31)
    window = keys.integer("attention.sliding_window", 0, 1 << 31) if architecture.windows != "none" else 0
    rotation = local = None
    longest = 0
    if architecture.positions == "learned":
        longest = context
    else:
        rotation, longest = _rotation(file, keys, head, context)
        local = _local_rotation(keys, rotation)
    tokens = file.metadata.get("tokenizer.ggml.tokens")
    return TransformerConfig(
        architecture=architecture,
        layers=layers,
        width=width,
        hidden=keys.integer("feed_forward_length", 1, 1 << 22),
        heads=heads,
        kv_heads=kv_heads,
        head=head,
        scale=_scale(architecture, layers, width, heads, head),
        rotation=rotation,
        local_rotation=local,
        window=window,
        epsilon=keys.number(
            "attention.layer_norm_rms_epsilon" if architecture.norm == "rms" else "attention.layer_norm_epsilon",
            1e-12,
            1.0,
        ),
        context=context,
        longest=longest,
        vocabulary=keys.integer(
            "vocab_size", 1, 1 << 24, default=len(tokens) if isinstance(tokens, list) and tokens else None
        ),
        tied="output.weight" not in file.tensors,
    )


def _scale(architecture: Architecture, layers: int, width: int, heads: int, head: int) -> float:
    # Gemma 3 of 27B alone divides by the root of width / heads; no key says so, readers of the format know it by its 62 layers.
    size = width // heads if architecture.name == "gemma3" and layers == 62 else head
    return float(size**-0.5)


def _rotation(file: GgufFile, keys: _Keys, head: int, context: int) -> tuple[Rotation, int]:
    """The rotation of layers that see everything, and the longest sequence that it is known for (0: any)."""
    rotated = keys.integer("rope.dimension_count", 2, 1 << 14, default=head)
    if head % 2 or rotated % 2 or rotated > head:
        raise LoweringError(
            f"{file.path}: {rotated} rotated of {head} elements of a head are no even number within the head; fetch the file again"
        )
    theta = keys.number("rope.freq_base", 1.0, 1e12, default=10_000.0)
    if keys.architecture.long_rope:
        return _long_rotation(file, keys, rotated, theta, context)
    divisors = _divisors(file, DIVISORS, rotated) if keys.architecture.frequency_divisors else ()
    return Rotation(rotated, theta, _stretch(keys), divisors), 0


def _long_rotation(file: GgufFile, keys: _Keys, rotated: int, theta: float, context: int) -> tuple[Rotation, int]:
    """Two sets of divisors: those for texts within the context of the first training are used, and none longer are taken."""
    short, long = _divisors(file, SHORT, rotated), _divisors(file, LONG, rotated)
    if bool(short) != bool(long):
        raise LoweringError(f"{file.path}: one of the tensors {SHORT!r} and {LONG!r} is missing; fetch the file again")
    magnitude = keys.number("rope.scaling.attn_factor", 1e-3, 1e3, default=1.0)
    stretch = _stretch(keys, "longrope") if short else _stretch(keys)
    original = keys.integer("rope.scaling.original_context_length", 1, 1 << 31, default=context)
    return Rotation(rotated, theta, stretch, short, magnitude), original if short else 0


def _local_rotation(keys: _Keys, rotation: Rotation) -> Rotation:
    base = keys.architecture.local_base
    if base is None:
        return rotation
    return Rotation(rotation.rotated, keys.number("rope.freq_base_swa", 1.0, 1e12, default=base))


def _stretch(keys: _Keys, *others: str) -> float:
    """Linear position scaling; other kinds are refused by name, but for ``others``, which are scaled elsewhere."""
    kind = keys.text("rope.scaling.type", default="linear")
    if kind not in ("none", "linear", *others):
        raise LoweringError(
            f"{keys.path}: position scaling {kind!r} ({keys.full('rope.scaling.type')!r}) is not supported; give a model with none, "
            "or linear"
        )
    if kind in others:
        return 1.0
    plain = keys.number("rope.scale_linear", 1e-3, 1e6, default=1.0)
    factor = keys.number("rope.scaling.factor", 1e-3, 1e6, default=plain)
    return 1.0 if kind == "none" else factor


def _divisors(file: GgufFile, name: str, rotated: int) -> tuple[float, ...]:
    entry = file.tensors.get(name)
    if entry is None:
        return ()
    if entry.shape != (rotated // 2,):
        raise LoweringError(
            f"{file.path}: tensor {name!r} has the shape {entry.shape}, not {(rotated // 2,)}; fetch the file again"
        )
    values = file.read(name)
    if not np.all(values > 0):
        raise LoweringError(f"{file.path}: tensor {name!r} has an element that is not positive; fetch the file again")
    return tuple(values.tolist())


_NEUTRAL: dict[str, tuple[Value, ...]] = {
    "attention.causal": (True,),
    "attention.scale": (0.0,),
    "attention.sliding_window": (0,),
    "attn_logit_softcapping": (0.0,),
    "embedding_scale": (0.0, 1.0),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "final_logit_softcapping": (0.0,),
    "logit_scale": (0.0, 1.0),
    "residual_scale": (0.0, 1.0),
    "rope.dimension_count": (0,),
    "rope.scaling.attn_factor": (1.0,),
    "tensor_data_layout": ("Meta AI original pth",),
    "use_parallel_residual": (False,),
}
"""Keys that change a model unless they have one of these values."""
_SILENT = {"pooling_type", "rope.scaling.finetuned", "rope.scaling.original_context_length"}
"""Keys that don't change the logits."""


class _Keys:
    """Metadata under the architecture's prefix, and which of its keys were asked for."""

    def __init__(self, file: GgufFile, architecture: Architecture) -> None:
        self.path = file.path
        self.architecture = architecture
        self._metadata = file.metadata
        self._fields = Fields(file.path, file.metadata)
        self._known: set[str] = set()

    def full(self, key: str) -> str:
        """A key as it stands in the file."""
        return f"{self.architecture.name}.{key}"

    def _noted(self, key: str) -> str:
        self._known.add(self.full(key))
        return self.full(key)

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        return self._fields.integer(self._noted(key), low, high, default)

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        return self._fields.number(self._noted(key), low, high, default)

    def text(self, key: str, default: str | None = None) -> str:
        return self._fields.text(self._noted(key), default)

    def refuse_others(self) -> None:
        """Raises LoweringError for a key of this architecture that nothing reads and that isn't known to change nothing."""
        prefix = self.full("")
        neutral = dict(_NEUTRAL)
        if self.architecture.windows == "five of six":
            neutral["attention.sliding_window_pattern"] = (6,)
        for key in sorted(self._metadata):
            bare = key.removeprefix(prefix)
            if bare == key or key in self._known or bare in _SILENT:
                continue
            value: Any = self._metadata[key]
            if any(type(value) in (type(each), int) and value == each for each in neutral.get(bare, ())):
                continue
            shown = repr(value) if isinstance(value, bool | int | float | str) else "a list"
            raise LoweringError(
                f"{self.path}: metadata key {key!r} ({shown[:60]}) is not supported, and may change what the model computes; give a "
                "model without it"
            )
