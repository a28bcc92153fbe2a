"""Equal constants of saved programs become one file, and nothing else does."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from rollup.archive import Programs
from rollup.form.ops import Instr, Monoid, Opcode, Value
from rollup.form.program import Program
from rollup.links import link_constants
from rollup.types import DType
from tests.prover import hand

Array = np.ndarray

SIZE = 600


def program(*added: int) -> Program:
    """Adds constants to its input, one after the other."""
    draft = hand.drafted(DType.I32, (SIZE,))
    last = 0
    for seed in added:
        constant = draft.constant(np.random.default_rng(seed).integers(-99, 99, SIZE).astype(np.int32))
        accesses = [
            hand.access(Value(last), DType.I64 if last else DType.I32, (SIZE,), [{0: 1}]),
            hand.access(constant, DType.I32, (SIZE,), [{0: 1}]),
        ]
        code = [Instr(Opcode.LOAD, (0,)), Instr(Opcode.LOAD, (1,)), Instr(Opcode.ADD, (1, 2))]
        last = draft.add(Monoid.NONE, DType.I64, 0, (SIZE,), (), accesses, code)
    return draft.program()


def files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (folder / "constants").iterdir()}


def test_equal_constants_are_one_file_and_the_programs_load(tmp_path: Path) -> None:
    for name, seeds in (("one", (1, 2)), ("two", (2, 3)), ("three", (1, 2, 3))):
        program(*seeds).save(tmp_path / name)
    assert link_constants(tmp_path / "two", [tmp_path / "one"]) == 4 * SIZE
    assert link_constants(tmp_path / "three", [tmp_path / "one", tmp_path / "two"]) == 3 * 4 * SIZE
    assert link_constants(tmp_path / "three", [tmp_path / "one", tmp_path / "two"]) == 0
    one, two, three = (files(tmp_path / name) for name in ("one", "two", "three"))
    assert three == {**one, **two}
    assert len(three) == 3
    assert Program.load(tmp_path / "three").id == program(1, 2, 3).id


def test_a_damaged_file_a_symbolic_link_and_a_disk_without_links_leave_a_program_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        program(1, 2).save(tmp_path / name)
    first, second = sorted((tmp_path / "one" / "constants").iterdir())
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    second.rename(tmp_path / "elsewhere")
    second.symlink_to(tmp_path / "elsewhere")
    before = files(tmp_path / "two")
    assert link_constants(tmp_path / "two", [tmp_path / "one", tmp_path / "nowhere"]) == 0
    assert files(tmp_path / "two") == before

    def refused(*_: object) -> None:
        raise OSError("this disk knows no links")

    program(1, 2).save(tmp_path / "three")
    monkeypatch.setattr(os, "link", refused)
    assert link_constants(tmp_path / "two", [tmp_path / "three"]) == 0
    assert files(tmp_path / "two") == before
    assert Program.load(tmp_path / "two").id == program(1, 2).id


def test_a_folder_of_programs_holds_equal_constants_once(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    held = [programs.add(program(*seeds)) for seeds in ((1, 2), (2, 3))]
    one, two = (files(programs.place(program.id)) for program in held)
    assert len({*one.values(), *two.values()}) == 3
    programs.drop(held[0].id)
    assert Programs(tmp_path).get(held[1].id).id == held[1].id
