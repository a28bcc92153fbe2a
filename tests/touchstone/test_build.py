"""A function of one's own becomes a program on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from rollup.program import Program
from touchstone.cli import main

SAMPLES = np.linspace(-1, 1, 24, dtype=np.float32).reshape(6, 4)


def weighted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x * y


def samples() -> tuple[np.ndarray, np.ndarray]:
    return SAMPLES, SAMPLES[:, ::-1]


def scalar() -> float:
    return 1.0


def nothing() -> np.ndarray:
    return SAMPLES[:0]


def ragged() -> tuple[np.ndarray, np.ndarray]:
    return SAMPLES, SAMPLES[:2]


def build(folder: Path, source: str, *options: str, function: str = "weighted") -> tuple[int, str]:
    here = "tests.touchstone.test_build"
    source = source if source.endswith(".npz") else f"{here}:{source}"
    arguments = ["model", "build", f"{here}:{function}", "--samples", source, "-o", str(folder), *options]
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def test_the_samples_of_a_function_and_of_a_file_give_the_same_program(tmp_path: Path) -> None:
    np.savez(tmp_path / "samples.npz", x=samples()[0], y=samples()[1])
    code, said = build(tmp_path / "one", "samples")
    assert code == 0, said
    code, again = build(tmp_path / "two", str(tmp_path / "samples.npz"))
    assert code == 0, again
    first, second = Program.load(tmp_path / "one"), Program.load(tmp_path / "two")
    assert first.id == second.id
    assert [tensor.shape for tensor in first.header.inputs] == [(4,), (4,)]
    assert first.id.hex() in said and "fidelity  over 6 samples" in said and "ops" in said and "bytes" in said


def test_the_formats_are_the_ones_asked_for(tmp_path: Path) -> None:
    code, said = build(tmp_path / "small", "samples", "--formats", "w8a16")
    assert code == 0, said
    assert Program.load(tmp_path / "small").meta["formats"] == "w8a16"


@pytest.mark.parametrize(
    ("source", "function", "words"),
    [
        ("scalar", "weighted", "one array per input"),
        ("ragged", "weighted", "as many samples"),
        ("nothing", "weighted", "at least one"),
        ("samples", "missing", "names no function"),
        ("missing", "weighted", "names no function"),
        ("nowhere.npz", "weighted", "is no npz file"),
    ],
)
def test_what_cannot_be_built_says_why_and_writes_nothing(
    source: str, function: str, words: str, tmp_path: Path
) -> None:
    code, said = build(tmp_path / "out", source, function=function)
    assert code == 1 and words in said, said
    assert not (tmp_path / "out").exists()
