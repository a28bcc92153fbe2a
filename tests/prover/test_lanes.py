"""Texts that go their steps together, each at a place of its own, give the bits that each gives alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover import load_gguf, lower
from prover.executor import Executor
from prover.executor.incremental import Incremental, RowState
from prover.executor.lanes import operands_by_place, reads_place
from prover.language.generation import logits_value
from prover.start import Starts
from prover.start.code import KeptCode
from prover.start.place import private
from rollup.errors import ExecutionError
from rollup.form.ops import Instr, Monoid, Opcode, Value
from rollup.form.program import Program
from rollup.machine.reference import run
from rollup.types import DType
from tests.models.tiny_llama import write_tiny_llama
from tests.prover import hand
from tests.prover.test_incremental import ROWS, WIDTH, causal

Array = np.ndarray

SIZE = 24
HEAD = 40
ROUNDS = 40


def llama(folder: Path) -> Program:
    """A language model's; an op's rows depend on their place by tables and masks, and on nothing else."""
    path = folder / "tiny.gguf"
    write_tiny_llama(path)
    language = load_gguf(path)
    rng = np.random.default_rng(0)
    texts = [[int(token) for token in rng.integers(0, 300, 20)] for _ in range(3)]
    samples = [language.claim_input(text[:10], text[10:], SIZE) for text in texts]
    return lower(language.fn, *samples[0], calibration=samples).program


def attention(_: Path) -> Program:
    """Causal attention whose products are long enough for native kernels, with a scale for every text."""
    rng = np.random.default_rng(1)
    queries, keys, values = (rng.normal(size=(HEAD, HEAD)).astype(np.float32) / 6 for _ in range(3))
    places = rng.normal(size=(SIZE, HEAD)).astype(np.float32)

    def fn(x: jax.Array, scale: jax.Array) -> jax.Array:
        x = x + places
        scores = jnp.where(np.tril(np.ones((SIZE, SIZE), bool)), (x @ queries) @ (x @ keys).T * scale, -20.0)
        return jax.nn.softmax(scores, axis=-1) @ (x @ values)

    samples = [(rng.normal(size=(SIZE, HEAD)).astype(np.float32), np.float32(scale)) for scale in (0.1, 0.5)]
    return lower(fn, *samples[0], calibration=samples).program


def scores(_: Path) -> Program:
    """A native product of a row with all rows of the input up to it, whose code reads a table at the row's place, and its number."""
    shape, square = (ROWS, HEAD), (ROWS, ROWS)
    draft = hand.drafted(DType.I16, shape)
    table = np.random.default_rng(5).integers(-9999, 9999, square).astype(np.int32)
    accesses = [
        hand.access(Value(0), DType.I16, shape, [{0: 1}, {2: 1}]),
        hand.access(Value(0), DType.I16, shape, [{1: 1}, {2: 1}]),
        hand.access(draft.constant(table), DType.I32, square, [{0: 1}, {1: 1}]),
    ]
    code = [
        Instr(Opcode.LOAD, (2,)),
        Instr(Opcode.ADD, (0, 1)),
        Instr(Opcode.INDEX, (0,)),
        Instr(Opcode.INDEX, (1,)),
        Instr(Opcode.LESS, (3, 4)),
        Instr(Opcode.SELECT, (5, 3, 2)),
    ]
    draft.add(Monoid.SUM, DType.I64, 2, square, (HEAD,), accesses, code)
    return draft.program()


def look_back(_: Path) -> Program:
    """Ops that compute with their row's number and read the row before theirs."""
    return causal()


@pytest.fixture(scope="module", params=[llama, attention, scores, look_back])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Incremental:
    made: Callable[[Path], Program] = request.param
    program = made(tmp_path_factory.mktemp("models"))
    return Incremental(program, block=5, value=logits_value(program) if made is llama else None)


def drawn(machine: Incremental, rng: np.random.Generator) -> list[Array]:
    """Inputs of one text: small numbers, and a whole row input."""
    found = []
    for tensor in machine.executor.program.header.inputs:
        low, high = max(tensor.dtype.min, 0 if tensor.dtype is DType.I32 else -3000), min(tensor.dtype.max, 300)
        found.append(rng.integers(low, high, tensor.shape, endpoint=True).astype(tensor.dtype.numpy))
    return found


def whole_rows(machine: Incremental, inputs: list[Array]) -> Array:
    """All rows that a machine gives one by one, by a pass over the whole input."""
    plan, program = machine.plan, machine.executor.program
    shape = program.ops[program.locate(plan.output)[0]].shape
    return machine.executor.values(inputs)[plan.output].reshape(shape)


