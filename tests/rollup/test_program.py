"""Programs on disk: what is loaded has the root that was saved, or is refused with the file's name."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from rollup.errors import EncodingError, ProgramError
from rollup.form.constants import constant_root
from rollup.form.program import Program
from rollup.merkle import hash_descriptor, hash_header, hash_interface
from rollup.types import Gindex, Root
from tests.e2e.toy_program import toy_program
from tests.lockstep.programs import draw
from tests.prover import hand

SEED = 7


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Program, Path]:
    program, _ = draw(SEED)
    program.save(tmp_path / "model")
    return program, tmp_path / "model"


@pytest.mark.parametrize("seed", range(12))
def test_saved_programs_load_as_they_were(seed: int, tmp_path: Path) -> None:
    program, _ = draw(seed)
    program.save(tmp_path)
    loaded = Program.load(tmp_path)
    assert loaded.id == program.id
    assert loaded.header == program.header
    assert loaded.ops == program.ops
    assert loaded.constants.keys() == program.constants.keys()
    for root, array in program.constants.items():
        np.testing.assert_array_equal(loaded.constant(root), array)


def test_every_damaged_byte_is_noticed(saved: tuple[Program, Path]) -> None:
    """Flips bytes of every file: the program is refused by an EncodingError, or its meaning is untouched."""
    program, folder = saved
    rng = random.Random(SEED)
    refused = accepted = 0
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) > 1
    for path in files:
        original = path.read_bytes()
        places = range(len(original)) if len(original) < 200 else rng.sample(range(len(original)), 200)
        for at in places:
            damaged = bytearray(original)
            damaged[at] ^= rng.randint(1, 255)
            path.write_bytes(bytes(damaged))
            try:
                loaded = Program.load(folder)
            except EncodingError:
                refused += 1
                continue
            accepted += 1
            assert path.name == "manifest.json", f"a damaged constant {path.name} was accepted"
            assert loaded.id == program.id
            assert loaded.ops == program.ops
            assert loaded.header == program.header
        path.write_bytes(original)
    assert refused > 300
    assert accepted < refused


def test_cut_files_are_refused(saved: tuple[Program, Path]) -> None:
    _, folder = saved
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        original = path.read_bytes()
        path.write_bytes(original[: len(original) // 2])
        with pytest.raises(EncodingError):
            Program.load(folder)
        path.write_bytes(original)


def test_missing_files_are_named(saved: tuple[Program, Path], tmp_path: Path) -> None:
    _, folder = saved
    with pytest.raises(EncodingError, match=r"holds no manifest\.json"):
        Program.load(tmp_path / "nowhere")
    constant = next((folder / "constants").iterdir())
    constant.unlink()
    with pytest.raises(EncodingError, match=constant.name):
        Program.load(folder)


def test_another_models_descriptor_changes_the_id_and_is_refused(saved: tuple[Program, Path]) -> None:
    _, folder = saved
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["ops"] = [*manifest["ops"][1:], manifest["ops"][0]]
    path.write_text(json.dumps(manifest))
    with pytest.raises(EncodingError, match="was altered"):
        Program.load(folder)


def test_a_manifest_that_is_no_object_is_refused(saved: tuple[Program, Path]) -> None:
    _, folder = saved
    (folder / "manifest.json").write_text("[1, 2]")
    with pytest.raises(EncodingError, match="no program of format"):
        Program.load(folder)


def test_a_constant_that_is_not_held_is_named() -> None:
    program, _ = draw(SEED)
    with pytest.raises(ProgramError, match="0101010101"):
        program.constant(Root(b"\x01" * 32))


def test_the_id_commits_to_header_interface_and_descriptors_in_order() -> None:
    program = toy_program()
    depth = program.tree.depth
    first = 1 << depth
    assert program.tree.node(Gindex(first)) == hash_header(program.header_bytes)
    assert program.tree.node(Gindex(first + 1)) == hash_interface(program.interface_bytes)
    for j, data in enumerate(program.descriptors, start=2):
        assert program.tree.node(Gindex(first + j)) == hash_descriptor(data)
    assert program.tree.node(Gindex(first + 2 + len(program.ops))) == bytes(32)


def test_trace_indices_are_located() -> None:
    program = hand.recurrent(6, 4)
    assert [program.locate(value) for value in range(2, 9)] == [(0, t) for t in range(6)] + [(1, 0)]
    assert [value for value, _, _ in program.op_values()] == list(range(2, 9))
    assert program.type_of(0) == (24, 2)
    assert program.type_of(8) == (4, 4)
    assert program.type_of(9) == (0, 1)
    for outside in (1, 9):
        with pytest.raises(ProgramError, match=f"trace value {outside} is no op"):
            program.locate(outside)


def test_constant_root_is_of_little_endian_bytes() -> None:
    array = np.arange(700, dtype=np.int32)
    assert constant_root(array) == constant_root(array.astype(">i4"))
    assert constant_root(array) != constant_root(array.astype(np.int16))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": ' + "9" * 5000 + "}"])
def test_hostile_json_is_refused(text: str, saved: tuple[Program, Path]) -> None:
    _, folder = saved
    (folder / "manifest.json").write_text(text)
    with pytest.raises(EncodingError, match=r"manifest\.json is not JSON"):
        Program.load(folder)


def test_deep_json_is_refused_whatever_the_recursion_limit(saved: tuple[Program, Path]) -> None:
    _, folder = saved
    (folder / "manifest.json").write_text('{"meta": "]]]]", "x": ' + "[" * 100_000)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    try:
        with pytest.raises(EncodingError, match="nests more than 200 levels deep"):
            Program.load(folder)
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("name", ["manifest.json", "constants"])
def test_what_is_no_regular_file_is_refused(name: str, saved: tuple[Program, Path]) -> None:
    _, folder = saved
    path = folder / name if name.endswith("json") else next((folder / name).iterdir())
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(EncodingError, match="no regular file"):
        Program.load(folder)
