"""Rows that are computed one by one, in blocks and in one pass are the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover import LanguageModel, Model, load_gguf, lower
from prover.executor.incremental import Incremental
from prover.language.drawing import DrawnToken
from prover.language.generation import Generator, generate, logits_value
from prover.language.sampling import Sampling
from rollup.errors import ExecutionError, LoweringError, UnsupportedError
from rollup.form.encoding import TensorType
from rollup.form.ops import Instr, Monoid, Opcode, Value
from rollup.form.program import Program
from rollup.machine.reference import run
from rollup.types import DType
from tests.models.tiny_llama import write_tiny_llama
from tests.prover import hand
from tests.prover.language.draws import SETTINGS

Array = np.ndarray

SIZE = 24
ROWS = 12
WIDTH = 3


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path: Path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    write_tiny_llama(path)
    return load_gguf(path)


@pytest.fixture(scope="module")
def model(language: LanguageModel) -> Model:
    rng = np.random.default_rng(0)
    texts = [[int(token) for token in rng.integers(0, 300, 20)] for _ in range(3)]
    samples = [language.claim_input(text[:10], text[10:], SIZE) for text in texts]
    return lower(language.fn, *samples[0], calibration=samples)


@pytest.fixture(scope="module")
def generator(model: Model) -> Generator:
    return Generator(model, block=7)


def row_by_row(machine: Incremental, inputs: Sequence[Array], known: int) -> Array:
    """The wanted output's rows: ``known`` by ``start``, with nonsense in the rows after them, the others by ``step``."""
    tokens = inputs[machine.plan.rows_input]
    blind = tokens.copy()
    blind[known:] = np.random.default_rng(known).integers(0, 100, tokens[known:].shape)
    given = [blind if v == machine.plan.rows_input else array for v, array in enumerate(inputs)]
    state, rows = machine.start(given, known)
    parts = [rows]
    for t in range(known, machine.rows):
        state, row = machine.step(state, t, tokens[t])
        parts.append(row[None])
    return np.concatenate(parts)


@pytest.mark.parametrize(("known", "length"), [(1, 24), (6, 20), (7, 24), (8, 17), (23, 24), (24, 24)])
def test_a_language_models_rows_equal_one_pass_at_any_length_and_padding(
    model: Model, language: LanguageModel, generator: Generator, known: int, length: int
) -> None:
    rng = np.random.default_rng(length)
    tokens = np.full(SIZE, rng.integers(0, 300), np.int32)
    tokens[:length] = rng.integers(0, 320, length)
    inputs = model.quantize(tokens, *language.claim_input([1], [2], SIZE)[1:])
    machine = generator.incremental
    value = logits_value(model.program)
    whole = model.executor.values(inputs)[value].reshape(SIZE, language.config.vocabulary)
    np.testing.assert_array_equal(row_by_row(machine, inputs, known), whole)


def test_what_generation_says_is_accepted_by_one_pass(
    model: Model, language: LanguageModel, generator: Generator
) -> None:
    prompt = language.tokenizer.encode("the world in one")
    answer = generate(generator, language, prompt, SIZE - len(prompt))
    assert 1 <= len(answer) <= SIZE - len(prompt)
    assert model.predict(*language.claim_input(prompt, answer, SIZE))["accepted"]
    wrong = [*answer[:-1], (answer[-1] + 1) % language.config.vocabulary]
    assert not model.predict(*language.claim_input(prompt, wrong, SIZE))["accepted"]


@pytest.mark.parametrize("sampling", SETTINGS)
def test_what_is_sampled_is_accepted_by_one_pass_and_nothing_else(
    model: Model, language: LanguageModel, generator: Generator, sampling: Sampling
) -> None:
    sampling = replace(sampling, top_k=min(sampling.top_k, language.config.vocabulary))
    prompt = [5, 6, 7]
    answer = list(generator.stream(prompt, SIZE, (), sampling))
    inputs = language.claim_input(prompt, answer, SIZE, sampling)
    found = model.predict(*inputs)
    assert found["accepted"] and found["drawn"][len(prompt) - 1 : -1].tolist() == answer
    for at in range(0, len(answer), 4):
        other = DrawnToken((answer[at] + 1) % language.config.vocabulary, answer[at].cuts)
        wrong = language.claim_input(prompt, [*answer[:at], other, *answer[at + 1 :]], SIZE, sampling)
        assert not model.predict(*wrong)["accepted"]
    for number, parameter in ((4, 9_999), (4, -1), (5, 0), (5, 1_000_001), (6, -1), (6, 321)):
        changed = [*inputs[:number], np.int32(parameter), *inputs[number + 1 :]]
        assert not model.predict(*changed)["accepted"]
    if sampling.heat > 500_000 and sampling.top_p > 0.1 and sampling.top_k != 1:
        other_seed = language.claim_input(prompt, answer, SIZE, replace(sampling, seed=bytes(8)))
        assert not model.predict(*other_seed)["accepted"]
    if sampling.top_p < 1 or sampling.top_k:
        with pytest.raises(LoweringError, match="does not know what top-k and top-p kept"):
            language.claim_input(prompt, [int(token) for token in answer], SIZE, sampling)


def test_a_top_k_beyond_the_vocabulary_is_refused(generator: Generator) -> None:
    with pytest.raises(ExecutionError, match="a top-k of 321 exceeds the vocabulary of 320"):
        next(generator.stream([5, 6], 3, (), Sampling(1, top_k=321)))


def test_generation_ends_at_a_stop_token_at_the_limit_and_where_positions_end(generator: Generator) -> None:
    free = list(generator.stream([5, 6, 7], 100))
    assert len(free) == SIZE - 3
    assert list(generator.stream([5, 6, 7], 4)) == free[:4]
    assert list(generator.stream([5, 6, 7], 100, (free[2],))) == free[: free.index(free[2]) + 1]
    with pytest.raises(ExecutionError, match="24 positions"):
        list(generator.stream(list(range(SIZE)), 1))


