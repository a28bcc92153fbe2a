"""Native products: exact on every kernel, described within their buffers, and the same bits as XLA's."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from prover import native
from prover.executor import Executor
from prover.executor.kernels import native as products
from prover.native import library as loading
from prover.native.geometry import MOST_DIMS
from prover.native.instructions import TileOp
from prover.native.library import Library, library
from rollup.audit.ranges import Range
from rollup.form.ops import Monoid, Value
from rollup.form.program import Program
from rollup.native.build import ARCHITECTURES, digest, table
from rollup.native.load import SWITCH, object_path
from rollup.types import DType
from tests.campaigns.products import usable
from tests.prover import hand
from tests.prover.products.drawn import Drawn, draw, wrong, wrong_at_length

FOLDER = Path(native.__file__).parent
COUNT = 150


@pytest.fixture(scope="module")
def found() -> Library:
    loaded = library()
    assert loaded is not None, "the native kernels can't be used here"
    return loaded


def drawn(count: int) -> list[Drawn]:
    with jax.enable_x64(True):
        return [one for seed in range(4 * count) if (one := draw(seed)) is not None][:count]


def test_the_objects_were_compiled_from_these_sources(found: Library) -> None:
    name, wanted = table(FOLDER)["object"], digest(FOLDER)
    for architecture in ARCHITECTURES:
        data = object_path(FOLDER, name, architecture).read_bytes()
        assert wanted.encode() in data, f"the object for {architecture} is stale; run `make native`"
    assert found.sources == wanted


def test_long_sums_of_low_words_are_exact_on_every_kernel(found: Library) -> None:
    with jax.enable_x64(True):
        assert [name for name in usable(found) if wrong_at_length(found, name)] == []


def test_random_products_are_exact_on_every_kernel(found: Library) -> None:
    names = usable(found)
    assert "portable" in names
    rng = random.Random(1)
    kinds = set()
    with jax.enable_x64(True):
        for one in drawn(COUNT):
            plan = one.kernel.native
            assert plan is not None
            kinds.add((plan.constant, plan.narrow, plan.limbs, plan.low))
            for kernels in names:
                assert not list(wrong(one, found, kernels, rng.choice((1, 2, 3)), rng))
    assert len(kinds) >= 6


def test_a_plan_that_leaves_its_buffers_is_refused(found: Library) -> None:
    """Buffers that are too short, a plan that is cut off, a plan of another version."""
    rng = random.Random(2)
    with jax.enable_x64(True):
        for one in drawn(20):
            call, _ = one.call()
            operands = [np.asarray(array) for array in call.operands]
            result = np.zeros(call.shape, call.dtype)
            short = [operand[: max(1, operand.size // 2)] for operand in operands[:2]]
            for cut in ([short[0], *operands[1:]], [operands[0], short[1], *operands[2:]]):
                if any(c.size != o.size for c, o in zip(cut, operands, strict=True)):
                    with pytest.raises(ValueError, match=r"outside|another size"):
                        found.run("portable", call.numbers, cut, result)
            for length in rng.sample(range(call.numbers.size), 5):
                with pytest.raises(ValueError, match=r"plan|missing|operand|array|terms|size"):
                    found.run("portable", call.numbers[:length].copy(), operands, result)
            with pytest.raises(ValueError, match="version"):
                found.run("portable", np.array([0, *call.numbers[1:]], np.int64), operands, result)


def test_kernels_of_another_machine_are_refused(found: Library) -> None:
    with jax.enable_x64(True):
        call, _ = drawn(1)[0].call()
    with pytest.raises(ValueError, match="does not run"):
        found.run("mmx", call.numbers, [np.asarray(a) for a in call.operands], np.zeros(call.shape, call.dtype))


def test_every_pair_at_the_end_of_the_range(found: Library) -> None:
    """-32,768 times itself, twice, needs 33 bits: such pairs are summed one by one."""
    words = np.full((16, 64), -32768, np.int16)
    packed = found.pack(words, 32, False, 65535)
    assert set(packed[16 * 64 * 2 :][:1]) == {255}
    words = np.full((16, 64), -16383, np.int16)
    assert found.pack(words, 32, False, 65535)[16 * 64 * 2] == 1, "15 bits: groups of two pairs"
    words = np.full((16, 64), 127, np.int16)
    assert found.pack(words, 32, True, 65535)[16 * 64] == 5, "8 bits: the whole sub-block"


def test_limbs_hold_what_they_are_for() -> None:
    for reach in (
        Range(-(1 << 25), (1 << 25) - 1),
        Range(0, 1 << 24),
        Range(-(1 << 30), (1 << 30) - 1),
        Range(-5, 40000),
    ):
        limbs = products._limbs(reach)
        assert limbs is not None
        count, bits, largest = limbs
        assert count == 2
        for value in (reach.low, reach.high, 0, -1 if reach.low < 0 else 1):
            high, low = value >> bits, value & ((1 << bits) - 1)
            assert (high << bits) + low == value
            assert -(1 << 15) <= high < 1 << 15 and max(abs(high), low) <= largest
    assert products._limbs(Range(-(1 << 31), 0)) is None
    assert products._limbs(Range(-(1 << 15), (1 << 15) - 1)) == (1, 0, 1 << 15)


def test_instructions_have_the_numbers_of_the_library() -> None:
    header = (FOLDER / "product.h").read_text()
    names = header.split("enum Opcode : int32_t {")[1].split("OPCODES")[0].replace("\n", " ").split(",")
    assert [name.strip() for name in names if name.strip()] == [op.name for op in TileOp]


def test_compiled_programs_give_the_same_bits_without_native_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside XLA, on its threads: products of several claims and iterations, each value of their traces."""
    for one in drawn(25):
        program = one.program
        inputs = one.values[: len(program.header.inputs)]
        executor = Executor(program)
        assert executor.kernels[-1].native
        with monkeypatch.context() as patched:
            patched.setattr(products, "library", lambda: None)
            plain = Executor(program, self_test=False)
        assert not plain.kernels[-1].native
        for mine, other in zip(executor.outputs_batch(inputs), plain.outputs_batch(inputs), strict=True):
            np.testing.assert_array_equal(mine, other)


