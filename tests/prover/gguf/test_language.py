from __future__ import annotations

import inspect
from pathlib import Path

import jax
import numpy as np
import pytest

from prover import LanguageModel, Model, load_gguf, lower
from prover.gguf.transformer import hidden
from prover.language import language
from rollup.errors import LoweringError
from rollup.machine.reference import Memory
from tests.models.tiny_llama import write_tiny_llama
from touchstone.models.origins import Embedded

SIZE = 24
PROMPT = [5, 77, 130, 9]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = tmp_path_factory.mktemp("language") / "tiny.gguf"
    write_tiny_llama(path, seed=3)
    return load_gguf(path)


@pytest.fixture(scope="module")
def answer(model: LanguageModel) -> list[int]:
    return model.generate(PROMPT, 8, stop=False)


def _accepted(model: LanguageModel, *arguments: object) -> bool:
    return bool(model.fn(*arguments)["accepted"])


def test_a_generated_answer_is_accepted(model: LanguageModel, answer: list[int]) -> None:
    assert len(answer) == 8
    out = model.fn(*model.claim_input(PROMPT, answer, SIZE))
    assert bool(out["accepted"])
    assert out["drawn"].dtype == np.int32 and out["drawn"].shape == (SIZE,)
    assert out["drawn"][3:11].tolist() == answer


def test_the_function_is_named_after_the_file(model: LanguageModel) -> None:
    assert model.fn.__name__ == "tiny"
    assert list(inspect.signature(model.fn).parameters) == [
        *("tokens", "prompt", "length"),
        *("seed", "temperature", "top_p", "top_k", "cuts"),
    ]


def test_every_prefix_of_the_answer_is_accepted_at_any_padding(model: LanguageModel, answer: list[int]) -> None:
    for length in (1, 5, 8):
        for size in (len(PROMPT) + length, SIZE):
            assert _accepted(model, *model.claim_input(PROMPT, answer[:length], size))


def test_one_other_token_anywhere_in_the_answer_is_not_accepted(model: LanguageModel, answer: list[int]) -> None:
    for place in range(len(answer)):
        lie = answer.copy()
        lie[place] = (lie[place] + 1) % model.config.vocabulary
        assert not _accepted(model, *model.claim_input(PROMPT, lie, SIZE))


def test_what_the_padding_holds_does_not_matter(model: LanguageModel, answer: list[int]) -> None:
    tokens, prompt, length, *sampling = model.claim_input(PROMPT, answer, SIZE)
    tokens[int(length) :] = 200
    assert _accepted(model, tokens, prompt, length, *sampling)


@pytest.mark.parametrize(
    ("prompt", "length", "accepted"),
    [
        (4, 12, True),
        (11, 12, True),
        (4, 4, False),
        (5, 4, False),
        (0, 12, False),
        (-3, 12, False),
        (4, 25, False),
        (4, -1, False),
        (30, 40, False),
        (2**31 - 1, -(2**31), False),
    ],
)
def test_lengths_without_a_prompt_or_an_answer_are_not_accepted(
    model: LanguageModel, answer: list[int], prompt: int, length: int, accepted: bool
) -> None:
    tokens, _, _, *sampling = model.claim_input(PROMPT, answer, SIZE)
    assert _accepted(model, tokens, np.int32(prompt), np.int32(length), *sampling) is accepted


def test_a_full_sequence_is_accepted_up_to_its_last_position(model: LanguageModel, answer: list[int]) -> None:
    size = len(PROMPT) + len(answer)
    tokens, prompt, length, *sampling = model.claim_input(PROMPT, answer, size)
    assert int(length) == size and _accepted(model, tokens, prompt, length, *sampling)
    tokens[-1] = (tokens[-1] + 1) % model.config.vocabulary
    assert not _accepted(model, tokens, prompt, length, *sampling)


def test_generation_stops_after_the_eos_token(tmp_path: Path, model: LanguageModel, answer: list[int]) -> None:
    eos = answer[4]
    write_tiny_llama(tmp_path / "m.gguf", seed=3, metadata={"tokenizer.ggml.eos_token_id": eos})
    stopped = load_gguf(tmp_path / "m.gguf").generate(PROMPT, 8)
    assert stopped == answer[: answer.index(eos) + 1]