def causal(dtype: DType = DType.I16) -> Program:
    """Rows of three: a row times its number, minus the row before, transposed, summed over all rows up to it, plus itself."""
    draft = hand.drafted(dtype, (ROWS, WIDTH))
    rows, row = (ROWS, WIDTH), [{0: 1}, {1: 1}]
    numbered = draft.add(
        Monoid.NONE,
        DType.I32,
        0,
        rows,
        (),
        [hand.access(Value(0), dtype, rows, row)],
        [Instr(Opcode.LOAD, (0,)), Instr(Opcode.INDEX, (0,)), Instr(Opcode.MUL, (1, 2))],
    )
    shifted = [hand.access(Value(numbered), DType.I32, rows, row, [offset, 0], fill=-7) for offset in (0, -1)]
    mixed = draft.add(
        Monoid.NONE,
        DType.I32,
        0,
        rows,
        (),
        shifted,
        [Instr(Opcode.LOAD, (0,)), Instr(Opcode.LOAD, (1,)), Instr(Opcode.SUB, (1, 2))],
    )
    turned = draft.add(
        Monoid.NONE,
        DType.I32,
        0,
        (WIDTH, ROWS),
        (),
        [hand.access(Value(mixed), DType.I32, rows, [{1: 1}, {0: 1}])],
        [Instr(Opcode.LOAD, (0,))],
    )
    seen = draft.constant(np.tril(np.ones((ROWS, ROWS), np.int8)))
    draft.add(
        Monoid.SUM,
        DType.I64,
        2,
        rows,
        (ROWS,),
        [
            hand.access(Value(turned), DType.I32, (WIDTH, ROWS), [{1: 1}, {2: 1}]),
            hand.access(seen, DType.I8, (ROWS, ROWS), [{0: 1}, {2: 1}]),
            hand.access(Value(mixed), DType.I32, rows, row),
        ],
        [Instr(Opcode.LOAD, (2,)), Instr(Opcode.ADD, (0, 1))],
    )
    return draft.program()


@pytest.mark.parametrize("block", [1, 5, ROWS, 99])
@pytest.mark.parametrize("known", [1, 4, ROWS])
def test_rows_that_look_back_equal_the_reference_with_extreme_operands(block: int, known: int) -> None:
    program = causal()
    inputs = [hand.extreme(DType.I16, (ROWS, WIDTH))]
    whole = run(program, inputs)[program.header.outputs[0][0]]
    np.testing.assert_array_equal(row_by_row(Incremental(program, block=block), inputs, known), whole)


def test_what_no_row_changes_is_computed_once() -> None:
    draft = hand.Draft([TensorType(DType.I32, 0, (ROWS,)), TensorType(DType.I32, 0, (ROWS,))])
    total = draft.add(Monoid.SUM, DType.I64, 1, (), (ROWS,), [hand.access(Value(1), DType.I32, (ROWS,), [{0: 1}])])
    code = [Instr(Opcode.LOAD, (0,)), Instr(Opcode.LOAD, (1,)), Instr(Opcode.ADD, (1, 2))]
    accesses = [hand.access(Value(0), DType.I32, (ROWS,), [{0: 1}]), hand.access(Value(total), DType.I64, (), [])]
    draft.add(Monoid.NONE, DType.I64, 0, (ROWS,), (), accesses, code)
    program = draft.program()
    machine = Incremental(program, block=4)
    assert machine.plan.static == (0,)
    assert machine.plan.order == (1,)
    inputs = [hand.extreme(DType.I32, (ROWS,), seed) for seed in (0, 1)]
    np.testing.assert_array_equal(row_by_row(machine, inputs, 5), run(program, inputs)[-1])


def test_a_state_is_used_once() -> None:
    machine = Incremental(causal(), block=4)
    inputs = [hand.extreme(DType.I16, (ROWS, WIDTH))]
    state, _ = machine.start(inputs, 2)
    machine.step(state, 2, inputs[0][2])
    with pytest.raises(ExecutionError, match="consumed"):
        machine.step(state, 2, inputs[0][2])


def test_rows_that_do_not_fit_are_refused() -> None:
    machine = Incremental(causal(), block=4)
    inputs = [hand.extreme(DType.I16, (ROWS, WIDTH))]
    with pytest.raises(ExecutionError, match="12 rows"):
        machine.start(inputs, ROWS + 1)
    state, _ = machine.start(inputs, 2)
    with pytest.raises(ExecutionError, match="does not fit"):
        machine.step(state, ROWS, inputs[0][0])
    with pytest.raises(ExecutionError, match="does not fit"):
        machine.step(state, 2, inputs[0])


def test_programs_without_rows_are_refused_by_name() -> None:
    x = np.linspace(-1, 1, 8, dtype=np.float32)

    def looped(x: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda total, row: (total + row, total), jnp.float32(0), x)[1]

    with pytest.raises(UnsupportedError, match="loop"):
        Incremental(lower(looped, x, calibration=[(x,)]).program, self_test=False)
    with pytest.raises(UnsupportedError, match="mixes all rows"):
        Incremental(lower(lambda x: jnp.sum(x * x), x, calibration=[(x,)]).program, self_test=False)
    model = lower(lambda x, y: (x + 1, y + 1), x, x, calibration=[(x, x)])
    with pytest.raises(UnsupportedError, match="does not depend"):
        Incremental(model.program, output=1, self_test=False)
    with pytest.raises(UnsupportedError, match="no rows"):
        Incremental(model.program, rows_input=2, self_test=False)
