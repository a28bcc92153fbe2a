"""Packed weights that were kept are mapped, are what would be packed now, and are shared; what is not whole is packed again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from prover.executor import Executor
from prover.executor.kernels import native, prepare
from prover.executor.kernels.native import PACKED
from prover.start.place import private
from prover.start.weights import DIGEST_BYTES, KeptWeights
from rollup.form.ops import Monoid, Value
from rollup.form.program import Program
from rollup.machine.reference import run
from rollup.types import DType
from tests.prover import hand

SIZE = 3 * 4096 + 100
RIGHT = np.arange(SIZE, dtype=np.uint8)
PACKING = """
import sys
from pathlib import Path
import numpy as np
from prover.start.weights import KeptWeights
name, size, made = "weights", int(sys.argv[2]), []
found = KeptWeights(Path(sys.argv[1])).array(name, size, lambda: made.append(1) or np.arange(size, dtype=np.uint8))
assert np.array_equal(found, np.arange(size, dtype=np.uint8)) and isinstance(found, np.memmap)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return private(tmp_path / "packed")


def packed_again(folder: Path, name: str = "weights") -> bool:
    """Whether the weights had to be packed; they are right in any case."""
    made = []

    def make() -> np.ndarray:
        made.append(name)
        return RIGHT.copy()

    np.testing.assert_array_equal(KeptWeights(folder).array(name, SIZE, make), RIGHT)
    return bool(made)


def test_what_was_kept_is_mapped_and_nobody_writes_into_it(folder: Path) -> None:
    kept = KeptWeights(folder)
    first = kept.array("weights", SIZE, RIGHT.copy)
    again = kept.array("weights", SIZE, lambda: pytest.fail("it was kept"))
    for found in (first, again):
        assert isinstance(found, np.memmap) and not found.flags.writeable and found.ctypes.data % 64 == 0
        np.testing.assert_array_equal(found, RIGHT)
    assert [path.stat().st_mode & 0o022 for path in folder.iterdir()] == [0]


def flip(at: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)

    return change


def linked(path: Path) -> None:
    moved = path.rename(path.with_name("elsewhere"))
    path.symlink_to(moved)


@pytest.mark.parametrize(
    "change",
    [
        flip(0),
        flip(SIZE - 1),
        flip(-1),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:SIZE]),
        lambda path: path.write_bytes(path.read_bytes() + b"more"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(bytes(SIZE + DIGEST_BYTES)),
        lambda path: path.chmod(0o666),
        linked,
    ],
    ids=[
        "first byte",
        "last byte",
        "digest",
        "cut",
        "no digest",
        "longer",
        "empty",
        "zeros",
        "open to others",
        "a link",
    ],
)
def test_a_file_that_is_not_whole_or_not_one_s_own_is_packed_again(change: Callable[[Path], Any], folder: Path) -> None:
    assert packed_again(folder) and not packed_again(folder)
    (path,) = folder.iterdir()
    change(path)
    assert packed_again(folder)


def test_a_file_under_another_name_is_none(folder: Path) -> None:
    assert packed_again(folder, "weights") and packed_again(folder, "others")
    one, other = folder.iterdir()
    shutil.copy(one, other)
    assert [packed_again(folder, name) for name in ("weights", "others")].count(True) == 1


def test_what_cannot_be_kept_stays_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert packed_again(tmp_path / "file" / "folder") and packed_again(tmp_path / "file" / "folder")


def test_weights_that_are_read_stay_when_their_file_is_replaced_or_removed(folder: Path) -> None:
    kept = KeptWeights(folder)
    found = kept.array("weights", SIZE, RIGHT.copy)
    (path,) = folder.iterdir()
    path.unlink()
    kept.array("weights", SIZE, RIGHT.copy)
    np.testing.assert_array_equal(found, RIGHT)


def test_processes_that_pack_at_the_same_time_leave_one_whole_file(folder: Path) -> None:
    size = 1 << 22
    command = [sys.executable, "-c", PACKING, str(folder), str(size)]
    processes = [subprocess.Popen(command, env=os.environ) for _ in range(3)]
    assert [process.wait(timeout=300) for process in processes] == [0, 0, 0]
    (path,) = folder.iterdir()
    assert path.stat().st_size == size + DIGEST_BYTES


# Programs


def product(rows: int, seed: int = 3) -> Program:
    """Of int16 activations with 192 KiB of weights."""
    draft = hand.drafted(DType.I16, (rows, 256))
    weights = draft.constant(np.random.default_rng(seed).integers(-99, 99, (384, 256), np.int16))
    accesses = [
        hand.access(Value(0), DType.I16, (rows, 256), [{0: 1}, {2: 1}]),
        hand.access(weights, DType.I16, (384, 256), [{1: 1}, {2: 1}]),
    ]
    draft.add(Monoid.SUM, DType.I32, 2, (rows, 384), (256,), accesses)
    return draft.program()


def right(machine: Executor, rows: int) -> bool:
    inputs = [hand.extreme(DType.I16, (rows, 256), rows)]
    return np.array_equal(machine.outputs(inputs)[0], run(machine.program, inputs)[-1])


def test_an_executor_uses_the_mapped_file_in_place_and_packs_nothing_in_its_second_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert right(Executor(product(6), weights=KeptWeights(folder)), 6)
    (path,) = folder.iterdir()
    monkeypatch.setattr(prepare, "packed", lambda *given: pytest.fail("it was packed in the first start"))
    second = Executor(product(6), weights=KeptWeights(folder))
    (held,) = (array for name, array in second.constants.items() if name.endswith(PACKED))
    assert any(begin <= held.unsafe_buffer_pointer() < end for begin, end in mapped(path))
    assert right(second, 6)
    # A program of other lengths has the same weights; one of other weights has not.
    assert right(Executor(product(9), weights=KeptWeights(folder)), 9)
    monkeypatch.undo()
    assert right(Executor(product(6, seed=4), weights=KeptWeights(folder)), 6)
    assert len(list(folder.iterdir())) == 2


def mapped(path: Path) -> list[tuple[int, int]]:
    """Where this process has the file in its memory."""
    ranges = [line.split()[0] for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(path))]
    return [(int(begin, 16), int(end, 16)) for begin, _, end in (found.partition("-") for found in ranges)]


def test_a_damaged_file_changes_no_output(folder: Path) -> None:
    assert right(Executor(product(6), weights=KeptWeights(folder)), 6)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    flip(1000)(path)
    assert right(Executor(product(6), weights=KeptWeights(folder)), 6)
    assert path.read_bytes() == whole


def test_without_native_kernels_nothing_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library", lambda: None)
    assert right(Executor(product(6), weights=KeptWeights(folder)), 6)
    assert list(folder.iterdir()) == []


def test_compiled_stages_have_the_same_names_whether_constants_are_mapped_or_not(tmp_path: Path) -> None:
    def names(program: Program) -> list[str]:
        store = Names()
        Executor(program, self_test=False, code=store).values([hand.extreme(DType.I16, (6, 256))])
        return store.names

    product(6).save(tmp_path / "program")
    found = names(Program.load(tmp_path / "program"))
    assert found == names(product(6)) and len(found) == 1


class Names:
    """A store that keeps nothing but names."""

    def __init__(self) -> None:
        self.names: list[Hashable] = []

    def load(self, name: str) -> None:
        self.names.append(name)

    def compile(self, name: str, lowered: jax.stages.Lowered) -> Callable[..., Any]:
        return lowered.compile()
