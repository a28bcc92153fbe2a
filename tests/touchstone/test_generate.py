"""Text from a language model, the claim about it, what is refused, and the story of a liar. (The command itself: test_models_page.)"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from rollup.errors import ExecutionError
from tests.models.tiny_llama import write_tiny_llama
from touchstone.cli import main
from touchstone.demo.conversation import run
from touchstone.models.generation import NotAccepted, Speaker, language_program

LENGTH = 48


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generate")
    write_tiny_llama(folder / "tiny.gguf", layers=1, width=32)
    (folder / "words.txt").write_text("hello the world and an hello world " * 15)
    return folder


@pytest.fixture(scope="module")
def speaker(place: Path) -> Speaker:
    return language_program(place / "tiny.gguf", LENGTH, place / "program", str(place / "words.txt"))


def test_what_is_generated_is_the_program_s_own_choice_and_nothing_else_is_accepted(speaker: Speaker) -> None:
    prompt = speaker.language.tokenizer.encode("hello the")
    answer = list(speaker.generate(prompt, 5))
    assert len(answer) == 5 or answer[-1] == speaker.language.tokenizer.eos
    assert int(speaker.outputs(prompt, answer)[0][speaker.output("accepted")]) == 1
    for at in range(len(answer)):
        wrong = [*answer[:at], (answer[at] + 1) % 100, *answer[at + 1 :]]
        with pytest.raises(NotAccepted):
            speaker.outputs(prompt, wrong)


def test_an_answer_ends_where_the_program_does(speaker: Speaker) -> None:
    prompt = speaker.language.tokenizer.encode("hello the world and" * 8)
    assert len(prompt) < len(prompt) + len(list(speaker.generate(prompt, 1000))) <= LENGTH
    assert list(speaker.generate(prompt, 1)) == list(speaker.generate(prompt, 2))[:1]


def test_a_prompt_without_room_for_an_answer_is_refused(speaker: Speaker) -> None:
    with pytest.raises(ExecutionError, match=f"the program has {LENGTH} positions, a prompt of {LENGTH} tokens"):
        next(speaker.generate([5] * LENGTH, 1))


def test_a_folder_with_another_program_is_refused(speaker: Speaker, place: Path) -> None:
    (place / "other.gguf").write_bytes((place / "tiny.gguf").read_bytes())
    result = CliRunner().invoke(main, ["generate", str(place / "other.gguf"), "hi", "--folder", str(place / "program")])
    assert result.exit_code == 1 and "holds the program of 'tiny', not of 'other'" in result.output


def test_who_puts_words_into_the_model_s_mouth_is_convicted_and_the_right_answer_is_final(
    speaker: Speaker, place: Path
) -> None:
    console = Console(file=io.StringIO(), width=200)
    report = run(0, place / "report.json", "hello world", speaker=speaker, console=console)
    assert [claim["state"] for claim in report["claims"]] == ["final", "invalid", "invalid"]
    assert report["receipt"]["stages"] == ["promised", "final"]
    assert len({report["answer"], report["lie"]["answer"], report["swapped"]}) == 3
    assert "(_attention)" in report["lie"]["op"] and report["lie"]["op"] in report["verdicts"][0]
    assert "element [" in report["verdicts"][1]
    assert [(dispute["how"], dispute["rule"]) for dispute in report["disputes"]] == [("interactive", "step")] * 2
    assert json.loads((place / "report.json").read_text()) == report


def test_the_demo_s_options_belong_to_its_model() -> None:
    result = CliRunner().invoke(main, ["demo", "--question", "why?"])
    assert result.exit_code == 2 and "go with --model smollm2" in result.output