def test_texts_that_join_and_leave_at_any_step_give_the_rows_of_one_pass(machine: Incremental) -> None:
    rng = np.random.default_rng(2)
    state = machine.stacked(4)
    texts: dict[int, tuple[list[Array], Array, int]] = {}
    untouched: list[tuple[Array, Array]] = []
    compared = joined = alone = 0
    for _ in range(ROUNDS):
        for lane in range(4):
            if lane not in texts and rng.random() < 0.4:
                inputs, known = drawn(machine, rng), int(rng.integers(1, machine.rows - 1))
                untouched += [(array, array.copy()) for array in inputs]
                one, rows = machine.start(inputs, known)
                whole = whole_rows(machine, inputs)
                np.testing.assert_array_equal(rows, whole[:known])
                state, texts[lane], joined = state.put(lane, one), (inputs, whole, known), joined + 1
        if not texts:
            continue
        given = {lane: (t, inputs[machine.plan.rows_input][t]) for lane, (inputs, _, t) in texts.items()}
        state, found = machine.step_lanes(state, given)
        for lane, (inputs, whole, t) in list(texts.items()):
            np.testing.assert_array_equal(found[lane], whole[t])
            compared += 1
            texts[lane] = (inputs, whole, t + 1)
            if t + 1 == machine.rows:
                del texts[lane]
            elif rng.random() < 0.1:
                # It goes on alone from a copy of its lane.
                _, row = machine.step(state.picked([lane]), t + 1, inputs[machine.plan.rows_input][t + 1])
                np.testing.assert_array_equal(row, whole[t + 1])
                del texts[lane]
                alone += 1
    assert all(np.array_equal(*pair) for pair in untouched)
    assert compared > 2 * ROUNDS
    assert joined > 8
    assert alone > 2


def test_a_native_product_that_reads_its_rows_place_is_one_call_for_all_lanes() -> None:
    kernels = Incremental(scores(Path()), self_test=False).step_kernels
    native = [kernel for kernel in kernels.values() if kernel.native is not None]
    assert [(reads_place(kernel), operands_by_place(kernel)) for kernel in native] == [(True, False)]


def test_extreme_operands_in_every_lane_equal_the_reference() -> None:
    program = causal()
    machine = Incremental(program, block=4)
    inputs = [hand.extreme(DType.I16, (ROWS, WIDTH), seed) for seed in range(3)]
    whole = [run(program, [one])[program.header.outputs[0][0]] for one in inputs]
    state = machine.stacked(3)
    for lane, one in enumerate(inputs):
        state = state.put(lane, machine.start([one], 2 + lane)[0])
    for step in range(ROWS - 4):
        state, rows = machine.step_lanes(
            state, {lane: (2 + lane + step, inputs[lane][2 + lane + step]) for lane in range(3)}
        )
        for lane in range(3):
            np.testing.assert_array_equal(rows[lane], whole[lane][2 + lane + step])


def test_a_text_goes_on_from_another_ones_rows_where_their_beginning_is_the_same(machine: Incremental) -> None:
    rng = np.random.default_rng(3)
    first, second = drawn(machine, rng), drawn(machine, rng)
    rows = machine.plan.rows_input
    second[rows][:7] = first[rows][:7]
    for v in machine.cache_inputs:
        second[v] = first[v]
    whole = whole_rows(machine, second)
    prefix = machine.prefix(machine.start(first, 9)[0], 7)
    assert prefix.nbytes < machine.start(first, 9)[0].nbytes
    state = machine.resumed(second, prefix, 7)
    for start in range(7, machine.rows, machine.block):
        stop = min(machine.rows, start + machine.block)
        state, found = machine.extend(state, second[rows], start, stop)
        np.testing.assert_array_equal(found, whole[start:stop])


def test_steps_that_do_not_fit_are_refused_before_a_state_is_consumed() -> None:
    machine = Incremental(causal(), block=4)
    inputs = [hand.extreme(DType.I16, (ROWS, WIDTH))]
    state: RowState = machine.stacked(2).put(1, machine.start(inputs, 2)[0])
    for lane, t in ((2, 2), (1, ROWS)):
        with pytest.raises(ExecutionError, match="does not fit"):
            machine.step_lanes(state, {lane: (t, inputs[0][2])})
    with pytest.raises(ExecutionError, match="do not fit"):
        machine.extend(state, inputs[0], 2, 7)
    machine.step_lanes(state, {1: (2, inputs[0][2])})


def test_steps_of_any_width_are_loaded_where_they_were_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compiling = KeptCode.compile

    def counted(code: KeptCode, name: str, lowered: jax.stages.Lowered) -> Callable[..., object]:
        compiled.append(name)
        return compiling(code, name, lowered)

    monkeypatch.setattr(KeptCode, "compile", counted)
    inputs = [hand.extreme(DType.I16, (ROWS, WIDTH))]
    found: list[list[Array]] = []
    counts = []
    for _ in range(2):
        starts = Starts(private(tmp_path / "starts"))
        machine = Incremental(Executor(causal(), code=starts.code), block=4)
        one, rows = machine.start(inputs, 5)
        state = machine.stacked(2).put(1, one)
        state, first = machine.step_lanes(state, {1: (5, inputs[0][5])})
        _, second = machine.step_lanes(state, {1: (6, inputs[0][6])})
        found.append([rows, first[1], second[1]])
        counts.append(len(compiled))
        starts.seal()
    assert counts[0] == counts[1] >= 2
    for kept, loaded in zip(*found, strict=True):
        np.testing.assert_array_equal(kept, loaded)
