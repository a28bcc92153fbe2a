"""The trees of many executions at once are those of each alone."""

from __future__ import annotations

import numpy as np
import pytest

from rollup import forest
from rollup.errors import CommitmentError
from rollup.forest import Forest, little_endian, tensor_roots, trace_roots
from rollup.form.constants import stored_bytes
from rollup.merkle import TraceTree, tensor_root

DEPTH, TRACE_DEPTH, CLAIMS = 4, 3, 5


def values() -> list[np.ndarray]:
    """[claims, ...] each: scalars, rows, what fills leaves and what does not, strided and big-endian numbers."""
    rng = np.random.default_rng(0)
    shapes: list[tuple[tuple[int, ...], str]] = [
        ((), "<i8"),
        ((3,), "<i2"),
        ((16, 64), "i1"),
        ((700,), "<i8"),
        ((9, 40), "<i4"),
    ]
    found = [rng.integers(-100, 100, [CLAIMS, *shape]).astype(dtype) for shape, dtype in shapes]
    return [*found, np.swapaxes(found[-1], 1, 2), found[1].astype(">i2")]


def alone(claim: int) -> TraceTree:
    own = [stored_bytes(value[claim]) for value in values()]
    return TraceTree([tensor_root(data, DEPTH) for data in own], TRACE_DEPTH, DEPTH, lambda value: own[value])


@pytest.mark.parametrize("held", [0, 3000, forest.HELD_BYTES])
def test_roots_of_executions_side_by_side_are_each_one_s_own(monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    """However many values are hashed by one call."""
    monkeypatch.setattr(forest, "HELD_BYTES", held)
    growing = Forest(DEPTH)
    for number, value in enumerate(values()):
        growing.add(value)
        assert growing.roots().shape == (CLAIMS, number + 1, 32)
    trees = [alone(claim) for claim in range(CLAIMS)]
    assert trace_roots(growing.roots(), TRACE_DEPTH, DEPTH) == [tree.root for tree in trees]
    for claim in range(CLAIMS):
        own = [tensor_root(stored_bytes(value[claim]), DEPTH) for value in values()]
        assert [root.tobytes() for root in growing.roots()[claim]] == own
        assert tensor_roots([value[claim] for value in values()], DEPTH) == own
    assert tensor_roots([], DEPTH) == []


def test_what_does_not_fit_a_trace_is_refused() -> None:
    with pytest.raises(CommitmentError, match="7 leaves do not fit a tree of depth 2; use a depth of at least 3"):
        trace_roots(np.zeros((1, 7, 32), np.uint8), 2, DEPTH)
    with pytest.raises(CommitmentError, match="6 leaves do not fit a tree of depth 2; use a depth of at least 3"):
        Forest(2).add(np.zeros((1, 700), np.int64))


def test_bytes_that_lie_right_already_are_not_copied() -> None:
    array = np.arange(24, dtype="<i4").reshape(2, 3, 4)
    assert np.shares_memory(little_endian(array), array)
    assert little_endian(array)[1].tobytes() == array[1].tobytes()