def _summed(terms: tuple[int, ...], shape: tuple[int, ...], offset: int = 0) -> Program:
    """An array of int16 times weights of one column, read from ``offset`` on along the last dimension.

    Of dimensions of 2 every second place of 3 is read, so that no two can be walked as one.
    """
    rank, sizes = len(shape), (*shape, *terms)
    source = tuple(3 if size == 2 else size for size in sizes)
    draft = hand.drafted(DType.I16, source)
    weights = draft.constant(np.ones(terms, np.int16))
    x = hand.access(Value(0), DType.I16, source, [{d: 2 if size == 2 else 1} for d, size in enumerate(sizes)])
    x = replace(x, offsets=(*x.offsets[:-1], offset))
    y = hand.access(weights, DType.I16, terms, [{rank + d: 1} for d in range(len(terms))])
    draft.add(Monoid.SUM, DType.I64, 2, shape, terms, [x, y])
    return draft.program()


@pytest.mark.parametrize(
    ("terms", "shape", "offset", "taken"),
    [
        ((40,), (3, 5), 0, True),
        ((40,), (3, 5), 1_000_000, False),
        ((17,), (2,) * 9, 0, True),
        ((17,), (2,) * 11, 0, False),
        ((2,) * 9, (3,), 0, True),
        ((2,) * 11, (3,), 0, False),
        ((131_008,), (2,), 0, True),
        ((131_009,), (2,), 0, False),
        ((131_070,), (2,), 0, False),
    ],
)
def test_what_the_library_would_refuse_is_left_to_xla(
    terms: tuple[int, ...], shape: tuple[int, ...], offset: int, taken: bool
) -> None:
    """Places far outside of a source, more dimensions than the library has room for, more terms than 32 bits of high words hold."""
    program = _summed(terms, shape, offset)
    executor = Executor(program)
    assert (executor.kernels[0].native is not None) == taken
    inside = max(0, terms[-1] - offset) * math.prod(terms[:-1])
    np.testing.assert_array_equal(
        executor.outputs([np.ones(program.header.inputs[0].shape, np.int16)])[0], np.full(shape, inside)
    )


def test_dimensions_have_room_where_the_library_has_it() -> None:
    assert f"constexpr int MOST_DIMS = {MOST_DIMS};" in (FOLDER / "product.h").read_text()


def test_the_switch_is_the_one_of_all_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "0")
    monkeypatch.setattr(loading, "_library", loading._library.__wrapped__)
    assert library() is None
