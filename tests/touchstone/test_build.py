"""A function of one's own becomes a program on disk."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from types import FunctionType

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner

from prover import lower
from prover.fidelity import OutputFidelity
from rollup.form.program import Program
from tests.models.tiny_llama import write_tiny_llama
from touchstone.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")

SAMPLES = np.linspace(-1, 1, 24, dtype=np.float32).reshape(6, 4)


def weighted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x * y


def clipped(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, y)


def refusing(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x @ y[:3]


def drawn(key: jax.Array, x: np.ndarray) -> jax.Array:
    return x + jax.random.key_data(jax.random.clone(key))[1].astype(np.int32)


def keyed() -> tuple[jax.Array, np.ndarray]:
    return jax.random.split(jax.random.key(3), 6), np.arange(6, dtype=np.int32)


def masked(x: jax.Array, bias: jax.Array) -> jax.Array:
    return jax.nn.softmax(x + bias)


def masks() -> tuple[np.ndarray, np.ndarray]:
    return SAMPLES, np.where(SAMPLES[:, 1:2] < SAMPLES, -1e9, 0).astype(np.float32)


COLUMN = np.array([[1.0], [-0.7], [0.3], [0.9]], np.float32)


def tied(x: jax.Array) -> jax.Array:
    # Columns that 16 bits can't tell apart, and float32 can.
    near = COLUMN + np.float32(1e-5) * np.array([[0], [1], [-1], [0]], np.float32)
    return jnp.dot(x, np.concatenate([COLUMN, near], axis=1), precision="highest")


def ties() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(40, 4)).astype(np.float32)


def far() -> tuple[np.ndarray, np.ndarray]:
    return 100 * SAMPLES, SAMPLES


def narrow() -> tuple[np.ndarray, np.ndarray]:
    return SAMPLES[:, :3], SAMPLES[:, :3]


def samples() -> tuple[np.ndarray, np.ndarray]:
    return SAMPLES, SAMPLES[:, ::-1]


def scalar() -> float:
    return 1.0


def nothing() -> np.ndarray:
    return SAMPLES[:0]


def vast() -> tuple[np.ndarray, np.ndarray]:
    return np.where(SAMPLES > 0.9, 1e300, SAMPLES.astype(np.float64)), SAMPLES


def failing() -> np.ndarray:
    raise KeyError("no such table")


def ragged() -> tuple[np.ndarray, np.ndarray]:
    return SAMPLES, SAMPLES[:2]


def line(function: FunctionType) -> str:
    """Of a function's first statement, as an error names it."""
    return f"tests/touchstone/test_build.py:{function.__code__.co_firstlineno + 1} ({function.__name__})"


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
    np.savez(tmp_path / "turned.npz", y=SAMPLES[:, ::-1], x=SAMPLES)
    code, again = build(tmp_path / "three", str(tmp_path / "turned.npz"), "--held-out", str(tmp_path / "samples.npz"))
    assert code == 0 and Program.load(tmp_path / "three").meta["fidelity"]["calibration"]["saturated_inputs"] == 0
    assert first.id.hex() in said and "calibration, 5 samples" in said and "ops" in said and "bytes" in said


def test_samples_may_be_typed_random_keys(tmp_path: Path) -> None:
    code, said = build(tmp_path / "drawn", "keyed", function="drawn")
    assert code == 0, said
    port = Program.load(tmp_path / "drawn").interface.inputs[0]
    assert (port.name, port.dtype) == ("key", "uint32")


def test_the_formats_are_the_ones_asked_for(tmp_path: Path) -> None:
    code, said = build(tmp_path / "small", "samples", "--formats", "w8a16")
    assert code == 0, said
    assert Program.load(tmp_path / "small").meta["formats"] == "w8a16"


def test_what_is_printed_is_in_the_manifest(tmp_path: Path) -> None:
    code, said = build(tmp_path / "one", "samples")
    assert code == 0 and "held out: every 5th sample of" in said and "saturated nothing inside, over 4 samples" in said
    assert all(len(line) <= 120 for line in said.splitlines())
    found = json.loads((tmp_path / "one" / "manifest.json").read_text())["meta"]["fidelity"]
    assert set(found) == {"calibration", "held_out", "split", "saturated", "target"}
    assert (found["calibration"]["samples"], found["held_out"]["samples"]) == (5, 1)
    assert found["saturated"] == {"samples": 4, "ops": []} and found["target"] is None
    assert set(found["held_out"]["outputs"][0]) == {field.name for field in fields(OutputFidelity)}


