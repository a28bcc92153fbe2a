"""The command line: what it prints, and how it fails."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from prover import lower
from rollup.form.encoding import TensorType, TracePolicy
from rollup.form.program import Program
from rollup.types import DType
from tests.e2e.toy_program import toy_program
from touchstone.cli import main


@pytest.fixture
def program() -> Program:
    return toy_program(TracePolicy.WITH_CLAIM)


@pytest.fixture
def folder(program: Program, tmp_path: Path) -> Path:
    program.save(tmp_path / "program")
    return tmp_path / "program"


def test_version_is_that_of_the_distribution() -> None:
    assert CliRunner().invoke(main, ["--version"]).output.split()[-1] == version("touchstone-rollup")


def test_help_waits_for_no_library_that_a_command_may_need() -> None:
    heavy = "{'jax', 'web3', 'numpy', 'sqlalchemy', 'fastapi', 'onnx', 'sklearn', 'rich'}"
    code = f"import sys; from touchstone.cli import main; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr


def test_show_names_the_model_and_every_op(program: Program, folder: Path) -> None:
    result = CliRunner().invoke(main, ["model", "show", str(folder)])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].split() == ["model", program.id.hex()]
    assert len([line for line in lines if line.split()[:1] and line.split()[0].isdigit()]) == len(program.ops) + 1
    assert len([line for line in lines if line.startswith("input ")]) == len(program.header.inputs)
    assert len([line for line in lines if line.startswith("output ")]) == len(program.header.outputs)


def test_audit_of_a_sound_program_succeeds(program: Program, tmp_path: Path) -> None:
    op = program.ops[0]
    output = TensorType(op.dtype, 0, op.shape)
    sound = Program.build(program.header.inputs, [(op.first, output)], [op], {}, names=["scale"])
    sound.save(tmp_path / "program")
    result = CliRunner().invoke(main, ["model", "audit", str(tmp_path / "program")])
    assert result.exit_code == 0, result.output
    assert sound.id.hex() in result.output
    assert result.output.rstrip().endswith("no findings")


def test_audit_of_a_program_that_overflows_names_rule_and_op_and_fails(program: Program, tmp_path: Path) -> None:
    op = replace(program.ops[0], dtype=DType.I8)
    output = TensorType(op.dtype, 0, op.shape)
    Program.build(program.header.inputs, [(op.first, output)], [op], {}, names=["scale"]).save(tmp_path / "program")
    result = CliRunner().invoke(main, ["model", "audit", str(tmp_path / "program")])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("[overflow] op 0 (scale): ")


def test_a_damaged_program_is_one_sentence_on_stderr(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")
    for command in ("show", "audit"):
        result = CliRunner().invoke(main, ["model", command, str(folder)])
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr.startswith("touchstone: ")
        assert len(result.stderr.splitlines()) == 1
        assert "manifest.json" in result.stderr


def doubled(x: np.ndarray) -> np.ndarray:
    """The float model that the audit below compares with."""
    return 2 * x


def halved(x: np.ndarray) -> np.ndarray:
    return x / 2


@pytest.mark.parametrize(("against", "code"), [("doubled", 0), ("halved", 1)])
def test_audit_compares_with_the_float_model(against: str, code: int, tmp_path: Path) -> None:
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    lower(doubled, x[0], calibration=[(row,) for row in x]).save(tmp_path / "program")
    np.savez(tmp_path / "samples.npz", x=x)
    arguments = ["--against", f"tests.touchstone.test_cli:{against}", "--samples", str(tmp_path / "samples.npz")]
    result = CliRunner().invoke(main, ["model", "audit", str(tmp_path / "program"), *arguments])
    assert result.exit_code == code, result.output
    assert "fidelity over 3 samples" in result.output


@pytest.mark.parametrize(
    ("against", "samples", "words"),
    [
        ("tests.touchstone.test_cli:missing", np.zeros((2, 4), np.float32), "names no function"),
        ("nowhere", np.zeros((2, 4), np.float32), "names no model"),
        (
            "tests.touchstone.test_cli:doubled",
            np.zeros((2, 5), np.float32),
            "input x has shape (5,), the model takes (4,)",
        ),
    ],
)
def test_a_comparison_that_cannot_be_made_says_why(
    against: str, samples: np.ndarray, words: str, tmp_path: Path
) -> None:
    lower(doubled, np.ones(4, np.float32)).save(tmp_path / "program")
    np.savez(tmp_path / "samples.npz", x=samples)
    arguments = ["--against", against, "--samples", str(tmp_path / "samples.npz")]
    result = CliRunner().invoke(main, ["model", "audit", str(tmp_path / "program"), *arguments])
    assert result.exit_code == 1 and words in result.output
