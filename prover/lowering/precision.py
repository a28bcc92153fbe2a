"""Where a program loses precision: each of its values beside the array of the float graph that it stands for, from input to output.

Lowering notes in a program's metadata which array that is (``stands``: its number in the simplified graph, and the order of its
dimensions in memory). Nothing depends on the note; where it is missing or does not fit the graph, it is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from prover.executor import Executor
from prover.lowering import keys
from prover.lowering.capture import capture
from prover.lowering.graph import FloatGraph, Var, bind, scan
from prover.lowering.passes.simplify import simplified
from rollup.errors import LoweringError
from rollup.form.affine import producers, reads
from rollup.form.ops import Constant
from rollup.form.program import Program
from rollup.numbers import reached

Array = np.ndarray

GROWTH = 4.0
"""Precision is lost in a value whose error exceeds this many times the largest of what it is computed from,"""

BOUND = 1e-3
"""and this share of its range, as root mean square."""


@dataclass(frozen=True)
class Compared:
    """A value of a program and the float array that it stands for, over all samples (and iterations).

    ``value``: trace index (of the first iteration); ``name``: primitive and source line; ``low``, ``high``: ends of the float array;
    ``rms``, ``largest``: root mean square and largest difference over the distance of these ends (over the magnitude where they are
    one number); all None where no float array is known. ``saturated``: of ``elements``, those at an end of the format that nobody
    meant; ``scale``: None for integers; ``lost``: whether precision is lost in it.
    """

    value: int
    name: str
    dtype: str
    scale: int | None
    low: float | None
    high: float | None
    rms: float | None
    largest: float | None
    saturated: int
    elements: int
    lost: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"value {self.value} {self.name}"


@dataclass
class _Sums:
    """Over samples: of what one float array and its integers are, and differ."""

    low: float = math.inf
    high: float = -math.inf
    squares: float = 0.0
    largest: float = 0.0
    count: int = 0

    def add(self, real: Array, own: Array) -> None:
        finite = np.isfinite(real)
        real, own = real[finite].astype(np.float64), own[finite]
        if not real.size:
            return
        difference = real - own
        self.low, self.high = min(self.low, float(real.min())), max(self.high, float(real.max()))
        self.squares += float(np.dot(difference, difference))
        self.largest = max(self.largest, float(np.abs(difference).max()))
        self.count += real.size

    @property
    def spread(self) -> float:
        return (self.high - self.low) or abs(self.high) or 1.0

    @property
    def rms(self) -> float:
        return math.sqrt(self.squares / self.count) / self.spread


@dataclass(frozen=True)
class _Pair:
    """The float array that a descriptor's values stand for, and the order of its dimensions in memory."""

    var: Var
    order: tuple[int, ...]

    def arranged(self, value: Array) -> Array:
        """A value's elements [n], or [iterations, n], as the float array's, flat."""
        shape = tuple(self.var.shape[d] for d in self.order)
        back = [self.order.index(d) for d in range(len(shape))]
        lead = value.shape[: value.ndim - 1]
        moved = value.reshape((*lead, *shape)).transpose((*range(len(lead)), *(len(lead) + d for d in back)))
        return moved.reshape(-1)


def pairs(program: Program, graph: FloatGraph) -> list[_Pair | None]:
    """By descriptor what its values stand for; raises LoweringError if the metadata say nothing that fits the graph."""
    given, every = program.meta.get("stands"), graph.variables()
    if not isinstance(given, list) or len(given) != len(program.ops):
        raise LoweringError(
            "the program's metadata do not say which float arrays its values stand for; lower it again with this version"
        )
    found: list[_Pair | None] = []
    for op, entry in zip(program.ops, given, strict=True):
        if entry is None:
            found.append(None)
            continue
        plain = isinstance(entry, list) and entry and all(type(x) is int for x in entry)
        var = every[entry[0]][0] if plain and 0 <= entry[0] < len(every) else None
        order = tuple(entry[1:] or range(len(var.shape))) if var is not None else ()
        if var is None or sorted(order) != list(range(len(var.shape))) or math.prod(var.shape) != op.elements:
            raise LoweringError(
                "the program's values do not stand for arrays of this function; compare it with the one that it was lowered from, "
                "or lower it again"
            )
        found.append(_Pair(var, order))
    return found