def test_generation_agrees_with_a_pass_without_padding(model: LanguageModel, answer: list[int]) -> None:
    tokens = list(PROMPT)
    for token in answer[:3]:
        assert int(np.argmax(model.logits(np.array(tokens, dtype=np.int32))[-1])) == token
        tokens.append(token)


def test_an_example_is_a_texts_first_tokens(model: LanguageModel) -> None:
    ids = model.tokenizer.encode("hello the world and the world")
    tokens, prompt, length, *_ = model.example("hello the world and the world", 16)
    assert tokens.dtype == np.int32 and tokens.shape == (16,)
    assert (int(prompt), int(length)) == (len(ids) - 1, len(ids))
    assert tokens[: len(ids)].tolist() == ids and not tokens[len(ids) :].any()
    cut, prompt, length, *_ = model.example("hello the world and the world", 4)
    assert cut.tolist() == ids[:4] and (int(prompt), int(length)) == (3, 4)


def test_a_question_is_a_conversation_where_the_model_knows_any(model: LanguageModel, tmp_path: Path) -> None:
    asked = model.tokenizer.decode(model.question("hello"), special=True)
    assert asked.endswith("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n")
    write_tiny_llama(tmp_path / "m.gguf", metadata={"tokenizer.chat_template": None})
    plain = load_gguf(tmp_path / "m.gguf")
    assert plain.question("hello") == plain.tokenizer.encode("hello")


def test_inputs_that_are_no_claim_are_refused(model: LanguageModel) -> None:
    for prompt, answer, size, sentence in (
        ([], [1], 8, "at least one token"),
        ([1], [], 8, "at least one token"),
        ([1] * 5, [2] * 4, 8, "9 tokens do not fit 8"),
        ([1, 320], [2], 8, "320 is no token"),
        ([1], [-1], 8, "-1 is no token"),
    ):
        with pytest.raises(LoweringError, match=sentence):
            model.claim_input(prompt, answer, size)
    with pytest.raises(LoweringError, match="at least 2 tokens"):
        model.example("", 8)
    with pytest.raises(LoweringError, match="exceed the model's context of 512"):
        model.generate([1] * 500, 13)
    with pytest.raises(LoweringError, match="count of at least 1"):
        model.generate([1], 0)
    with pytest.raises(LoweringError, match="at least 2 positions"):
        model.fn(np.zeros(1, np.int32), *model.claim_input([1], [1], 2)[1:-1], np.zeros((2, 1), np.int32))


def test_weights_are_arguments_of_what_is_compiled(model: LanguageModel) -> None:
    tokens = np.zeros(SIZE, np.int32)
    inside = language._logits.lower(model.config, model.weights, tokens).as_text()
    outside = jax.jit(model.logits).lower(tokens).as_text()
    assert len(outside) > len(inside) + 2 * model.weights.embedding.nbytes  # constants are written out in hexadecimal


def test_weights_lie_where_jax_uses_them_without_a_copy(model: LanguageModel) -> None:
    for array in jax.tree.leaves(model.weights):
        assert jax.device_put(array).unsafe_buffer_pointer() == array.ctypes.data


def test_a_models_tokenizer_may_be_of_an_unsupported_kind(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "m.gguf", metadata={"tokenizer.ggml.pre": "other"})
    model = load_gguf(tmp_path / "m.gguf")
    assert model.logits(np.arange(4, dtype=np.int32)).shape == (4, 320)
    assert len(model.generate(PROMPT, 2)) <= 2
    with pytest.raises(LoweringError, match="pass token ids"):
        model.tokenizer.encode("x")


def _embedding(model: LanguageModel, tokens: list[int], size: int) -> np.ndarray:
    return np.asarray(model.embedding(*model.embedding_input(tokens, size))["embedding"])


