"""The self-test: is every kernel of this program exact on this machine?

Each distinct (kernel, shape, dtype) runs once on extreme and on random operands; sampled elements are compared with an
independent path in NumPy's 64-bit integers and Python's. Operands stay within what the intervals prove, as they do in
any execution.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from prover.executor.kernels.kernel import Kernel
from prover.executor.sharing import differing, joint, signature
from rollup.audit.ranges import Range
from rollup.errors import InexactMachine
from rollup.form.affine import coefficients, extents
from rollup.form.ops import ITERATION, Constant, Monoid, Op
from rollup.form.program import Program
from rollup.machine.reference import Step

Array = np.ndarray
Sources = list[Array]
"""For every access, its source under ``access.shape``."""

SAMPLES = 24
_BOX_LIMIT = 1 << 22
_TOGETHER = 16


class Independent:
    """One op on given sources, element by element: the reduction in NumPy's wrapping int64 arithmetic, the code as the reference
    runs it. No kernel, no interval, no JAX.
    """

    def __init__(self, op: Op, t: int, sources: Sources) -> None:
        self.op, self.t = op, t
        # A source under its access's shape has a stack's iterations in it.
        self.seen = replace(op, accesses=tuple(replace(access, stack=0) for access in op.accesses))
        self.flat = [source.reshape(-1) for source in sources]
        self.sizes = extents(op)
        self.domain = [axis.reshape(-1) for axis in np.indices(op.domain)] if op.domain else []

    def load(self, number: int, i: tuple[int, ...]) -> Array:
        """int64 [domain]: what the access reads at i."""
        access = self.op.accesses[number]
        count = len(self.domain[0]) if self.domain else 1
        position, inside = np.zeros(count, np.int64), np.ones(count, bool)
        for d, (offset, row, size) in enumerate(
            zip(access.offsets, coefficients(access, self.sizes), access.shape, strict=True)
        ):
            at = np.full(count, offset, np.int64)
            for var, coef in row.items():
                if var == ITERATION:
                    at += coef * self.t
                else:
                    at += coef * (i[var] if var < len(i) else self.domain[var - len(i)])
            if access.indirect is not None and access.indirect[0] == d:
                at += self.load(access.indirect[1], i)
            inside &= (at >= 0) & (at < size)
            position = position * size + np.clip(at, 0, size - 1)
        return np.where(inside, self.flat[number][position].astype(np.int64), access.fill)

    def element(self, position: int) -> int:
        """The output element at a row-major position."""
        op = self.op
        i = tuple(int(n) for n in np.unravel_index(position, op.shape)) if op.shape else ()
        terms = np.zeros(len(self.domain[0]) if self.domain else 1, np.int64)
        if op.factors:
            terms = self.load(0, i)
            if op.factors == 2:
                terms = terms * self.load(1, i)
        match op.monoid:
            case Monoid.NONE:
                acc = int(terms[0])
            case Monoid.SUM:
                acc = int(terms.sum(dtype=np.int64))
            case Monoid.MAX | Monoid.MIN:
                acc = int(terms.max() if op.monoid is Monoid.MAX else terms.min())
            case Monoid.ARGMAX | Monoid.ARGMIN:
                acc = int(terms.argmax() if op.monoid is Monoid.ARGMAX else terms.argmin())
        return Step(self.seen, self.t, i, lambda number, _, at: int(self.flat[number][at])).epilogue(acc)


def stored_range(kernel: Kernel, number: int) -> Range:
    """Values that an operand may hold: the proven range, within its dtype (the range counts ``fill``, which operands
    need not hold).
    """
    access = kernel.op.accesses[number]
    reach = kernel.reach.accesses[number]
    return Range(max(reach.low, access.dtype.min), min(reach.high, access.dtype.max))


def patterns(seed: int) -> Iterator[tuple[str, Callable[[Range, tuple[int, ...], int], Array]]]:
    """Named ways to fill an operand: (range, shape, access number) -> int64 array."""
    rng = np.random.default_rng(seed)
    yield "all least", lambda reach, shape, number: np.full(shape, reach.low, np.int64)
    yield "all greatest", lambda reach, shape, number: np.full(shape, reach.high, np.int64)
    yield "opposite", lambda reach, shape, number: np.full(shape, reach[number % 2], np.int64)

    def alternating(reach: Range, shape: tuple[int, ...], number: int) -> Array:
        return np.where(np.arange(np.prod(shape, dtype=np.int64)) % 2 == 0, reach.low, reach.high).reshape(shape)

    yield "alternating", alternating

    def small(reach: Range, shape: tuple[int, ...], number: int) -> Array:
        low, high = max(reach.low, min(-3, reach.high)), min(reach.high, max(3, reach.low))
        return rng.integers(low, high, shape, np.int64, endpoint=True)

    yield "small", small
    yield "random", lambda reach, shape, number: rng.integers(reach.low, reach.high, shape, np.int64, endpoint=True)


def _distinct(kernels: Mapping[int, Kernel]) -> list[list[int]]:
    """Descriptors in groups that share compiled code."""
    groups: dict[Hashable, list[int]] = {}
    for j, kernel in kernels.items():
        groups.setdefault(signature(kernel), []).append(j)
    return list(groups.values())


def check_kernels(
    program: Program, kernels: Mapping[int, Kernel], constants: Mapping[str, jax.Array], seed: int = 0
) -> int:
    """Run the test; returns how many elements were compared. Raises InexactMachine naming the op and the operands' pattern.

    ``kernels``: by the descriptor of ``program`` that each computes (some of) the rows of, with their ``constants``.
    """
    groups = _distinct(kernels)
    step = _TOGETHER
    return sum(_test(program, kernels, constants, groups[n : n + step], seed) for n in range(0, len(groups), step))


def _test(
    program: Program,
    kernels: Mapping[int, Kernel],
    constants: Mapping[str, jax.Array],
    groups: list[list[int]],
    seed: int,
) -> int:
    """Test the first member of some groups in one compilation, at the first and at the last iteration."""
    numbers = [group[0] for group in groups]
    joined = {group[0]: joint([kernels[j] for j in group]) for group in groups}
    arguments = {group[0]: differing([kernels[j] for j in group]) for group in groups}

    def run(
        constants: dict[str, jax.Array],
        immediates: dict[int, dict[int, jax.Array]],
        given: dict[str, jax.Array],
        late: jax.Array,
    ) -> list[jax.Array]:
        outputs = []
        for j in numbers:
            kernel = joined[j]

            def operand(number: int, j: int = j, kernel: Kernel = kernel) -> jax.Array:
                access = kernel.op.accesses[number]
                if isinstance(access.source, Constant):
                    return constants[program.seen_key(access)].reshape([1, *access.shape])
                return given[f"{j}:{number}"][None]

            t = late * (kernel.op.repeat - 1)
            mine = {
                name: constants[f"{j}/{name}"][t] if prepared.iterated else constants[f"{j}/{name}"]
                for name, prepared in kernel.prepared.items()
            }
            outputs.append(kernel(t, operand, mine, 1, immediates[j])[0])
        return outputs

    names = {f"{j}/{name}" for j in numbers for name in kernels[j].prepared} | {
        name for j in numbers for name in kernels[j].raw
    }
    needed = {name: constants[name] for name in names}
    immediates = {j: {r: np.int64(kernels[j].op.code[r - 1].imm) for r in arguments[j]} for j in numbers}
    compiled = jax.jit(run)
    rng = np.random.default_rng(seed)
    compared = 0
    for round_, (pattern, make) in enumerate(patterns(seed)):
        late = round_ % 2
        given = {
            f"{j}:{number}": make(stored_range(kernels[j], number), access.shape, number).astype(access.dtype.numpy)
            for j in numbers
            for number, access in enumerate(kernels[j].op.accesses)
            if not isinstance(access.source, Constant)
        }
        with jax.enable_x64(True):
            outputs = [
                np.asarray(array)
                for array in compiled(
                    needed, immediates, {k: jnp.asarray(a) for k, a in given.items()}, jnp.int64(late)
                )
            ]
        for j, output in zip(numbers, outputs, strict=True):
            compared += _compare(program, kernels[j], j, late, given, output, pattern, rng)
    return compared


def _compare(
    program: Program,
    kernel: Kernel,
    j: int,
    late: int,
    given: dict[str, Array],
    output: Array,
    pattern: str,
    rng: np.random.Generator,
) -> int:
    op = kernel.op
    sources = [
        program.seen(access) if isinstance(access.source, Constant) else given[f"{j}:{number}"]
        for number, access in enumerate(op.accesses)
    ]
    independent = Independent(op, late * (op.repeat - 1), sources)
    count = max(2, min(SAMPLES, _BOX_LIMIT // op.domain_elements))
    positions = {0, op.elements - 1, *(int(n) for n in rng.integers(0, op.elements, count - 2))}
    flat = output.reshape(-1)
    for position in sorted(positions):
        expected = independent.element(position)
        if int(flat[position]) != expected:
            raise InexactMachine(
                f"op {j} ({program.name(j)}) is not exact on this machine: with operands {pattern!r} element "
                f"{position} is {int(flat[position])} and must be {expected} "
                f"(backend {jax.default_backend()}, jax {jax.__version__}); "
                "run on another backend, with default XLA flags and without reduced-precision settings"
            )
    return len(positions)