def compared(
    program: Program,
    executor: Executor,
    fn: Callable[..., Any],
    samples: Sequence[tuple[tuple[Any, ...], Sequence[Array]]],
) -> list[Compared]:
    """Every input and op of the program in order, beside what ``fn`` computes in floats.

    ``executor``: of the program; ``samples``: pairs of inputs as ``fn`` takes them, and as the program's integers. Holds all values of
    one sample that stand for something. Raises LoweringError if the function is not the one that the program was lowered from.
    """
    captured, _, _ = capture(fn, samples[0][0])
    graph = simplified(captured)
    stands = pairs(program, graph)
    wanted: dict[Var, list[int]] = {}
    for j, pair in enumerate(stands):
        if pair is not None:
            wanted.setdefault(pair.var, []).append(j)
    inputs = len(program.header.inputs)
    sums = [_Sums() for _ in range(inputs + len(program.ops))]
    saturated = [0] * len(sums)
    limits = [
        *(
            (t.dtype.min, t.dtype.max) if port.real else (None, None)
            for t, port in zip(program.header.inputs, program.interface.inputs, strict=True)
        ),
        *executor.ends.limits,
    ]
    for floats, integers in samples:
        leaves = [np.asarray(keys.data(leaf)) for leaf in jax.tree.leaves(floats)]
        held: dict[int, list[Array]] = {}
        places = [*range(inputs), *(inputs + j for _, j, _ in program.op_values())]
        for place, array in zip(places, executor.stream(integers), strict=True):
            saturated[place] += reached(array, limits[place])
            if place < inputs:
                scale = program.header.inputs[place].scale
                sums[place].add(leaves[place].reshape(-1), array.reshape(-1) * 2.0**-scale)
            elif stands[place - inputs] is not None:
                held.setdefault(place - inputs, []).append(array.reshape(-1))
        for var, real in computed(graph, leaves, set(wanted)):
            for j in wanted[var]:
                pair, rows = stands[j], held.pop(j)
                assert pair is not None
                if real.size == len(rows) * program.ops[j].elements:
                    own = pair.arranged(rows[0] if len(rows) == 1 else np.stack(rows))
                    sums[inputs + j].add(real.reshape(-1), own * 2.0 ** -_scale(program, j))
    return list(_judged(program, sums, saturated, len(samples)))


def _scale(program: Program, descriptor: int) -> int:
    return int(program.meta["scales"][descriptor])


def computed(graph: FloatGraph, inputs: Sequence[Array], wanted: set[Var]) -> Iterator[tuple[Var, Array]]:
    """The arrays that are ``wanted``, as JAX computes them one primitive after the other; those of a loop's body with the iterations in
    front, in the order of execution.
    """
    env: dict[Var, Any] = dict(zip(graph.inputs, inputs, strict=True))
    last = {x: number for number, node in enumerate(graph.nodes) for x in node.inputs if isinstance(x, Var)}
    for number, node in enumerate(graph.nodes):
        arguments = [env[x] if isinstance(x, Var) else x for x in node.inputs]
        inside: dict[Var, Any] = {}
        if node.body is None:
            outputs = bind(node, arguments)
        else:
            outputs, inside = _looped(node, arguments, wanted)
        for var, x in zip(node.outputs, outputs, strict=True):
            env[var] = x
            if var in wanted:
                yield var, np.asarray(x)
        for var, x in inside.items():
            yield var, np.asarray(x)[::-1] if node.params.get("reverse") else np.asarray(x)
        for gone in {x for x in node.inputs if isinstance(x, Var) and last[x] == number}:
            del env[gone]


def _looped(node: Any, arguments: Sequence[Any], wanted: set[Var]) -> tuple[list[Any], dict[Var, Any]]:
    """A loop's results, and what is wanted of its body over all iterations."""
    found: list[Var] = []

    def run(body: FloatGraph, given: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        env: dict[Var, Any] = dict(zip(body.inputs, given, strict=True))
        seen: dict[Var, Any] = {}
        for inner in body.nodes:
            operands = [env[x] if isinstance(x, Var) else x for x in inner.inputs]
            env.update(zip(inner.outputs, bind(inner, operands), strict=True))
        seen = {var: x for var, x in env.items() if var in wanted}
        found[:] = list(seen)
        return [env[x] if isinstance(x, Var) else x for x in body.outputs], list(seen.values())

    outputs, stacked = scan(node, arguments, run)
    return outputs, dict(zip(found, stacked, strict=True))


def _judged(program: Program, sums: Sequence[_Sums], saturated: Sequence[int], samples: int) -> Iterator[Compared]:
    """Precision is lost where an error grows; a value without a float array passes on what it is computed from."""
    inputs = len(program.header.inputs)
    errors: list[float] = []
    for place, found in enumerate(sums):
        known = found.count > 0
        before = 0.0
        if place < inputs:
            tensor, port = program.header.inputs[place], program.interface.inputs[place]
            name, dtype, scale = f"input {port.name}", tensor.dtype, tensor.scale if port.real else None
            value, elements, repeat = place, tensor.elements, 1
        else:
            j = place - inputs
            op = program.ops[j]
            before = max((errors[at] for at in _sources(program, j)), default=0.0)
            name, dtype, scale = program.name(j), op.dtype, _scale(program, j)
            value, elements, repeat = op.first, op.elements, op.repeat
        errors.append(found.rms if known else before)
        lost = known and found.rms > max(BOUND, GROWTH * before)
        yield Compared(
            value,
            name,
            dtype.name.lower(),
            scale,
            found.low if known else None,
            found.high if known else None,
            found.rms if known else None,
            found.largest / found.spread if known else None,
            saturated[place],
            elements * repeat * samples,
            lost,
        )


def _sources(program: Program, j: int) -> list[int]:
    """Inputs (by number) and earlier ops (behind them) whose values an op reads."""
    inputs, op = len(program.header.inputs), program.ops[j]
    found: set[int] = set()
    for access in op.accesses:
        if not isinstance(access.source, Constant):
            who = producers(program, reads(op, access).reshape(-1))
            found.update(-1 - one if one < 0 else inputs + one for one in who)
    return sorted(at for at in found if at < inputs + j)