def test_a_mask_tells_how_far_other_numbers_are_rounded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    code, said = build(tmp_path / "masked", "masks", function="masked")
    note = "input bias: its step is 65,536, chosen for samples that are 0 or -1e+09; other numbers are rounded to that"
    assert code == 0 and f"warning   {note}" in said and "input x: its step" not in said, said
    shown = CliRunner().invoke(main, ["model", "show", str(tmp_path / "masked")]).output
    assert "real = integer * 2^16, step 65,536, -2.14748e+09 to 2.14742e+09" in shown
    code, said = build(tmp_path / "moderate", "samples", function="masked")
    assert code == 0 and "its step" not in said
    lower(masked, *(column[0] for column in masks()), calibration=list(zip(*masks(), strict=True)))
    assert caplog.messages == [f"masked: {note}, so give samples with all numbers that the model will see"]


def test_a_warning_comes_once_and_suggests_nothing_that_was_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code, said = build(tmp_path / "tied", "ties", function="tied")
    assert code == 0 and "chooses otherwise in" in said
    assert said.count("give formats with wider values (w16a16/8), or a target") == 1
    code, said = build(tmp_path / "aimed", "ties", "--target", "rel=1e-3", function="tied")
    assert code == 0 and "chooses otherwise in" in said and "or a target" not in said
    code, said = build(tmp_path / "missed", "ties", "--target", "rel=1e-12", function="tied")
    assert code == 1 and "otherwise" not in said, said
    assert caplog.messages == []


def test_an_audit_against_samples_that_do_not_fit_says_so(tmp_path: Path) -> None:
    assert build(tmp_path / "one", "samples")[0] == 0
    here = "tests.touchstone.test_build"
    audit = ["model", "audit", str(tmp_path / "one"), "--against", f"{here}:weighted", "--samples"]
    said = CliRunner().invoke(main, [*audit, f"{here}:far"])
    (verdict,) = said.stderr.splitlines()
    assert said.exit_code == 1 and "elements of the inputs are beyond what it takes" in verdict
    assert "build it with samples that reach as far" in verdict
    said = CliRunner().invoke(main, [*audit, f"{here}:narrow"])
    assert said.exit_code == 1 and said.stdout == "", said.output
    assert "input x has shape (3,), the model takes (4,)" in said.stderr


def test_held_out_samples_choose_nothing(tmp_path: Path) -> None:
    np.savez(tmp_path / "large.npz", x=100 * SAMPLES, y=SAMPLES)
    large = str(tmp_path / "large.npz")
    code, said = build(tmp_path / "one", "samples", "--held-out", large)
    assert code == 0, said
    code, _ = build(tmp_path / "two", "samples", "--held-out", "tests.touchstone.test_build:samples")
    first, second = (Program.load(tmp_path / name) for name in ("one", "two"))
    assert first.id == second.id
    assert f"held out: {large}" in said and "input elements saturated" in said
    assert first.meta["fidelity"]["calibration"] == second.meta["fidelity"]["calibration"]
    assert first.meta["fidelity"]["held_out"]["saturated_inputs"] > 0


def test_without_enough_samples_nothing_is_held_out_and_it_says_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", SAMPLES[:3], SAMPLES[:3])
    code, said = build(tmp_path / "one", str(tmp_path / "few.npz"))
    assert code == 0 and "held out: none" in said and "fewer than 5" in said
    assert Program.load(tmp_path / "one").meta["fidelity"]["held_out"] is None


