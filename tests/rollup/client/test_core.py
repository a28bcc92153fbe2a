"""The parts of the client without I/O: numbers, pauses, the event stream."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prover.model import Model
from rollup.claim import join
from rollup.client.stream import EventReader, Message
from rollup.client.views import inference, model_view
from rollup.form.encoding import TensorType
from rollup.form.interface import Named
from rollup.form.program import Program
from rollup.http import Bounds, HttpAnswer, backoff, pause, retry_after
from rollup.numbers import cut, input_bytes, quantised, rounded
from rollup.types import DType
from tests.e2e.toy_program import toy_program
from tests.rollup.client.world import described, toy

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


REALS = st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=8)


@given(st.sampled_from(DType), st.integers(-20, 62), REALS)
def test_reals_become_the_nearest_integers_and_saturate(dtype: DType, scale: int, reals: list[float]) -> None:
    exact = [round(Fraction(real) * Fraction(2) ** scale) for real in reals]
    tensor = TensorType(dtype, scale, (len(reals),))
    found = quantised(np.array(reals, np.float32), tensor).tolist()
    assert found == [min(max(number, dtype.min), dtype.max) for number in exact]


@given(st.sampled_from(DType), st.integers(-20, 62), REALS)
def test_what_is_cut_is_counted_and_the_furthest_is_named(dtype: DType, scale: int, reals: list[float]) -> None:
    exact = [round(Fraction(real) * Fraction(2) ** scale) for real in reals]
    beyond = [real for real, number in zip(reals, exact, strict=True) if not dtype.min <= number <= dtype.max]
    found = cut("x", np.array(reals, np.float32), TensorType(dtype, scale, (len(reals),)))
    if not beyond:
        assert found is None
        return
    assert found is not None and found.count == len(beyond)
    assert abs(found.value) == max(map(abs, beyond)) and reals[found.place[0]] == found.value
    assert (found.low, found.high) == (dtype.min * 2.0**-scale, dtype.max * 2.0**-scale)


def test_integers_at_the_ends_of_64_bits_are_not_cut_and_those_beyond_are() -> None:
    wide = TensorType(DType.I64, 0, (2,))
    assert cut("n", np.array([2**63 - 1, -(2**63)], np.int64), wide) is None
    assert cut("n", np.array([2**63 - 1, 0], np.uint64), wide) is None
    found = cut("n", np.array([[2**63], [2**64 - 1]], np.uint64), TensorType(DType.I64, 0, (2, 1)))
    assert (
        str(found)
        == "input n has 1.84467e+19 at [1, 0], and 1 more beyond; the model takes -9.22337e+18 to 9.22337e+18 there"
    )
    assert (
        str(cut("t", np.array(2.5), TensorType(DType.I8, 6, ())))
        == "input t has 2.5; the model takes -2 to 1.98438 there"
    )


@given(st.sampled_from([DType.I8, DType.I16, DType.I32]), st.integers(-20, 30), REALS)
def test_inputs_are_the_bytes_that_the_prover_makes_of_them(dtype: DType, scale: int, reals: list[float]) -> None:
    array = np.array(reals, np.float32)
    tensor = TensorType(dtype, scale, array.shape)
    toy = toy_program()
    interface = replace(toy.interface, inputs=(Named("x", "float32"),))
    program = Program.build([tensor], toy.header.outputs, toy.ops, toy.constants, interface=interface)
    taken = join(Model(program).quantize(array), program.header.inputs)
    assert input_bytes(program.header, [array]) == taken


@pytest.mark.parametrize("given_dtype", [np.int8, np.uint8, np.int64, np.uint64, np.bool_])
def test_integers_without_a_scale_stand_for_themselves(given_dtype: type) -> None:
    array = np.array([0, 1, 1], given_dtype)
    for dtype in DType:
        assert quantised(array, TensorType(dtype, 0, (3,))).tolist() == [0, 1, 1]


def test_what_a_format_can_not_hold_is_its_end() -> None:
    ends = TensorType(DType.I64, 0, (2,))
    assert quantised(np.array([1e300, -1e300]), ends).tolist() == [DType.I64.max, DType.I64.min]
    assert quantised(np.array([2**64 - 1, 5], np.uint64), ends).tolist() == [DType.I64.max, 5]
    assert quantised(np.array([1000, -1000]), TensorType(DType.I8, 0, (2,))).tolist() == [127, -128]


@given(st.floats(-(2.0**100), 2.0**100, width=32))
def test_rounding_to_bfloat16_is_that_of_the_machine_learning_dtypes(real: float) -> None:
    import ml_dtypes

    expected = np.array([real], np.float32).astype(ml_dtypes.bfloat16).astype(np.float32)
    assert np.array_equal(rounded(np.array([real]), "bfloat16"), expected)


def busy(after: str | None = None, status: int = 503) -> HttpAnswer:
    return HttpAnswer(status, {} if after is None else {"retry-after": after}, b"")


@pytest.mark.parametrize(
    ("answer", "attempt", "expected"),
    [
        (None, 1, 0.2),
        (None, 2, 0.4),
        (None, 9, 5.0),
        (None, 10, None),
        (busy(), 1, 0.2),
        (busy(), 3, 0.8),
        (busy(), 4, None),
        (busy("2"), 1, 2.0),
        (busy("0"), 3, 0.2),
        (busy("Mon, 04 May 2026 03:02:04 GMT"), 1, 3.0),
        (busy("Mon, 04 May 2020 03:02:04 GMT"), 1, 0.2),
        (busy("6"), 1, None),
        (busy("99999999999999999999999"), 1, None),
        (busy("soon"), 1, 0.2),
        (busy("-1"), 1, 0.2),
        (busy("٣"), 1, 0.2),
        (busy("2", 429), 1, 2.0),
        (busy("2", 500), 1, None),
        (busy("2", 200), 1, None),
    ],
)
def test_pauses(answer: HttpAnswer | None, attempt: int, expected: float | None) -> None:
    waited = pause(answer, attempt, 0.5, NOW, Bounds(attempts=10, busy_attempts=4, patience=5.0))
    assert waited == (None if expected is None else pytest.approx(expected))


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.text(max_size=40))
def test_no_pause_is_negative_or_longer_than_the_patience(attempt: int, luck: float, after: str) -> None:
    bounds = Bounds(attempts=100_000, busy_attempts=100_000, patience=3.0)
    assert 0 < backoff(attempt, luck, bounds) <= 3
    waited = pause(busy(after), attempt, luck, NOW, bounds)
    assert waited is None or 0 <= waited <= 3
    assert retry_after(after, NOW) is None or retry_after(after, NOW) >= 0  # type: ignore[operator]


TEXT = (
    'id: 1\r\nevent: claim\ndata: {"a":\ndata:  1}\n\n: beat\n\ndata:x\nretry: 5\nnonsense\n\nid: 2\n\nid: 3\ndata: cut'
)
MESSAGES = [Message("claim", '{"a":\n 1}', "1"), Message("message", "x", "1")]


@given(st.lists(st.integers(0, len(TEXT)), max_size=20))
def test_events_are_the_same_in_whatever_pieces_they_come(cuts: list[int]) -> None:
    reader, edges = EventReader(), [0, *sorted(cuts), len(TEXT)]
    found = []
    for start, end in pairwise(edges):
        found += reader.feed(TEXT[start:end].encode())
    assert found == MESSAGES and reader.id == "2"


def test_a_new_connection_forgets_half_an_event() -> None:
    reader = EventReader()
    assert reader.feed(b"id: 7\ndata: a\n\nid: 8\ndata: b") == [Message("message", "a", "7")]
    reader.begin()
    assert reader.id == "7"
    assert reader.feed(b"\n\ndata: c\n\n") == [Message("message", "c", "7")]


def test_an_answer_s_count_is_of_the_numbers_that_were_claimed_not_of_what_its_dtype_makes_of_them() -> None:
    """1000 and 1001 are one bfloat16; a service that rounds what it shows is found by ``verify_inclusion``."""
    model = model_view(described(toy(outputs=(Named("spread", "bfloat16", (-1001, 1001)), Named("where", "int32")))))
    spread = [number / 256 for number in (1001, 1000, -1000, -1001, 1002, 0)]
    told = {"claim_id": "0x" + "11" * 32, "state": "pending", "clamped": 0, "saturated": 9, "saturated_inside": 4}
    answer = inference(model, (), {**told, "outputs": [spread, [2**31 - 1]]})
    assert answer.saturated_inside == 4
    assert answer.saturated == 2 and answer.outputs[0].tolist()[:2] == [1000 / 256] * 2
