"""Many callers at once get what each would get alone; nobody keeps the others waiting, and nothing is kept beyond its bound."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from prover import LanguageModel, Model, load_gguf, lower
from prover.executor.incremental import Incremental
from prover.language.conversations import Conversations, Crowded
from prover.language.generation import Generator
from prover.language.lanes import Lanes, Written
from prover.language.sampling import GREEDY
from rollup.errors import ExecutionError
from tests.models.tiny_llama import write_tiny_llama

SIZE, LONG = 24, 40
CACHE = 1 << 20


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path: Path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    write_tiny_llama(path)
    return load_gguf(path)


def lowered(language: LanguageModel, size: int) -> Model:
    rng = np.random.default_rng(0)
    texts = [[int(token) for token in rng.integers(0, 300, 20)] for _ in range(3)]
    samples = [language.claim_input(text[:10], text[10:], size) for text in texts]
    return lower(language.fn, *samples[0], calibration=samples)


@pytest.fixture(scope="module")
def generator(language: LanguageModel) -> Generator:
    return Generator(lowered(language, SIZE), block=5)


@pytest.fixture(scope="module")
def longer(language: LanguageModel) -> Generator:
    return Generator(lowered(language, LONG), block=8)


def prompts(count: int, seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [[int(token) for token in rng.integers(0, 300, rng.integers(1, SIZE - 4))] for _ in range(count)]


def alone(generator: Generator, prompt: list[int], limit: int) -> list[int]:
    return list(generator.stream(prompt, limit))


@pytest.mark.parametrize("cache_bytes", [0, CACHE])
def test_callers_in_many_threads_get_the_tokens_that_they_get_alone(generator: Generator, cache_bytes: int) -> None:
    asked = [(prompt, 3 + number % 9) for number, prompt in enumerate(prompts(24))]
    # Some texts begin as others do.
    asked += [(prompt[: len(prompt) // 2 + 1], limit) for prompt, limit in asked[::3]]
    expected = [alone(generator, prompt, limit) for prompt, limit in asked]
    conversations = Conversations(generator, lanes=4, cache_bytes=cache_bytes)
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda one: list(conversations.stream(*one)), asked))
    conversations.close()
    assert found == expected


def test_an_answer_ends_at_a_stop_token_at_the_limit_and_where_positions_end(generator: Generator) -> None:
    conversations = Conversations(generator)
    free = alone(generator, [5, 6, 7], 100)
    assert list(conversations.stream([5, 6, 7], 100)) == free
    assert len(free) == SIZE - 3
    assert list(conversations.stream([5, 6, 7], 4)) == free[:4]
    assert list(conversations.stream([5, 6, 7], 0)) == []
    assert list(conversations.stream([5, 6, 7], 100, (free[2],))) == free[: free.index(free[2]) + 1]
    with pytest.raises(ExecutionError, match="24 positions"):
        conversations.stream(list(range(SIZE)), 1)
    conversations.close()


def written(lanes: Lanes, prompt: list[int], limit: int) -> tuple[Written, list[int]]:
    told: list[int] = []
    generator = lanes.generator
    text = Written(list(prompt), generator.inputs(prompt), limit, (), generator.drawing(GREEDY), told.append)
    lanes.add(text)
    return text, told


def rounds(lanes: Lanes) -> int:
    count = 0
    while lanes.texts:
        lanes.round()
        count += 1
    return count


def test_a_further_turn_costs_its_new_tokens_only(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = Lanes(generator, 2, CACHE)
    prompt = prompts(1, seed=4)[0][:3] + [7] * 8
    _, first = written(lanes, prompt, 4)
    rounds(lanes)
    turn = [*prompt, *first, 9, 8]
    expected = alone(generator, turn, 3)
    rows: list[int] = []
    extend, step = Incremental.extend, Incremental.step_lanes
    monkeypatch.setattr(Incremental, "extend", lambda *args: rows.append(args[4] - args[3]) or extend(*args))
    monkeypatch.setattr(Incremental, "step_lanes", lambda *args: rows.append(len(args[2])) or step(*args))
    text, told = written(lanes, turn, 3)
    rounds(lanes)
    assert told == expected
    # The last token of the first answer was never read, two are new, and two of the answer are read again to go on.
    assert sum(rows) == 1 + 2 + 2
    assert text.known == len(turn) + 2


def test_what_texts_leave_behind_stays_within_its_bytes_and_the_least_used_goes_first(generator: Generator) -> None:
    one = Lanes(generator, 1, CACHE)
    written(one, list(range(SIZE - 4)), 2)
    rounds(one)
    most = 2 * one.prefixes.nbytes
    assert most > 0
    small = Lanes(generator, 1, most)
    texts = prompts(9, seed=6)
    for prompt in [*texts, texts[-1], *texts]:
        _, told = written(small, prompt, 2)
        rounds(small)
        assert small.prefixes.nbytes <= most
        assert told == alone(generator, prompt, 2)
    assert 2 <= len(small.prefixes) < len(texts)
    held = small.prefixes.find(b"", texts[-1])
    assert held is not None
    assert held[1] == len(texts[-1])
    nothing = Lanes(generator, 1, 0)
    written(nothing, texts[0], 2)
    rounds(nothing)
    assert len(nothing.prefixes) == nothing.prefixes.nbytes == 0


def test_a_long_prompt_does_not_stall_a_text_that_is_written(generator: Generator) -> None:
    lanes = Lanes(generator, 2, 0)
    _, told = written(lanes, [3], 20)
    lanes.round()
    before = len(told)
    written(lanes, list(range(1, 17)), 2)
    for number in range(1, 4):
        # A block of 5 of its 16 tokens, and a token of the other text, each time.
        lanes.round()
        assert len(told) == before + number
    assert not lanes.ready
    rounds(lanes)


def test_a_step_is_as_wide_as_its_texts_need(generator: Generator) -> None:
    lanes = Lanes(generator, 8, 0)
    widths = []
    for prompt in prompts(5, seed=7):
        written(lanes, prompt[:4], 12)
        lanes.round()
        widths.append(lanes.width)
    assert widths == [1, 2, 4, 4, 8]
    for text in lanes.texts[:4]:
        text.cancelled = True
    lanes.round()
    assert lanes.width == 1
    rounds(lanes)
    # Nobody writes, and no memory is held for it.
    assert lanes.width == 0


def test_a_closed_answer_frees_its_lane_and_one_that_is_forgotten_too(generator: Generator) -> None:
    conversations = Conversations(generator, lanes=1, waiting=2)
    first = conversations.stream([1, 2], 20)
    assert next(first) == alone(generator, [1, 2], 1)[0]
    first.close()
    assert list(first) == []
    conversations.stream([1, 2], 20)
    assert list(conversations.stream([4], 3)) == alone(generator, [4], 3)
    conversations.close()


def test_no_more_requests_wait_than_may_and_none_waits_for_ever(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, go_on = Event(), Event()
    begin = Incremental.begin

    def held(machine: Incremental, inputs: list[np.ndarray]) -> object:
        busy.set()
        go_on.wait()
        return begin(machine, inputs)

    monkeypatch.setattr(Incremental, "begin", held)
    conversations = Conversations(generator, lanes=1, waiting=2)
    first = conversations.stream([1], 2)
    busy.wait()
    waiting = [conversations.stream([number], 1) for number in (2, 3)]
    with pytest.raises(Crowded, match="2 requests wait already; ask again later"):
        conversations.stream([4], 1)
    waiting[0].close()
    later = conversations.stream([5], 1)
    go_on.set()
    found = [list(answer) for answer in (first, waiting[1], later)]
    assert found == [alone(generator, prompt, limit) for prompt, limit in (([1], 2), ([3], 1), ([5], 1))]
    conversations.close()


def test_a_failure_is_told_to_who_waits_and_the_next_are_served(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations = Conversations(generator)
    with monkeypatch.context() as patched:
        patched.setattr(Incremental, "extend", lambda *_: 1 // 0)
        with pytest.raises(ExecutionError, match="division"):
            list(conversations.stream([1, 2], 3))
    assert list(conversations.stream([1, 2], 3)) == alone(generator, [1, 2], 3)
    conversations.close()


def test_closing_ends_every_answer_with_a_sentence(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    conversations = Conversations(generator, lanes=1)
    closing = Event()
    step = Incremental.step_lanes

    def slow(*args: object) -> object:
        closing.wait()
        return step(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(Incremental, "step_lanes", slow)
    answers = [conversations.stream([number], 5) for number in (1, 2)]
    assert next(answers[0]) == alone(generator, [1], 1)[0]
    with ThreadPoolExecutor(1) as pool:
        closed = pool.submit(conversations.close)
        while not conversations._closed:
            pass
        closing.set()
        closed.result()
    for answer in answers:
        with pytest.raises(ExecutionError, match="closed before"):
            list(answer)
    with pytest.raises(ExecutionError, match="were closed"):
        conversations.stream([1], 1)


def test_the_shortest_program_that_fits_prompt_and_limit_writes(generator: Generator, longer: Generator) -> None:
    conversations = Conversations(longer, generator)
    short, moved, most = (conversations.stream(list(range(9)), limit) for limit in (15, 16, 99))
    assert (short.positions, moved.positions, most.positions) == (SIZE, LONG, LONG)
    assert conversations.fitting(SIZE) is generator
    assert conversations.fitting(SIZE + 1) is longer
    assert list(short) == alone(generator, list(range(9)), 15)
    assert list(moved) == alone(longer, list(range(9)), 16)
    assert len(list(most)) == LONG - 9
    with pytest.raises(ExecutionError, match="41 tokens of prompt and answer do not fit the longest program of 40"):
        conversations.stream([1] * LONG, 1)
    conversations.close()


@pytest.mark.parametrize("settings", [{"lanes": 0}, {"lanes": 17}, {"waiting": 0}])
def test_settings_that_nothing_can_be_written_with_are_refused(generator: Generator, settings: dict[str, int]) -> None:
    with pytest.raises(ExecutionError, match="give 1 to 16 lanes"):
        Conversations(generator, **settings)
    with pytest.raises(ExecutionError, match="one of each length"):
        Conversations(generator, generator)
