"""Several claims as one execution: how many at a time, and in batches of which few sizes, since each is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest

import numpy as np

from prover.executor.kernels.kernel import Kernel
from rollup.errors import InexactMachine
from rollup.form.program import Program

Array = np.ndarray

SIZES = (1, 4, 16, 64)
"""Claims of one execution. Other numbers of claims are cut into these, and what is more than half of a size is padded to it: so less
than half of what a batch computes is padding.
"""

BATCH_BYTES = 1 << 27
"""Memory of a batch: as many claims are taken together as fit. It is for claims that take little, whose time goes into calls."""

ELEMENT_BYTES = 8
"""Values are computed in up to 64 bits, whatever they are stored in."""


def claim_bytes(program: Program, kernels: Iterable[Kernel]) -> int:
    """The most bytes that one claim of a batch needs: all of its values, and the largest array that a kernel makes of them."""
    inputs = sum(tensor.elements for tensor in program.header.inputs)
    values = sum(op.elements * op.repeat for op in program.ops)
    return ELEMENT_BYTES * (inputs + values + max([0, *(kernel.block for kernel in kernels)]))


def most_claims(program: Program, kernels: Iterable[Kernel]) -> int:
    """The largest of ``SIZES`` that fits into ``BATCH_BYTES``; 1 for what fits in no batch, and for a program without input."""
    if not program.header.inputs:
        return 1
    each = claim_bytes(program, kernels)
    return max(size for size in SIZES if size == 1 or size * each <= BATCH_BYTES)


def batches(count: int, most: int) -> Iterator[tuple[int, int, int]]:
    """(first claim, claim behind the last, size) of the batches that ``count`` claims are cut into, in order."""
    at = 0
    while at < count:
        size = max(size for size in SIZES if size <= most and (size == 1 or 2 * (count - at) > size))
        yield at, min(count, at + size), size
        at = min(count, at + size)


def padded(arrays: Iterable[Array], size: int) -> list[Array]:
    """Arrays [claims, ...] with zeros behind them, [size, ...]."""
    return [
        np.concatenate([array, np.zeros([size - len(array), *array.shape[1:]], array.dtype)])
        if len(array) < size
        else array
        for array in arrays
    ]


def samples(program: Program, size: int, seed: int) -> list[Array]:
    """Inputs of a batch that tests it: the least numbers, the greatest ones, then random ones."""
    rng = np.random.default_rng(seed)
    found = []
    for tensor in program.header.inputs:
        low, high = tensor.dtype.min, tensor.dtype.max
        array = rng.integers(low, high, [size, *tensor.shape], np.int64, endpoint=True).astype(tensor.dtype.numpy)
        array[:2] = np.array([low, high]).reshape([2] + [1] * len(tensor.shape))
        found.append(array)
    return found


def compare(
    program: Program, together: Iterator[Array], alone: list[Iterator[Array]], stopping: Callable[[], bool]
) -> bool:
    """Raise InexactMachine if a value [claims, ...] of a batch is not that of its claims alone; whether it came to the end."""
    for value, parts in enumerate(zip_longest(together, *alone)):
        if stopping():
            return False
        if not all(np.array_equal(one, other) for one, other in zip(parts[0], parts[1:], strict=True)):
            raise InexactMachine(
                f"value {value} of model 0x{program.id.hex()[:16]} is another one in a batch of {len(alone)} claims than alone; "
                "run on another backend, with default XLA flags and without reduced-precision settings"
            )
    return True
