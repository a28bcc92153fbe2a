"""``touchstone model show``: what a program is made of, in a table, as JSON and as a picture."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from prover import Model, lower
from rollup.audit import examine
from rollup.errors import ProgramError
from rollup.form.constants import constant_root
from rollup.form.encoding import TensorType
from rollup.form.ops import Access, Constant, Instr, Monoid, Op, Opcode, Term, Value
from rollup.form.program import Program
from rollup.types import DType
from tests.e2e.toy_program import toy_program
from tests.prover.cases import lstm, reals
from touchstone.cli import main
from touchstone.models.anatomy import anatomy
from touchstone.models.describe import WIDTH, brief, describe
from touchstone.models.drawing import name_of, picture
from touchstone.models.drawing.graph import MOST, graph
from touchstone.models.drawing.repeats import Repeat, repeats
from touchstone.models.fidelity_table import fidelity_table
from touchstone.models.portrait import portrait

SVG = "{http://www.w3.org/2000/svg}"
TOOLTIP = "{http://www.w3.org/1999/xlink}title"


def layers(count: int) -> Program:
    """A residual network of equal layers, unrolled: y = x W, x + y, and so on."""
    weights = np.arange(36, dtype=np.int16)
    at, line = Term(0, 0, 1), Term(1, 1, 1)
    ops, names, x = [], [], 0
    for j in range(count):
        product = (
            Access(Value(x), DType.I16, (3, 6), (0, 0), (at, Term(1, 2, 1))),
            Access(Constant(constant_root(weights)), DType.I16, (6, 6), (0, 0), (Term(0, 1, 1), Term(1, 2, 1))),
        )
        added = tuple(Access(Value(v), DType.I16, (3, 6), (0, 0), (at, line)) for v in (x, 2 * j + 1))
        plus = (Instr(Opcode.LOAD, (1,)), Instr(Opcode.ADD, (0, 1)))
        ops += [
            Op(2 * j + 1, 1, 1, Monoid.SUM, DType.I16, 2, (3, 6), (6,), product, ()),
            Op(2 * j + 2, 1, 1, Monoid.NONE, DType.I16, 1, (3, 6), (), added, plus),
        ]
        names += ["dot_general a/net.py:3 (layer)", "add a/net.py:4 (layer)"]
        x = 2 * j + 2
    tensor = TensorType(DType.I16, 8, (3, 6))
    return Program.build([tensor], [(x, tensor)], ops, {constant_root(weights): weights}, names=names)


@pytest.fixture(scope="module")
def deep() -> Program:
    return layers(40)


@pytest.fixture(scope="module")
def looped() -> Model:
    return lower(lstm(4, 3), reals(12, 3))


def test_the_parts_agree_with_the_audit_and_the_totals_with_the_parts(looped: Model) -> None:
    found, report = anatomy(looped.program), examine(looped.program)
    assert [part.gas for part in found.parts] == [op.bound.gas for op in report.ops]
    assert found.gas == report.gas and found.sound
    assert found.executed == sum(op.repeat for op in looped.program.ops) > len(found.parts)
    assert sum(part.fresh for part in found.parts) == found.constant_bytes
    assert [part.scale for part in found.parts] == looped.program.meta["scales"]
    document = json.loads(json.dumps(found.to_json()))
    assert document["trace_bytes"] == found.trace_bytes and len(document["ops"]) == len(found.parts)
    assert document["fidelity"]["calibration"]["samples"] == 1
    assert document["products"] == {"weighted": found.weighted, "wide": found.wide}
    assert found.weighted >= sum(part.weighted for part in found.parts) >= sum(part.wide for part in found.parts)


def test_the_table_fits_a_terminal_and_has_a_row_an_op(deep: Program) -> None:
    lines = describe(anatomy(deep)).splitlines()
    assert max(map(len, lines)) <= WIDTH
    rows = [line for line in lines if line.split() and line.split()[0].isdigit()]
    assert len(rows) == len(deep.ops) + 1
    assert "dot_general net.py:3 (layer)" in rows[0] and rows[-1].endswith("in all (gas: the dearest)")


@pytest.mark.parametrize(
    ("made_by", "expected"),
    [
        ("add some/where/net.py:12 (Net.__call__.<locals>.<lambda>)", "add net.py:12 (__call__)"),
        ("mul", "mul"),
        ("input x.py:3", "input x.py:3"),
    ],
)
def test_a_source_line_is_shortened_to_file_and_function(made_by: str, expected: str) -> None:
    assert brief(made_by) == expected


def test_a_program_that_is_not_well_formed_is_shown_without_bounds_and_not_drawn(tmp_path: Path) -> None:
    program = toy_program()
    broken = replace(program, ops=(replace(program.ops[0], shape=(0,)), *program.ops[1:]))
    broken.save(tmp_path)
    said = CliRunner().invoke(main, ["model", "show", str(tmp_path)])
    assert said.exit_code == 0 and "not well-formed" in said.output
    said = CliRunner().invoke(main, ["model", "show", str(tmp_path), "--svg", str(tmp_path / "a.svg")])
    assert said.exit_code == 1 and "has no graph" in said.output
    assert not (tmp_path / "a.svg").exists()


def test_json_and_picture_come_from_the_command(looped: Model, tmp_path: Path) -> None:
    looped.save(tmp_path / "model")
    arguments = ["model", "show", str(tmp_path / "model"), "--json", "--svg", str(tmp_path / "a.svg")]
    said = CliRunner().invoke(main, arguments)
    assert said.exit_code == 0, said.output
    assert json.loads(said.output)["model_id"] == "0x" + looped.program.id.hex()
    tree = ElementTree.parse(tmp_path / "a.svg").getroot()
    words = [text.text or "" for text in tree.iter(f"{SVG}text")]
    assert "12 iterations" in words and "xs" in words
    tooltips = [link.get(TOOLTIP, "") for link in tree.iter(f"{SVG}a")]
    for j in range(len(looped.program.ops)):
        assert any(tooltip.startswith(f"op {j}: ") for tooltip in tooltips)


def test_layers_that_were_unrolled_are_drawn_once(deep: Program) -> None:
    found = graph(anatomy(deep))
    (block,) = found.frames
    assert "blocks alike" in block.label
    assert len(found.boxes) < 12 < len(deep.ops)
    assert any(edge.back for edge in found.edges)


def test_a_program_of_many_different_ops_is_drawn_by_stretches(deep: Program) -> None:
    for functions in (3, 1000):
        program = layers(400)
        names = tuple(f"op{j} net.py:{j} (part{j * functions // 800})" for j in range(800))
        found = graph(anatomy(replace(program, names=names)))
        assert functions == 1000 or len(found.boxes) == functions + 1
        assert 3 < len(found.boxes) <= MOST + 1
        places = {box.place for box in found.boxes}
        assert {place for edge in found.edges for place in (edge.source, edge.target)} == places
        assert not any(edge.back for edge in found.edges)


def boxes(picture: ElementTree.Element) -> dict[str, tuple[float, float, float, float]]:
    """(left, top, right, bottom) of every node in a picture, by its name."""
    found = {}
    for group in picture.iter(f"{SVG}g"):
        if group.get("class") == "node":
            path = next(group.iter(f"{SVG}path"))
            numbers = [float(number) for number in re.findall(r"-?[0-9.]+", path.get("d", ""))]
            xs, ys = numbers[::2], numbers[1::2]
            found[group.findtext(f"{SVG}title", "")] = (min(xs), min(ys), max(xs), max(ys))
    return found


def test_no_two_nodes_overlap_and_edges_lead_downwards(deep: Program, looped: Model) -> None:
    for program in (deep, looped.program):
        found = graph(anatomy(program))
        placed = boxes(ElementTree.fromstring(picture(anatomy(program))))
        assert len(placed) == len(found.boxes)
        for one, other in combinations(placed.values(), 2):
            assert one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
        for edge in found.edges:
            if not edge.back:
                assert placed[name_of(edge.source)][3] < placed[name_of(edge.target)][1]


def test_without_graphviz_the_picture_is_refused_in_a_sentence(looped: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    with pytest.raises(ProgramError, match="a picture needs Graphviz; pip install graphviz-pure"):
        picture(anatomy(looped.program))


def test_a_stranger_s_names_stay_text(looped: Model) -> None:
    meta = {"name": "<script>\x00\x1b[31m", "inputs": [{"name": '"&<b>'}], "scales": "none", "fidelity": [1]}
    names = tuple("<text>&\x07 a.py:1 (f)" for _ in looped.program.ops)
    program = replace(looped.program, meta=meta, names=names)
    ElementTree.fromstring(picture(anatomy(program)))
    assert "\x07" not in describe(anatomy(program))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("a" + "bcdefgh" * 4 + "x", [Repeat(1, 7, 4)]),
        ("abcdefghij", []),
        ("", []),
        ("abcd" * 5 + "--" + "wxyzq" * 4, [Repeat(0, 4, 5), Repeat(22, 5, 4)]),
    ],
)
def test_repetitions_are_found_where_they_are(keys: str, expected: list[Repeat]) -> None:
    assert repeats(list(keys)) == expected


def test_a_table_of_nothing_measured_is_empty() -> None:
    assert fidelity_table({"calibration": None, "held out": None}) == []


def test_a_portrait_has_the_figures_of_the_anatomy_and_a_picture_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = layers(2)
    whole, found = portrait(program), anatomy(program)
    assert whole.picture is not None and whole.picture.startswith("<svg")
    shown = (whole.figures["ops"], whole.figures["gas"], whole.figures["trace_bytes"], whole.figures["sound"])
    assert shown == (found.executed, found.gas, found.trace_bytes, True)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert portrait(program) == replace(whole, picture=None)
