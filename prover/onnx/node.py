"""What a rule sees of a node, and the one table of rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.onnx.ir import OnnxStep
from prover.onnx.parse import schema_of
from prover.onnx.tensors import Array
from rollup.errors import LoweringError, UnsupportedError

if TYPE_CHECKING:
    from prover.onnx.graph import Walk

Value = Any
"""A numpy array (static: known while tracing) or a JAX array."""

Rule = Callable[["OnnxNode"], Any]

MOST_ELEMENTS = 1 << 28
"""Of one value; a file of a few bytes can ask for any size."""

MOST_FOLDED = 1 << 27
"""Elements of a value that is made while tracing."""

LONGEST = 400
"""Characters of a sentence about a node: what a file says is quoted in it."""

RULES: dict[tuple[str, str], list[tuple[int, Rule]]] = {}
"""(domain, op) -> rules, each with the first opset of its domain for which it holds, newest first."""


def rule(*names: str, since: int = 1, domain: str = "") -> Callable[[Rule], Rule]:
    """Register a function as the meaning of ops from opset ``since`` on."""

    def register(fn: Rule) -> Rule:
        for name in names:
            rules = RULES.setdefault((domain, name), [])
            assert all(other != since for other, _ in rules), name
            rules.append((since, fn))
            rules.sort(key=lambda entry: -entry[0])
        return fn

    return register


def rule_of(domain: str, op: str, opset: int) -> Rule | None:
    return next((fn for since, fn in RULES.get((domain, op), ()) if since <= opset), None)


class NeedsConstant(UnsupportedError):
    """A shape, axis or condition depends on inputs: ``inputs`` are the names that must be fixed, see ``OnnxModel.fixed``."""

    def __init__(self, sentence: str, inputs: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.inputs = inputs


def is_static(value: Value) -> bool:
    return isinstance(value, np.ndarray)


def canonical(dtype: Any) -> np.dtype[Any]:
    """The dtype under the caller's JAX settings: 64 bits become 32 unless x64 is enabled."""
    return np.dtype(jax.dtypes.canonicalize_dtype(dtype))


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """A step with its operands. ``static``: all of them are numpy arrays, and so should the results be."""

    step: OnnxStep
    operands: tuple[Value | None, ...]
    static: bool
    walk: Walk

    @property
    def xp(self) -> Any:
        """numpy where everything is static, else jax.numpy."""
        return np if self.static else jnp

    def __len__(self) -> int:
        return len(self.operands)

    def has(self, index: int) -> bool:
        return index < len(self.operands) and self.operands[index] is not None

    def __getitem__(self, index: int) -> Any:
        """Operand ``index`` to compute with: a static one in the dtype that JAX computes in."""
        if not self.has(index):
            raise self.error(f"input {index} is missing")
        return self.computed(self.operands[index])

    def computed(self, value: Value) -> Any:
        if self.static or not is_static(value):
            return value
        dtype = canonical(value.dtype)
        if dtype == value.dtype:
            return value
        if dtype.kind in "iu" and value.size:
            info = np.iinfo(dtype)
            if int(value.min()) < info.min or int(value.max()) > info.max:
                raise self.error(
                    f"a constant of {value.dtype} reaches {int(np.abs(value.astype(object)).max())}, beyond the {dtype} that JAX "
                    "computes in; enable 64-bit JAX (jax.enable_x64) to keep it"
                )
        return value.astype(dtype)

    def get(self, index: int) -> Any:
        return self[index] if self.has(index) else None

    @property
    def all(self) -> list[Any]:
        """All operands, in order."""
        return [self[index] for index in range(len(self.operands))]

    def shape(self, index: int = 0) -> tuple[int, ...]:
        if not self.has(index):
            raise self.error(f"input {index} is missing")
        return tuple(np.shape(self.operands[index]))  # type: ignore[arg-type]

    def constant(self, index: int) -> Array:
        """Operand ``index``, which must be known while tracing. Raises NeedsConstant."""
        if not self.has(index):
            raise self.error(f"input {index} is missing")
        value = self.operands[index]
        if isinstance(value, np.ndarray):
            return value
        raise self.walk.needs_constant(self.step, self.step.inputs[index])

    def integers(self, index: int) -> tuple[int, ...]:
        """Operand ``index`` as static integers: a shape, axes, pads."""
        value = self.constant(index)
        if value.dtype.kind not in "iu" or value.ndim > 1:
            raise self.error(f"input {index} must be a list of integers, not {value.dtype}{list(value.shape)}")
        return tuple(int(v) for v in np.ravel(value))

    def integer(self, index: int) -> int:
        """Operand ``index`` as one static integer."""
        values = self.integers(index)
        if len(values) != 1:
            raise self.error(f"input {index} must be one integer, not {len(values)}")
        return values[0]

    def attribute(self, name: str, default: Any = None) -> Any:
        """The attribute's value, else the standard's default at this opset, else ``default``."""
        if name in self.step.attributes:
            return self.step.attributes[name]
        schema = schema_of(self.step.op, self.step.opset, self.step.domain)
        declared = None if schema is None else schema.attributes.get(name)
        if declared is None or not declared.default_value.name:
            return default
        value = declared.default_value
        return {1: value.f, 2: value.i, 3: value.s.decode(), 6: tuple(value.floats), 7: tuple(value.ints)}[value.type]

    def wants(self, output: int) -> bool:
        return output < len(self.step.outputs) and bool(self.step.outputs[output])

    def error(self, sentence: str) -> LoweringError:
        return LoweringError(f"{self.step}: {sentence[:LONGEST]}")

    def unsupported(self, sentence: str) -> UnsupportedError:
        return UnsupportedError(f"{self.step}: {sentence[:LONGEST]}")

    def axis(self, axis: int, rank: int) -> int:
        """A non-negative axis."""
        if not -rank <= axis < rank:
            raise self.error(f"axis {axis} does not exist in a tensor of rank {rank}")
        return axis % rank

    def axes(self, axes: Sequence[int], rank: int) -> tuple[int, ...]:
        found = tuple(self.axis(axis, rank) for axis in axes)
        if len(set(found)) != len(found):
            raise self.error(f"the axes {list(axes)} name one twice")
        return found

    def sized(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape, if a value may have it."""
        sizes = tuple(int(d) for d in shape)
        most = MOST_FOLDED if self.static else MOST_ELEMENTS
        if any(d < 0 for d in sizes) or math.prod(sizes) > most or len(sizes) > 32:
            raise self.error(f"a value of shape {list(sizes)[:33]} is refused; at most {most} elements, 32 dimensions")
        return sizes
