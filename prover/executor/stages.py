"""Stages: consecutive ops that are compiled together, equal ones once.

One compilation for everything would let XLA fuse an op into the index arithmetic of the next one's view, which costs
more than it saves where ops are large; a call for every op costs a dispatch each. So a stage ends when it has enough
work to be worth a call of its own: of a whole pass (``schedule``), or of some rows (``rowstages``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from prover.executor.kernels.kernel import Kernel
from prover.executor.segments import Constants, Immediates
from prover.executor.sharing import differing, joint
from rollup.form.ops import Op

Kernels = Mapping[int, Kernel]
"""Kernels by descriptor."""

Shapes = tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]
"""(shape, dtype) of every array that a function is called with."""


def work(op: Op, claims: int) -> int:
    """Terms that an op reduces, over all elements, iterations and claims."""
    return op.elements * op.domain_elements * op.repeat * claims


def constant_names(descriptors: Sequence[int], kernels: Kernels) -> tuple[str, ...]:
    """The constants that kernels read, by name, in an order that equal kernels share."""
    names = [[*(f"{j}/{name}" for name in sorted(kernels[j].prepared)), *kernels[j].raw] for j in descriptors]
    return tuple(dict.fromkeys(name for of_kernel in names for name in of_kernel))


@dataclass(eq=False)
class Stage(ABC):
    """Consecutive ops as one compiled function; what arrays it takes and gives, its kind says.

    ``names``: the constants that it reads; ``body`` is shared by equal stages, ``constants`` and ``immediates`` are its own.
    """

    descriptors: tuple[int, ...]
    names: tuple[str, ...]
    body: Body | None = field(default=None, kw_only=True)
    immediates: jax.Array | None = field(default=None, kw_only=True)
    constants: list[jax.Array] = field(default_factory=list, kw_only=True)

    donated: ClassVar[tuple[int, ...]] = ()
    """Numbers of the arrays whose memory the function may take."""

    @abstractmethod
    def signature(self, kernels: Kernels) -> Hashable:
        """Equal for stages that one function computes, given their own constants, immediates and arrays in order."""

    @abstractmethod
    def trace(self, kernels: Kernels, constants: Constants, immediates: Immediates, *arrays: Any) -> Any:
        """What the ops give, from the arrays."""

    def compute(self, *arrays: Any) -> Any:
        """``trace``, compiled, with this stage's own constants and immediates."""
        assert self.body is not None
        return self.body(self.constants, self.immediates, *arrays)


class CodeStore(Protocol):
    """Where compiled functions are kept, by name."""

    def load(self, name: str) -> Callable[..., Any] | None:
        """None if it is not there."""
        ...

    def compile(self, name: str, lowered: jax.stages.Lowered) -> Callable[..., Any]:
        """Compile a function and keep it, if that can be, in place of what is there."""
        ...


@dataclass(eq=False)
class Body:
    """What equal stages share: one compiled function, traced from the first of them.

    ``kernels`` by descriptor of that first stage, joined with those of the others; ``differing``: (descriptor, register) of the
    immediates that are arguments. ``code``: where it is kept when it is compiled, under a name that begins with ``name``.
    """

    stage: Stage
    kernels: Kernels
    differing: tuple[tuple[int, int], ...]
    code: CodeStore | None = field(default=None, kw_only=True)
    name: str = field(default="", kw_only=True)
    known: dict[Shapes, Callable[..., Any]] = field(default_factory=dict, kw_only=True)
    """By the shapes of their arguments, functions that are or were kept."""

    def __call__(self, *arguments: Any) -> Any:
        """What the stage computes, from constants, immediates and arrays."""
        if self.code is None:
            return self.compiled(*arguments)
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(arguments))
        if shapes not in self.known:
            return self._first(self.code, shapes, arguments)
        return self.known[shapes](*arguments)

    def _first(self, code: CodeStore, shapes: Shapes, arguments: Sequence[Any]) -> Any:
        """The first call with arguments of these shapes."""
        # A dtype's own words depend on whether its array is mapped; its name does not.
        name = f"{self.name} {tuple((shape, dtype.name) for shape, dtype in shapes)}"
        if (loaded := code.load(name)) is not None:
            # Whether it was kept as a whole shows when it runs; what can't run is compiled again.
            # Arrays that it may take are copied before: the compiled one needs them if it can't.
            taken = {2 + number for number in self.stage.donated}
            given = [jax.tree.map(jnp.copy, one) if at in taken else one for at, one in enumerate(arguments)]
            with suppress(jax.errors.JaxRuntimeError):
                result = jax.block_until_ready(loaded(*given))  # type: ignore[no-untyped-call]
                self.known[shapes] = loaded
                return result
        self.known[shapes] = code.compile(name, self.compiled.lower(*arguments))
        return self.known[shapes](*arguments)

    @cached_property
    def compiled(self) -> Any:
        return jax.jit(self._trace, donate_argnums=tuple(2 + number for number in self.stage.donated))

    def _trace(self, constants: Sequence[jax.Array], immediates: jax.Array, *arrays: Any) -> Any:
        given: dict[int, dict[int, jax.Array]] = {}
        for at, (j, register) in enumerate(self.differing):
            given.setdefault(j, {})[register] = immediates[at]
        named = dict(zip(self.stage.names, constants, strict=True))
        return self.stage.trace(self.kernels, named, given, *arrays)


def share(stages: Sequence[Stage], kernels: Kernels, constants: Constants) -> None:
    """Give stages their constants, and equal ones one body."""
    groups: dict[Hashable, list[Stage]] = {}
    for stage in stages:
        groups.setdefault(stage.signature(kernels), []).append(stage)
    for members in groups.values():
        first = members[0]
        columns = {j: [kernels[m.descriptors[at]] for m in members] for at, j in enumerate(first.descriptors)}
        arguments = [(at, r) for at, j in enumerate(first.descriptors) for r in differing(columns[j])]
        joined = {j: joint(column) for j, column in columns.items()}
        body = Body(first, joined, tuple((first.descriptors[at], r) for at, r in arguments))
        for stage in members:
            codes = [kernels[j].op.code for j in stage.descriptors]
            stage.body = body
            numbers = np.array([codes[at][r - 1].imm for at, r in arguments], np.int64)
            with jax.enable_x64(True):
                stage.immediates = jax.device_put(numbers)
            stage.constants = [constants[name] for name in stage.names]
