"""``docs/models.md``: its commands work as they stand, and its tables name what the manifest holds."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from prover.fidelity import Fidelity, OutputFidelity
from prover.lowering.precision import Compared
from prover.lowering.targets import MEASURES, FormatTrial
from prover.saturation import Saturated
from rollup.form.program import Program
from tests.models.tiny_llama import write_tiny_llama
from touchstone.cli import main
from touchstone.models.anatomy import Part, anatomy

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]


def write_files(folder: Path) -> None:
    """The files that the page's reader has: a network, a tiny language model, inputs and text."""
    random = np.random.default_rng(0)
    weights = numpy_helper.from_array((random.normal(size=(8, 4)) / 3).astype(np.float32), "weights")
    nodes = [helper.make_node("MatMul", ["x", "weights"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n]) for name, n in (("x", 8), ("y", 4))]
    graph = helper.make_graph(nodes, "net", ports[:1], ports[1:], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), folder / "net.onnx")
    np.savez(folder / "net.npz", x=random.normal(size=(10, 8)).astype(np.float32))
    write_tiny_llama(folder / "model.gguf", layers=1, width=32)
    (folder / "words.txt").write_text("hello the world and an hello world, it's 12 on the world. " * 30)


def test_every_command_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    monkeypatch.chdir(tmp_path)
    said = {}
    assert len(COMMANDS) == 8
    for command in COMMANDS:
        name, *arguments = shlex.split(command)
        assert name == "touchstone"
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, f"{command}\n{result.output}"
        said[command] = result.stdout
    for folder in ("wine", "net", "model", "embedding"):
        assert Program.load(folder).meta["fidelity"]["held_out"]["samples"] > 0
    assert Path("wine.svg").read_text().startswith("<svg")
    program = Program.load("model")
    assert [port.name for port in program.interface.inputs] == [
        *("tokens", "prompt", "length"),
        *("seed", "temperature", "top_p", "top_k", "cuts"),
    ]
    assert [tensor.shape for tensor in program.header.inputs] == [(48,), (), (), (2,), (), (), (), (2, 48)]
    for folder in ("model", "embedding"):
        assert Program.load(folder).meta["fidelity"]["target"]["attempts"][-1]["met"]
    answered = [command for command in COMMANDS if command.startswith("touchstone generate")]
    assert len(answered) == 2
    for command in answered:
        written = dict(
            line.split(maxsplit=1) for line in said[command].splitlines() if re.match(r"[a-z]+ {2,}\S", line)
        )
        assert written["model"] == f"0x{Program.load('model').id.hex()}, 48 positions"
        assert "the program gives the same output" in written["watcher"]
        assert written["state"] == "final"
    assert said[COMMANDS[-1]].splitlines()[-1] == "precision is lost nowhere"
    result = CliRunner().invoke(main, [*shlex.split(COMMANDS[-1])[1:], "--json"])
    values = json.loads(result.stdout)["values"]
    assert [one["name"].split()[0] for one in values] == ["input", "dot_general", "dot_general"]
    assert all(one["rms"] is None or one["rms"] < 1e-4 for one in values) and values[-1]["rms"] > 0
    assert not any(one["saturated"] or one["lost"] for one in values)


def test_every_field_and_every_measure_is_explained() -> None:
    explained = set(re.findall(r"\w+", PAGE))
    for kind in (Fidelity, OutputFidelity, Saturated, FormatTrial, Part, Compared):
        assert {field.name for field in fields(kind)} <= explained
    shown = anatomy(_program()).to_json()
    assert set(json.loads(json.dumps(shown))) <= explained
    assert all(f"--target {measure}=" in PAGE for measure in MEASURES)


def _program() -> Program:
    from tests.touchstone.test_show import layers

    return layers(1)
