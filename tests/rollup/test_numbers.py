"""What lies at an end of an output's format is counted by what is under the model's root, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollup.form.encoding import Header, TensorType, TracePolicy
from rollup.form.interface import Interface, Named
from rollup.numbers import at_end, at_ends, saturated
from rollup.types import DType

I16 = TensorType(DType.I16, 8, (6,))
NEAR = np.array([-32768, -32767, 0, 32766, 32767, 32767], np.int16)


@pytest.mark.parametrize(
    ("ends", "count"),
    [
        (None, 3),
        ((-32768, 32766), 2),
        ((-32767, 32767), 3),
        ((-32769, 32767), 2),
        ((-32768, 32768), 1),
        ((-32769, 32768), 0),
        ((-5, 5), 0),
    ],
)
def test_what_lies_at_either_end_is_counted(ends: tuple[int, int] | None, count: int) -> None:
    found = at_end(Named("y", "float32", ends), I16, NEAR)
    assert (0 if found is None else found.count) == count


def test_it_is_told_with_the_range_and_the_remedy() -> None:
    found = at_end(Named("y", "float32", (-512, 511)), I16, np.array([511, -512, 0, 512, -513, 510], np.int16))
    assert found is not None and found.refusal == (
        "output y has 2 of 6 elements at an end of its format, which holds -2 to 1.99609: the real values may lie beyond; "
        "lower the model with samples whose outputs reach as far"
    )


@pytest.mark.parametrize("dtype", ["int32", "int8", "bool", "uint64"])
def test_integers_have_no_ends(dtype: str) -> None:
    assert at_end(Named("n", dtype), TensorType(DType.I16, 0, (6,)), NEAR) is None


@given(
    st.sampled_from(DType),
    st.lists(st.integers(-2, 2), min_size=1, max_size=8),
    st.lists(st.sampled_from(["low", "high"]), min_size=8, max_size=8),
    st.tuples(st.integers(-1, 2), st.integers(-2, 1)),
)
def test_the_count_is_that_of_equal_integers_in_every_dtype(
    dtype: DType, offsets: list[int], sides: list[str], shift: tuple[int, int]
) -> None:
    """Integers and ends close to those of the dtype, which is where a comparison goes wrong."""
    low, high = max(dtype.min + shift[0], DType.I64.min), min(dtype.max + shift[1], DType.I64.max)
    near = {"low": dtype.min, "high": dtype.max}
    numbers = [max(dtype.min, min(dtype.max, near[side] + n)) for n, side in zip(offsets, sides, strict=False)]
    tensor = TensorType(dtype, 3, (len(numbers),))
    found = at_end(Named("y", "float64", (low, high)), tensor, np.array(numbers, dtype.numpy))
    assert (0 if found is None else found.count) == sum(n in (low, high) for n in numbers)


def test_outputs_are_counted_together_and_told_one_by_one() -> None:
    header = Header(TracePolicy.WITH_CLAIM, 4, 0, 9, (I16,), ((6, I16), (7, TensorType(DType.I16, 0, (6,))), (8, I16)))
    interface = Interface(
        (Named("x", "float32"),), (Named("a", "float32"), Named("n", "int16"), Named("b", "float16")), [0, 1, 2]
    )
    outputs = [NEAR, NEAR, NEAR // 2]
    assert [(one.name, one.count) for one in at_ends(header, interface, outputs)] == [("a", 3)]
    assert saturated(header, interface, outputs) == 3
    assert saturated(header, interface, [NEAR, NEAR, NEAR]) == 6
