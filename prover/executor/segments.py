"""A program's segments as JAX functions from the values before them to their own.

A segment that repeats is one ``lax.scan``: its body is compiled once. Where an access gets its value from decides how
it enters the body: from before the segment (the same in every iteration, or one slice an iteration), from the iteration
itself, from the iteration before (the scan's carry), or, for any other pattern, from buffers that hold what the segment
computed so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.executor.kernel import Kernel
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
        return _scan(segment, kernels, constants, known)
    outputs: list[jax.Array] = []
    here = Values(known.claims, dict(known.single), known.stacked)
    for j in range(segment.start, segment.stop):
        kernel = kernels[j]

        def operand(number: int, kernel: Kernel = kernel) -> jax.Array:
            access = kernel.op.accesses[number]
            if isinstance(access.source, Constant):
                return _raw(constants, access)
            (values,) = reads(kernel.op, access)
            if not access.stack:
                return here.get(int(values[0])).reshape([known.claims, *access.shape])
            return _shaped(here.many(values), access)

        given = immediates.get(j) if immediates else None
        outputs.append(kernel(0, operand, _prepared(constants, j, kernel), known.claims, given))
        here.single[kernel.op.first] = outputs[-1]
    return outputs


def _raw(constants: Constants, access: Access) -> jax.Array:
    return constants[Program.seen_key(access)].reshape([1, *access.shape])


def _prepared(constants: Constants, j: int, kernel: Kernel) -> dict[str, jax.Array]:
    return {name: constants[f"{j}/{name}"] for name in kernel.prepared}


@dataclass
class _Scan:
    """What enters the scan: per-iteration inputs, carried outputs with their initial values, buffers for general
    routes.
    """

    segment: Segment
    known: Values
    routes: dict[tuple[int, int], Route] = field(default_factory=dict)
    sliced: dict[str, jax.Array] = field(default_factory=dict)
    carried: dict[tuple[int, int], jax.Array] = field(default_factory=dict)
    buffered: set[int] = field(default_factory=set)

    def add(self, j: int, number: int, kernel: Kernel) -> None:
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

    def general(self, found: Route, t: jax.Array, buffers: Mapping[int, jax.Array]) -> jax.Array:
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


def _scan(segment: Segment, kernels: Mapping[int, Kernel], constants: Constants, known: Values) -> list[jax.Array]:
    setup = _Scan(segment, known)
    fixed: dict[str, jax.Array] = {}
    sliced: dict[str, jax.Array] = {}
    for j in range(segment.start, segment.stop):
        for number, access in enumerate(kernels[j].op.accesses):
            if not isinstance(access.source, Constant):
                setup.add(j, number, kernels[j])
        for name, prepared in kernels[j].prepared.items():
            (sliced if prepared.iterated else fixed)[f"{j}/{name}"] = constants[f"{j}/{name}"]
    shapes = [[known.claims, *kernels[j].op.shape] for j in range(segment.start, segment.stop)]
    sizes = [kernels[j].op.elements for j in range(segment.start, segment.stop)]
    dtypes = [kernels[j].op.dtype.numpy for j in range(segment.start, segment.stop)]
    buffers = {q: jnp.zeros([segment.repeat, known.claims, sizes[q]], dtypes[q]) for q in sorted(setup.buffered)}
    State = tuple[dict[tuple[int, int], jax.Array], dict[int, jax.Array]]
    Slices = tuple[jax.Array, dict[str, jax.Array], dict[str, jax.Array]]

    def body(state: State, slices: Slices) -> tuple[State, list[jax.Array]]:
        carried, buffered = state
        t, of_values, of_constants = slices
        outputs: list[jax.Array] = []
        for j in range(segment.start, segment.stop):
            kernel = kernels[j]

            def operand(
                number: int, j: int = j, kernel: Kernel = kernel, buffered: dict[int, jax.Array] = buffered
            ) -> jax.Array:
                access = kernel.op.accesses[number]
                if isinstance(access.source, Constant):
                    return _raw(constants, access)
                found = setup.routes[j, number]
                match found.kind:
                    case "before":
                        if not access.stack:
                            return known.get(int(found.values[0, 0])).reshape([known.claims, *access.shape])
                        return _shaped(known.many(found.values[0]), access)
                    case "sliced":
                        return _shaped(of_values[f"{j}:{number}"], access)
                    case "current":
                        return outputs[found.body].reshape([known.claims, *access.shape])
                    case "previous":
                        return carried[found.body, int(found.values[0, 0])].reshape([known.claims, *access.shape])
                return _shaped(setup.general(found, t, buffered), access)

            mine = {name: {**fixed, **of_constants}[f"{j}/{name}"] for name in kernel.prepared}
            outputs.append(kernel(t, operand, mine, known.claims))
            q = j - segment.start
            if q in buffered:
                flat = outputs[-1].reshape(1, known.claims, -1)
                buffered = {**buffered, q: lax.dynamic_update_slice_in_dim(buffered[q], flat, t, axis=0)}
        following = {key: outputs[key[0]].reshape(known.claims, -1) for key in carried}
        return (following, buffered), outputs

    iterations = jnp.arange(segment.repeat, dtype=jnp.int64)
    _, stacked = lax.scan(body, (setup.carried, buffers), (iterations, setup.sliced, sliced))
    return [array.reshape([segment.repeat, *shape]) for array, shape in zip(stacked, shapes, strict=True)]
