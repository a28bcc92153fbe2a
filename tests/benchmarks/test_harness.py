"""The harness itself, run in earnest on a digits network: what it measures is there and equal to the reference, what fails is told."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.claims import CLAIM, PROGRAM, SentClaim
from benchmarks.jobs import Jobs
from benchmarks.kinds import BETWEEN_VALUES, ELEMENTS, KINDS, PRODUCTS
from benchmarks.machine import restricted
from benchmarks.results import COMMITMENT, JAX, OUTPUT, THREADS, WATCHER, Results, onnx_name
from benchmarks.run import chosen
from benchmarks.subjects.every import FORMATS as BITS
from benchmarks.subjects.every import subjects
from challenger.play.trace import ValueTrace
from rollup.claim import arrays, join, output_types
from rollup.form.program import MANIFEST, Program
from rollup.machine import reference

FORMATS = "w16a16"
SUBJECTS = ("digits-mlp",)
EVERYBODY = {JAX, *map(onnx_name, THREADS), OUTPUT, COMMITMENT, WATCHER}


@dataclass(frozen=True)
class Quick:
    """A quick run: its results file, the programs that it kept, its exit code."""

    file: Path
    programs: Path
    code: int

    @property
    def results(self) -> Results:
        return Results.load(self.file)

    def folder(self, subject: str) -> Path:
        return Jobs(self.programs, 1).folder(subject, FORMATS)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Quick:
    folder = tmp_path_factory.mktemp("benchmarks")
    file, programs = folder / "quick.json", folder / "programs"
    kept = ["--json", str(file), "--programs", str(programs), "--quick"]
    code = main(["--only", f"^digits-mlp {FORMATS}", *kept])
    code = max(code, main(["profile", f"digits-mlp {FORMATS}", *kept]))
    return Quick(file, programs, code)


def test_every_contestant_of_every_workload_has_a_time_for_each_round(quick: Quick) -> None:
    results = quick.results
    assert quick.code == 0
    assert [one.subject for one in results.measured] == list(SUBJECTS)
    assert [timed.workload.rsplit(", ", 1)[1] for _, timed in results.timed()] == ["batch 1", "batch 4"] * len(SUBJECTS)
    for one, timed in results.timed():
        assert one.failed == "" and timed.missing == {}
        assert timed.seconds.keys() == EVERYBODY
        assert all(len(times) == results.rounds and min(times) > 0 for times in timed.seconds.values())


@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_was_timed_computes_what_the_reference_computes(quick: Quick, subject: str) -> None:
    program = Program.load(quick.folder(subject) / PROGRAM)
    claim = SentClaim.load(quick.folder(subject) / CLAIM)
    values = reference.run(program, arrays(claim.inputs, program.header.inputs, "input"))
    outputs = join([values[value] for value, _ in program.header.outputs], output_types(program.header))
    measured = quick.results.find(f"{subject} {FORMATS}")
    assert measured is not None and measured.program == program.id.hex()
    for timed in measured.workloads:
        assert timed.outputs == hashlib.sha256(outputs).hexdigest()
        assert timed.trace_root == ValueTrace(program, values).root.hex()


def test_provers_and_watchers_start_with_empty_and_with_filled_caches(quick: Quick) -> None:
    for one in quick.results.measured:
        kinds = [(start.role, start.caches) for start in one.starts]
        assert kinds == [(role, caches) for role in ("prover", "watcher") for caches in ("cold", "warm")]
        assert all(start.seconds > 0 and start.before < start.after <= start.peak for start in one.starts)
        held = Program.load(quick.folder(one.subject) / PROGRAM).constants.values()
        assert {start.constants for start in one.starts} == {sum(array.nbytes for array in held)}


def test_a_profile_has_every_op_once_by_kind(quick: Quick) -> None:
    measured = quick.results.find(f"digits-mlp {FORMATS}")
    assert measured is not None and measured.profile is not None
    rows = {kind: count for kind, count, _ in measured.profile["kinds"]}
    assert rows.keys() <= set(KINDS)
    ops = len(Program.load(quick.folder("digits-mlp") / PROGRAM).ops)
    assert rows[PRODUCTS] == 3
    assert sum(rows.get(kind, 0) for kind in (PRODUCTS, BETWEEN_VALUES, ELEMENTS)) == ops
    floor = measured.profile["floor"]
    assert floor["multiplications"] == float(f"{64 * 256 + 256 * 128 + 128 * 10:.4g}")
    assert 0 < floor["seconds"] < measured.profile["pass_seconds"]


def test_results_of_the_same_kind_join_a_file_and_others_are_refused(
    quick: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = ["--json", str(quick.file), "--programs", str(quick.programs)]
    assert main(["--only", "no such subject", "--quick", "--repeats", "5", *kept]) == 1
    assert re.search("was measured with another .*rounds; name another file", capsys.readouterr().err)


def test_what_fails_is_told_by_name_and_the_rest_goes_on(
    quick: Quick, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = tmp_path / "programs"
    # A program that is not what its id says: as if the disk had a bad block.
    broken = Jobs(programs, 1).folder("digits-mlp", FORMATS)
    broken.parent.mkdir(parents=True)
    broken.symlink_to(_damaged(quick.folder("digits-mlp"), tmp_path / "damaged"))
    file = tmp_path / "found.json"
    pattern = f"digits-mlp (w8a16|{FORMATS})"
    assert main(["profile", pattern, "--quick", "--json", str(file), "--programs", str(programs)]) == 1
    results = Results.load(file)
    failed, other = results.find(f"digits-mlp {FORMATS}"), results.find("digits-mlp w8a16")
    assert failed is not None and failed.failed.startswith("prepare: ") and failed.profile is None
    assert other is not None and other.failed == "" and other.profile is not None
    assert f"- digits-mlp {FORMATS} FAILED: {failed.failed}" in capsys.readouterr().out


def test_what_there_is_no_time_for_is_left_out_by_name_and_what_was_measured_stays(
    quick: Quick, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = ["--only", f"digits-mlp {FORMATS}", "--quick", "--programs", str(quick.programs), "--minutes", "0"]
    for file, found in ((tmp_path / "new.json", False), (quick.file, True)):
        before = Results.load(file) if found else None
        assert main([*kept, "--json", str(file)]) == 1
        assert (
            f"digits-mlp {FORMATS}: left out, prepare: the time for all measurements was over"
            in capsys.readouterr().out
        )
        results = Results.load(file)
        if before is None:
            assert results.measured == [] and "time" in results.left_out[f"digits-mlp {FORMATS}"]
        else:
            assert results.measured == before.measured and results.left_out == before.left_out


def test_lowering_for_later_measures_nothing(quick: Quick, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    kept = ["--quick", "--programs", str(quick.programs), "--json", str(file)]
    assert main(["prepare", "--only", f"digits-mlp {FORMATS}", *kept]) == 0
    (one,) = Results.load(file).measured
    assert one.program and not one.workloads and not one.starts


def test_every_subject_is_measured_in_its_usual_formats_unless_others_are_asked_for() -> None:
    names = [f"{one.key} {formats}" for one, formats in chosen(None)]
    assert {one.key for one, _ in chosen(None)} == {one.key for one in subjects()}
    assert [name for name in names if "smollm2-128" in name] == [f"smollm2-128 {formats}" for formats in BITS]
    assert [formats for _, formats in chosen("smollm2-16 ")] == list(BITS)
    assert [one.key for one, _ in chosen("block-512 w8a16")] == ["block-512"]


def _damaged(folder: Path, target: Path) -> Path:
    """A copy of a prepared folder with one byte changed in the program's largest file."""
    for file in folder.rglob("*"):
        if file.is_file():
            copy = target / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    largest = max((f for f in (target / PROGRAM).rglob("*") if f.is_file() and f.name != MANIFEST), key=_size)
    data = bytearray(largest.read_bytes())
    data[-1] ^= 1
    largest.write_bytes(data)
    return target


def _size(file: Path) -> int:
    return file.stat().st_size


def test_an_instruction_set_joins_the_flags_that_are_set_already() -> None:
    found = restricted({"XLA_FLAGS": "--xla_a=1", "HOME": "/x"}, "avx2")
    assert found["XLA_FLAGS"] == "--xla_a=1 --xla_cpu_max_isa=AVX2" and found["HOME"] == "/x"
    assert restricted({"HOME": "/x"}, None) == {"HOME": "/x"}


def test_a_claim_comes_back_from_its_file(tmp_path: Path) -> None:
    claim = SentClaim(np.arange(3, dtype=np.int16).tobytes(), b"\1\2", bytes(32))  # type: ignore[arg-type]
    claim.save(tmp_path / CLAIM)
    assert SentClaim.load(tmp_path / CLAIM) == claim