def test_an_embedding_is_the_normalised_mean_of_the_hidden_states(model: LanguageModel, answer: list[int]) -> None:
    text = np.array([*PROMPT, *answer], np.int32)
    states = np.asarray(hidden(model.config, model.weights, text), np.float64)
    assert states.shape == (len(text), model.config.width)
    # What the logits are made of, so it is behind the last norm.
    np.testing.assert_allclose(states @ model.weights.head.T, model.logits(text), rtol=1e-3, atol=1e-3)
    mean = states.mean(0)
    for size in (len(text), SIZE):
        found = _embedding(model, text.tolist(), size)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-5)


def test_the_padding_of_an_embedding_does_not_matter(model: LanguageModel) -> None:
    tokens, length = model.embedding_input(PROMPT, SIZE)
    padded = model.embedding(tokens, length)["embedding"]
    tokens[int(length) :] = 200
    np.testing.assert_array_equal(model.embedding(tokens, length)["embedding"], padded)
    assert not np.array_equal(_embedding(model, [*PROMPT, 200], SIZE), padded)


def test_a_length_without_a_text_is_not_accepted(model: LanguageModel) -> None:
    tokens, _ = model.embedding_input(PROMPT, SIZE)
    lengths = {1: True, SIZE: True, 0: False, -1: False, SIZE + 1: False, 2**31 - 1: False, -(2**31): False}
    for length, accepted in lengths.items():
        assert bool(model.embedding(tokens, np.int32(length))["accepted"]) is accepted, length


def test_texts_that_can_t_be_embedded_are_refused(model: LanguageModel) -> None:
    for tokens, sentence in (
        ([], "at least one token"),
        ([1] * 9, "9 tokens do not fit 8"),
        ([320], "320 is no token"),
    ):
        with pytest.raises(LoweringError, match=sentence):
            model.embedding_input(tokens, 8)


@pytest.fixture(scope="module")
def embeds(model: LanguageModel) -> Model:
    rows = Embedded(model).samples([[3 + (7 * at + 11 * row) % 300 for at in range(SIZE)] for row in range(8)], SIZE)
    assert sorted({int(length) for _, length in rows}) == [SIZE // 8, SIZE // 4, SIZE // 2, SIZE]
    return lower(model.embedding, *rows[0], formats="w15a16", calibration=rows)


def test_the_program_embeds_as_the_float_model_does(model: LanguageModel, embeds: Model) -> None:
    assert embeds.program.meta["name"] == "tiny-embedding"
    random = np.random.default_rng(1)
    for length in (1, 2, 3, 5, 8, 13, SIZE):
        text = random.integers(3, 300, length).tolist()
        given = model.embedding_input(text, SIZE)
        found = embeds.predict(*given)
        assert bool(found["accepted"])
        right = np.asarray(model.embedding(*given)["embedding"])
        assert found["embedding"] @ right > 0.99999
        np.testing.assert_allclose(np.linalg.norm(found["embedding"]), 1, atol=1e-3)


@pytest.mark.parametrize("length", [0, -1, SIZE + 1, 2**31 - 1, -(2**31)])
def test_the_program_accepts_no_length_without_a_text(model: LanguageModel, embeds: Model, length: int) -> None:
    tokens, _ = model.embedding_input(PROMPT, SIZE)
    assert not bool(embeds.predict(tokens, np.int32(length))["accepted"])


def test_the_program_s_values_are_those_of_the_reference_machine(model: LanguageModel, embeds: Model) -> None:
    header, random = embeds.program.header, np.random.default_rng(2)
    wild = [random.integers(t.dtype.min, t.dtype.max, t.shape, t.dtype.numpy, endpoint=True) for t in header.inputs]
    for given in (embeds.quantize(*model.embedding_input([*PROMPT, 200], SIZE)), wild):
        values = list(embeds.executor.values(given))
        memory = Memory(embeds.program, values)
        for value, _, _ in embeds.program.op_values():
            flat = values[value].reshape(-1)
            for position in {0, flat.size - 1, int(random.integers(flat.size))}:
                assert int(flat[position]) == memory.element(value, position)