def test_a_target_chooses_the_formats_and_the_manifest_says_what_was_tried(tmp_path: Path) -> None:
    code, said = build(tmp_path / "one", "samples", "--target", "rel=1e-3")
    assert code == 0 and "the cheapest that meets rel=0.001" in said
    target = Program.load(tmp_path / "one").meta["fidelity"]["target"]
    assert (target["measure"], target["bound"]) == ("rel", 1e-3)
    assert [attempt["met"] for attempt in target["attempts"]][-1] is True
    code, said = build(tmp_path / "two", "samples", "--target", "rel=1e-9", "--formats", "w8a16")
    assert code == 1 and "no formats meet rel=1e-09" in said and "w8a16 reaches" in said
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "names no model"),
        (["nowhere.onnx", "--samples", "x.npz"], "is no file"),
        (["nowhere.gguf"], "is no file"),
        (["tests.touchstone.test_build:weighted"], "give --samples FILE.npz"),
        (
            [
                "tests.touchstone.test_build:weighted",
                "--samples",
                "tests.touchstone.test_build:samples",
                "--target",
                "x",
            ],
            "is no target",
        ),
        (["tests.touchstone.test_build:weighted", "--samples", "words.txt"], "is no language model"),
        (
            ["tests.touchstone.test_build:weighted", "--samples", "net.onnx"],
            "net.onnx is no source of samples; give FILE.npz",
        ),
        (["tests.touchstone.test_build:weighted", "--samples", "words.txt.bak"], "MODULE:FUNCTION that returns them"),
        (
            [
                "tests.touchstone.test_build:weighted",
                "--samples",
                "tests.touchstone.test_build:samples",
                "--length",
                "8",
            ],
            "a length goes with samples of text",
        ),
    ],
)
def test_what_is_asked_for_wrongly_says_how_it_is_asked_for(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["model", "build", *arguments, "-o", str(tmp_path / "out")])
    assert result.exit_code == 1 and words in result.output, result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "function", "words"),
    [
        ("scalar", "weighted", "one array per input"),
        ("ragged", "weighted", "as many samples"),
        ("samples", "clipped", f"JAX can't trace the function at {line(clipped)}"),
        ("samples", "refusing", f"{line(refusing)}); give arrays of the number, shapes"),
        ("nothing", "weighted", "at least one"),
        (
            "vast",
            "weighted",
            "test_build:vast gives an array with 1e+300 at [5, 2]; give finite numbers that float32 holds",
        ),
        ("failing", "weighted", "test_build:failing fails (KeyError: 'no such table')"),
        ("weighted", "weighted", "test_build:weighted fails (TypeError: weighted() missing 2 required"),
        ("samples", "missing", "names no function"),
        ("missing", "weighted", "names no function"),
        ("nowhere.npz", "weighted", "is no npz file"),
        ("nowhere.npz", "weighted", "there is no such file"),
    ],
)
def test_what_cannot_be_built_says_why_and_writes_nothing(
    source: str, function: str, words: str, tmp_path: Path
) -> None:
    code, said = build(tmp_path / "out", source, function=function)
    assert code == 1 and words in said, said
    assert not (tmp_path / "out").exists()


def test_a_language_model_is_built_at_several_lengths_whose_weights_are_one_file_and_written_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny_llama(Path("model.gguf"), layers=1, width=32)
    Path("words.txt").write_text("hello the world and an hello world, it's 12 on the world. " * 30)
    arguments = ["model", "build", "model.gguf", "--samples", "words.txt", "--length", "12,20", "-o", "model"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    programs = {length: Program.load(f"model/{length}") for length in (12, 20)}
    assert [program.header.inputs[0].shape for program in programs.values()] == [(12,), (20,)]
    nodes = [{p.name: p.stat().st_ino for p in Path(f"model/{length}/constants").iterdir()} for length in programs]
    both = nodes[0].items() & nodes[1].items()
    shared = sum(Path("model/12/constants", name).stat().st_size for name, _ in both)
    # All but what depends on positions.
    assert shared > 0.9 * sum(array.nbytes for array in programs[12].constants.values())
    assert f"shared    {shared:,} bytes" in result.output
    (block,) = re.findall(r"^```python\n(from prover import load,.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    # A conversation in this model's template is longer than such short programs.
    block = block.replace("(128, 512)", "(12, 20)").replace("language.question(", "language.tokenizer.encode(")
    exec(compile(block, "models.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    ("length", "words"), [("12,x", "is no length"), ("1", "at least 2"), ("8,8", "different lengths")]
)
def test_lengths_that_are_none_are_refused(length: str, words: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["model", "build", "x.gguf", "--length", length, "-o", str(tmp_path / "out")])
    assert result.exit_code == 2 and words in result.output, result.output
