"""``touchstone generate``: the text, the claim about it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from rollup.errors import LoweringError
from tests.models.tiny_llama import write_tiny_llama
from touchstone.cli import main
from touchstone.generation import NotAccepted, Speaker, language_program

LENGTH = 12


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generate")
    write_tiny_llama(folder / "tiny.gguf", layers=1, width=32)
    (folder / "words.txt").write_text("hello the world and an hello world " * 5)
    return folder


@pytest.fixture(scope="module")
def speaker(place: Path) -> Speaker:
    return language_program(place / "tiny.gguf", LENGTH, place / "program", str(place / "words.txt"))


def test_what_is_generated_is_the_program_s_own_choice_and_nothing_else_is_accepted(speaker: Speaker) -> None:
    prompt = speaker.language.tokenizer.encode("hello the")
    answer = list(speaker.generate(prompt, 5))
    assert len(answer) == 5 or answer[-1] == speaker.language.tokenizer.eos
    assert int(speaker.outputs(prompt, answer)[speaker.output("accepted")]) == 1
    for at in range(len(answer)):
        wrong = [*answer[:at], (answer[at] + 1) % 100, *answer[at + 1 :]]
        with pytest.raises(NotAccepted):
            speaker.outputs(prompt, wrong)


def test_an_answer_ends_where_the_program_does(speaker: Speaker) -> None:
    prompt = speaker.language.tokenizer.encode("hello the world and")
    assert len(prompt) + len(list(speaker.generate(prompt, 1000))) <= LENGTH
    assert list(speaker.generate(prompt, 1)) == list(speaker.generate(prompt, 2))[:1]


def test_a_prompt_without_room_for_an_answer_is_refused(speaker: Speaker) -> None:
    with pytest.raises(LoweringError, match=f"the prompt has {LENGTH} tokens, the program {LENGTH} positions"):
        next(speaker.generate([5] * LENGTH, 1))


def test_a_folder_with_another_program_is_refused(speaker: Speaker, place: Path) -> None:
    (place / "other.gguf").write_bytes((place / "tiny.gguf").read_bytes())
    result = CliRunner().invoke(main, ["generate", str(place / "other.gguf"), "hi", "--folder", str(place / "program")])
    assert result.exit_code == 1 and "holds the program of 'tiny', not of 'other'" in result.output
