"""Models that somebody else made, as files: from the command line to a program on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from rollup.form.program import Program
from tests.models.tiny_llama import write_tiny_llama
from touchstone.cli import main
from touchstone.models.origins import opened
from touchstone.models.samples import MOST_WINDOWS, read_samples

TEXT = "hello the world and an hello world, it's 12 on the world. "


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["model", *arguments])
    return result.exit_code, result.output


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """features float32[batch, 8], rate int64[] -> probabilities: a softmax of a product, sliced by the rate."""
    random = np.random.default_rng(0)
    weights = numpy_helper.from_array((random.normal(size=(8, 4)) / 3).astype(np.float32), "weights")
    axis = numpy_helper.from_array(np.array([1], np.int64), "axis")
    zero = numpy_helper.from_array(np.array([0], np.int64), "zero")
    nodes = [
        helper.make_node("Slice", ["features", "zero", "rate", "axis"], ["kept"]),
        helper.make_node("MatMul", ["kept", "weights"], ["hidden"]),
        helper.make_node("Softmax", ["hidden"], ["probabilities"]),
    ]
    inputs = [
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 9]),
        helper.make_tensor_value_info("rate", TensorProto.INT64, [1]),
    ]
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 4])]
    graph = helper.make_graph(nodes, "net", inputs, outputs, [weights, axis, zero])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "net.onnx")
    np.savez(tmp_path / "samples.npz", features=random.normal(size=(10, 9)).astype(np.float32))
    return tmp_path


def test_an_onnx_file_becomes_a_program_with_its_own_names(net: Path) -> None:
    arguments = ["build", str(net / "net.onnx"), "-o", str(net / "out"), "--fix", "rate=[8]"]
    code, said = invoke(*arguments, "--samples", str(net / "samples.npz"), "--target", "kl=1e-6")
    assert code == 0 and "the cheapest that meets kl=1e-06" in said, said
    program = Program.load(net / "out")
    assert program.meta["name"] == "net"
    assert [port.name for port in program.interface.inputs] == ["features"]
    assert [port.name for port in program.interface.outputs] == ["probabilities"]
    found = program.meta["fidelity"]
    for which in ("calibration", "held_out"):
        assert [output["name"] for output in found[which]["outputs"]] == ["probabilities"]
    code, said = invoke("show", str(net / "out"), "--json")
    assert code == 0 and json.loads(said)["fidelity"]["held_out"]["samples"] == 2
    code, said = invoke("show", str(net / "out"))
    assert code == 0 and "input     features, float32, value 0: i" in said and "as the model's author says" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "it takes features float32[batch, 9], rate int64[1]: give --samples FILE.npz"),
        (["--samples", "samples.npz"], "give one array for each"),
        (["--samples", "samples.npz", "--fix", "speed=1"], "no input 'speed'"),
        (["--samples", "samples.npz", "--fix", "rate=fast"], "--fix rate=fast"),
        (["--samples", "samples.npz", "--fix", 'rate=["x"]'], "can't be fixed"),
    ],
)
def test_what_an_onnx_file_still_needs_is_said(
    net: Path, options: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(net)
    code, said = invoke("build", "net.onnx", "-o", "out", *options)
    assert code in (1, 2) and words in said, said
    assert not (net / "out").exists()


def test_a_damaged_file_is_one_sentence_and_nothing_is_written(tmp_path: Path) -> None:
    for name in ("net.onnx", "llm.gguf"):
        (tmp_path / name).write_bytes(b"GGUF" + bytes(40))
        code, said = invoke("build", str(tmp_path / name), "-o", str(tmp_path / "out"), "--samples", "x.npz")
        assert code == 1 and name in said and len(said.splitlines()) == 1, said
    assert not (tmp_path / "out").exists()


def test_what_a_language_model_still_needs_is_said(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "tiny.gguf", layers=1, width=32)
    (tmp_path / "words.txt").write_text(TEXT * 4)
    (tmp_path / "empty.txt").write_text("")
    model, words = str(tmp_path / "tiny.gguf"), str(tmp_path / "words.txt")
    for options, said in (
        ([], "give --samples FILE.txt with text"),
        (["--samples", words, "--length", "8", "--target", "kl=1e-3"], "use top1"),
        (["--samples", str(tmp_path / "empty.txt")], "hardly any text"),
        (["--samples", str(tmp_path / "nowhere.txt")], "can't be read as text"),
    ):
        code, output = invoke("build", model, "-o", str(tmp_path / "out"), *options)
        assert code == 1 and said in output, output
    assert not (tmp_path / "out").exists()


def test_a_text_becomes_samples_of_the_length_asked_for(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "tiny.gguf", layers=1, width=32)
    (tmp_path / "words.txt").write_text(TEXT * 300)
    origin = opened(str(tmp_path / "tiny.gguf"))
    samples = read_samples(str(tmp_path / "words.txt"), origin, 16)
    assert len(samples) == MOST_WINDOWS
    assert all(tokens.shape == (16,) and (prompt, length) == (15, 16) for tokens, prompt, length, *_ in samples)
    (tmp_path / "short.txt").write_text("hello the world")
    ((tokens, prompt, length, *_),) = read_samples(str(tmp_path / "short.txt"), origin, 16)
    assert tokens.shape == (16,) and prompt + 1 == length < 16


def test_every_sample_begins_as_the_tokenizer_begins_a_text(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "tiny.gguf", layers=1, width=32, metadata={"tokenizer.ggml.add_bos_token": True})
    (tmp_path / "words.txt").write_text(TEXT * 30)
    origin = opened(str(tmp_path / "tiny.gguf"))
    assert origin.language is not None
    tokenizer = origin.language.tokenizer
    samples = read_samples(str(tmp_path / "words.txt"), origin, 16)
    assert len(samples) > 5 and tokenizer.prefix == [1]
    rows = [tokens.tolist() for tokens, *_ in samples]
    assert all(row[0] == 1 for row in rows)
    assert [token for row in rows for token in row[1:]] == tokenizer.encode(TEXT * 30)[1 : 1 + 15 * len(rows)]


def test_the_program_that_embeds_texts_is_built_audited_and_taken_for_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny_llama(Path("model.gguf"), layers=1, width=32)
    Path("words.txt").write_text("hello the world and an hello world, it's 12 on the world. " * 30)
    arguments = [
        "model",
        "build",
        "model.gguf",
        "--embedding",
        "--samples",
        "words.txt",
        "--length",
        "12,20",
        "-o",
        "model",
    ]
    result = CliRunner().invoke(main, [*arguments, "--target", "cos=0.9999"])
    assert result.exit_code == 0, result.output
    for length in (12, 20):
        program = Program.load(f"model/{length}")
        assert [port.name for port in program.interface.inputs] == ["tokens", "length"]
        assert {port.name for port in program.interface.outputs} == {"accepted", "embedding"}
        assert program.header.inputs[0].shape == (length,) and program.meta["name"] == "model-embedding"
    audited = CliRunner().invoke(
        main, ["model", "audit", "model/12", "--against", "model.gguf", "--samples", "words.txt", "--within", "0.01"]
    )
    assert audited.exit_code == 0 and "embedding: largest difference" in audited.output, audited.output
    asked = CliRunner().invoke(main, ["generate", "model.gguf", "hello", "--folder", "model/12"])
    assert asked.exit_code == 1 and "holds no language model's program" in asked.output
    other = CliRunner().invoke(main, ["model", "build", "net.onnx", "--embedding", "--samples", "x.npz", "-o", "out"])
    assert other.exit_code == 1 and "net.onnx is no GGUF file" in other.output
