"""A program's segments as JAX functions from the values before them to their own.

A segment that repeats is one ``lax.scan``: its body is compiled once. Where an access gets its value from decides how
it enters the body: from before the segment (the same in every iteration, or one slice an iteration), from the iteration
itself, from the iteration before (the scan's carry), or, for any other pattern, from buffers that hold what the segment
computed so far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.executor.kernels.kernel import Kernel
from rollup.form.affine import reads
from rollup.form.ops import Access, Constant
from rollup.form.program import Program, Segment

Constants = Mapping[str, jax.Array]
"""Prepared constants by ``descriptor/name`` and raw ones by hexadecimal root."""


@dataclass
class Values:
    """The values known so far, each [claims, *shape]; a segment's outputs are kept stacked [iteration, claims,
    *shape].
    """

    claims: int
    single: dict[int, jax.Array] = field(default_factory=dict)
    stacked: list[tuple[int, int, jax.Array]] = field(default_factory=list)

    def get(self, value: int) -> jax.Array:
        if value in self.single:
            return self.single[value]
        for first, body, array in self.stacked:
            t, rest = divmod(value - first, body)
            if rest == 0 and 0 <= t < array.shape[0]:
                return array[t]
        raise AssertionError(f"value {value} is not computed yet")

    def many(self, values: np.ndarray) -> jax.Array:
        """int64 [n] value indices -> [n, claims, elements]."""
        for first, body, array in self.stacked:
            t = (values - first) // body
            if np.all((values - first) % body == 0) and np.all((t >= 0) & (t < array.shape[0])):
                flat = array.reshape([*array.shape[:2], -1])
                return flat if np.array_equal(t, np.arange(array.shape[0])) else flat[t]
        return jnp.stack([self.get(int(v)).reshape(self.claims, -1) for v in values])


@dataclass(frozen=True)
class Route:
    """How a value access of a repeated segment gets its operand.

    ``kind``: "before" (the same values in every iteration), "sliced" (other values before the segment in every
    iteration), "current", "previous" (output ``body`` of this or the last iteration), "general".
    """

    kind: str
    values: np.ndarray
    body: int = 0


def route(segment: Segment, kernel: Kernel, access: Access) -> Route:
    values = reads(kernel.op, access)
    body = segment.stop - segment.start
    t = np.arange(segment.repeat, dtype=np.int64)
    if np.all(values < segment.first):
        return Route("before" if np.all(values == values[0]) else "sliced", values)
    if not access.stack:
        at = values[:, 0] - segment.first - body * t
        if np.all(at == at[0]) and 0 <= at[0] < body:
            return Route("current", values, int(at[0]))
        before = at[1:] + body
        if values[0, 0] < segment.first and np.all(before == before[0]) and 0 <= before[0] < body:
            return Route("previous", values, int(before[0]))
    return Route("general", values)


def _shaped(flat: jax.Array, access: Access) -> jax.Array:
    """[stacked or 1, claims, elements] -> [claims, *access.shape]."""
    return jnp.swapaxes(flat, 0, 1).reshape([flat.shape[1], *access.shape])


Immediates = Mapping[int, Mapping[int, jax.Array]]
"""Immediates that are arguments: descriptor -> register -> int64 scalar."""


def run_kernel(
    j: int,
    kernel: Kernel,
    constants: Constants,
    value: Callable[[int], jax.Array],
    claims: int,
    t: jax.Array | int | None = None,
    immediates: Immediates | None = None,
) -> jax.Array:
    """The output of descriptor j's kernel [claims, *shape].

    ``value``: what an access to a value, by its number, sees. ``t``: the iteration; constants of every iteration are sliced by it.
    """

    def operand(number: int) -> jax.Array:
        access = kernel.op.accesses[number]
        if isinstance(access.source, Constant):
            return constants[Program.seen_key(access)].reshape([1, *access.shape])
        return value(number).reshape([-1, *access.shape])

    prepared = {
        name: constants[f"{j}/{name}"] if t is None or not found.iterated else constants[f"{j}/{name}"][t]
        for name, found in kernel.prepared.items()
    }
    return kernel(0 if t is None else t, operand, prepared, claims, immediates.get(j) if immediates else None)


def run_segment(
    segment: Segment,
    kernels: Mapping[int, Kernel],
    constants: Constants,
    known: Values,
    immediates: Immediates | None = None,
) -> list[jax.Array]:
    """Outputs of the segment's descriptors, in order: [iteration, claims, *shape] each if it repeats, else [claims,
    *shape].
    """
    if segment.repeat > 1:
        return _Scan(segment, kernels, constants, known).run()
    outputs: list[jax.Array] = []
    here = Values(known.claims, dict(known.single), known.stacked)

    def value(kernel: Kernel, number: int) -> jax.Array:
        access = kernel.op.accesses[number]
        (values,) = reads(kernel.op, access)
        return _shaped(here.many(values), access) if access.stack else here.get(int(values[0]))

    for j in range(segment.start, segment.stop):
        kernel = kernels[j]
        outputs.append(run_kernel(j, kernel, constants, partial(value, kernel), known.claims, None, immediates))
        here.single[kernel.op.first] = outputs[-1]
    return outputs


Carried = dict[tuple[int, int], jax.Array]
Buffers = dict[int, jax.Array]
Slices = tuple[jax.Array, Mapping[str, jax.Array]]


@dataclass
class _Scan:
    """A repeated segment as a scan. ``sliced``: values that enter it one an iteration; ``carried``: outputs of the iteration before,
    with their initial values; ``buffered``: outputs whose earlier iterations general routes read.
    """

    segment: Segment
    kernels: Mapping[int, Kernel]
    constants: Constants
    known: Values
    routes: dict[tuple[int, int], Route] = field(default_factory=dict)
    sliced: dict[str, jax.Array] = field(default_factory=dict)
    carried: Carried = field(default_factory=dict)
    buffered: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        for j in self.descriptors:
            kernel = self.kernels[j]
            for number, access in enumerate(kernel.op.accesses):
                if not isinstance(access.source, Constant):
                    self._add(j, number, kernel)

    @property
    def descriptors(self) -> range:
        return range(self.segment.start, self.segment.stop)

    def _add(self, j: int, number: int, kernel: Kernel) -> None:
        access = kernel.op.accesses[number]
        found = route(self.segment, kernel, access)
        self.routes[j, number] = found
        if found.kind == "sliced":
            flat = self.known.many(found.values.reshape(-1))
            self.sliced[f"{j}:{number}"] = flat.reshape([*found.values.shape, *flat.shape[1:]])
        elif found.kind == "previous":
            initial = int(found.values[0, 0])
            key = (found.body, initial)
            if key not in self.carried:
                self.carried[key] = self.known.get(initial).reshape(self.known.claims, -1)
        elif found.kind == "general":
            own = found.values[found.values >= self.segment.first] - self.segment.first
            self.buffered.update(int(q) for q in np.unique(own % (self.segment.stop - self.segment.start)))

    def run(self) -> list[jax.Array]:
        """Outputs of the segment's descriptors [iteration, claims, *shape]."""
        repeat, claims = self.segment.repeat, self.known.claims
        ops = [self.kernels[j].op for j in self.descriptors]
        buffers = {q: jnp.zeros([repeat, claims, ops[q].elements], ops[q].dtype.numpy) for q in sorted(self.buffered)}
        iterations = jnp.arange(repeat, dtype=jnp.int64)
        _, stacked = lax.scan(self._body, (self.carried, buffers), (iterations, self.sliced))
        return [array.reshape([repeat, claims, *op.shape]) for array, op in zip(stacked, ops, strict=True)]

    def _body(self, state: tuple[Carried, Buffers], slices: Slices) -> tuple[tuple[Carried, Buffers], list[jax.Array]]:
        carried, buffers = state
        t, sliced = slices
        claims, outputs = self.known.claims, list[jax.Array]()
        for q, j in enumerate(self.descriptors):
            value = partial(self._value, j, t, sliced, carried, buffers, outputs)
            outputs.append(run_kernel(j, self.kernels[j], self.constants, value, claims, t))
            if q in buffers:
                flat = outputs[-1].reshape(1, claims, -1)
                buffers = {**buffers, q: lax.dynamic_update_slice_in_dim(buffers[q], flat, t, axis=0)}
        return ({key: outputs[key[0]].reshape(claims, -1) for key in carried}, buffers), outputs

    def _value(
        self,
        j: int,
        t: jax.Array,
        sliced: Mapping[str, jax.Array],
        carried: Carried,
        buffers: Buffers,
        outputs: Sequence[jax.Array],
        number: int,
    ) -> jax.Array:
        access, found = self.kernels[j].op.accesses[number], self.routes[j, number]
        match found.kind:
            case "before":
                if not access.stack:
                    return self.known.get(int(found.values[0, 0]))
                return _shaped(self.known.many(found.values[0]), access)
            case "sliced":
                return _shaped(sliced[f"{j}:{number}"], access)
            case "current":
                return outputs[found.body]
            case "previous":
                return carried[found.body, int(found.values[0, 0])]
        return _shaped(self._general(found, t, buffers), access)

    def _general(self, found: Route, t: jax.Array, buffers: Buffers) -> jax.Array:
        """[stacked or 1, claims, elements] of a general route, from the values before the segment and the buffers."""
        first, body = self.segment.first, self.segment.stop - self.segment.start
        values = found.values
        result: jax.Array | None = None
        sources: list[tuple[np.ndarray, np.ndarray, jax.Array]] = []
        outside = values < first
        if outside.any():
            unique, inverse = np.unique(np.where(outside, values, values[outside][0]), return_inverse=True)
            sources.append((outside, inverse.reshape(values.shape), self.known.many(unique)))
        for q in sorted(int(q) for q in np.unique((values[~outside] - first) % body)):
            chosen = ~outside & ((values - first) % body == q)
            sources.append((chosen, np.where(chosen, (values - first) // body, 0), buffers[q]))
        for chosen, rows, source in sources:
            part = jnp.take(source, jnp.asarray(rows)[t], axis=0, mode="clip")
            result = part if result is None else jnp.where(jnp.asarray(chosen)[t][:, None, None], part, result)
        assert result is not None
        return result
