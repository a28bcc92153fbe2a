"""Nothing that an earlier start found out is used where anything else could come out today."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from prover.executor import Executor, batches
from prover.executor.schedule import SegmentStage
from prover.service.worker import InferenceWorker
from prover.start import Starts, key, place
from prover.start import machine as machines
from prover.start.place import private
from prover.start.starts import AUDIT, KEPT, SELF_TEST
from rollup.errors import InexactMachine, SettingsError
from rollup.form.encoding import TracePolicy
from rollup.machine.reference import run
from rollup.types import ModelId, Root
from tests.e2e.toy_program import toy_inputs, toy_program
from tests.prover.service.world import ProverWorld, model_of_toy
from touchstone.services.starts import STARTS, start_folder

ONE, OTHER = (ModelId(Root(bytes([number]) * 32)) for number in (1, 2))
COMPILING = """
import hashlib, json, sys
from pathlib import Path
import jax
from prover.executor import Executor
from prover.start import Starts
from tests.e2e.toy_program import toy_inputs, toy_program
events = []
jax.monitoring.register_event_listener(lambda event, **more: events.append(event))
starts = Starts(Path(sys.argv[1]))
starts.compile_into()
values = Executor(toy_program(), self_test=False).values(toy_inputs(3))
for number in range(3):
    jax.jit(lambda x: x * 3 + number)(values[0])
starts.seal()
print(json.dumps({
    "hits": events.count("/jax/compilation_cache/cache_hits"),
    "misses": events.count("/jax/compilation_cache/cache_misses"),
    "values": hashlib.sha256(b"".join(value.tobytes() for value in values)).hexdigest(),
}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place for starts, in which nobody but the user can write."""
    return private(tmp_path / "starts")


def ran(folder: Path, model_id: ModelId = ONE, what: str = SELF_TEST) -> bool:
    """Whether a service that starts now runs a test of the program."""
    return Starts(folder).once(model_id, what, lambda: None)


# The key


def cpu(flags: str) -> Callable[[pytest.MonkeyPatch, Path], None]:
    def change(patched: pytest.MonkeyPatch, folder: Path) -> None:
        found = folder / "cpuinfo"
        found.write_text(f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\ncpu MHz\t\t: {os.getpid()}\n\n")
        patched.setattr(key, "CPUINFO", found)

    return change


def patch(target: object, name: str, value: object) -> Callable[[pytest.MonkeyPatch, Path], None]:
    return lambda patched, _: patched.setattr(target, name, value)


def environment(name: str) -> Callable[[pytest.MonkeyPatch, Path], None]:
    return lambda patched, _: patched.setenv(name, "something else")


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("cpu", cpu("fpu sse2 avx2 avx512f")),
        ("cores", patch(key, "_cores", lambda: 1000)),
        ("machine", patch(key.platform, "machine", lambda: "another")),
        ("python", patch(key.sys, "version", "4.0")),
        ("jax", patch(jax, "__version__", "0.0.1")),
        ("jaxlib", patch(key, "version", lambda name: "0.0.1")),
        ("numpy", patch(np, "__version__", "0.0.1")),
        ("code", patch(key, "_code", lambda: "changed")),
        ("switches", environment("XLA_FLAGS")),
        ("switches", environment("TOUCHSTONE_NATIVE")),
        ("switches", environment("JAX_DEFAULT_MATMUL_PRECISION")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_test_runs_again_where_any_part_of_the_key_is_another(
    part: str, change: Callable[[pytest.MonkeyPatch, Path], None], folder: Path, tmp_path: Path
) -> None:
    before = key.parts()
    assert ran(folder) and not ran(folder)
    with pytest.MonkeyPatch.context() as patched:
        change(patched, tmp_path)
        after = key.parts()
        assert {name for name in before if before[name] != after[name]} == {part}
        assert ran(folder) and not ran(folder)
    assert not ran(folder), "what was known of the old key is still known"


def test_a_test_runs_again_where_jax_is_configured_in_another_way(folder: Path) -> None:
    assert ran(folder) and not ran(folder)
    before = jax.config.values["jax_default_matmul_precision"]
    try:
        jax.config.update("jax_default_matmul_precision", "bfloat16")
        assert ran(folder) and not ran(folder)
    finally:
        jax.config.update("jax_default_matmul_precision", before)
    assert not ran(folder)


def test_the_same_cpu_at_another_frequency_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu("fpu sse2")(monkeypatch, tmp_path)
    before = key.parts()
    key.CPUINFO.write_text(key.CPUINFO.read_text().replace(str(os.getpid()), "1"))
    assert key.parts() == before
    cpu("fpu sse2 avx")(monkeypatch, tmp_path)
    assert key.parts()["cpu"] != before["cpu"]


def test_every_source_and_object_counts_with_its_place(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "inner").mkdir(parents=True)
    for name, data in (("a.py", b"one"), ("inner/b.py", b"two"), ("kernels.so", b"\x7fELF")):
        (package / name).write_bytes(data)
    seen = {key.code_of([package])}

    def changed() -> bool:
        before = len(seen)
        seen.add(key.code_of([package]))
        return len(seen) > before

    assert not changed()
    (package / "notes.txt").write_text("no code")
    (package / "a.pyc").write_bytes(b"compiled from a.py")
    assert not changed()
    (package / "inner/b.py").write_bytes(b"twO")
    assert changed()
    (package / "kernels.so").write_bytes(b"\x7fELG")
    assert changed()
    (package / "a.py").rename(package / "inner/a.py")
    assert changed()
    (package / "inner/a.py").unlink()
    assert changed()


# Notes


def test_a_note_is_about_one_program_and_one_test_that_was_passed(folder: Path) -> None:
    def fails() -> None:
        raise InexactMachine("not here")

    with pytest.raises(InexactMachine):
        Starts(folder).once(ONE, SELF_TEST, fails)
    assert ran(folder) and not ran(folder)
    assert ran(folder, OTHER) and ran(folder, ONE, AUDIT)
    Starts(folder).remember(ONE, "timed", {"check": 0.1, "trace": 1.5e-3})
    assert Starts(folder).recall(ONE, "timed") == {"check": 0.1, "trace": 1.5e-3}
    nothing = Starts()
    assert nothing.once(ONE, SELF_TEST, lambda: None) and nothing.once(ONE, SELF_TEST, lambda: None)
    nothing.seal()


def test_notes_that_were_damaged_moved_or_are_open_to_others_are_none(folder: Path) -> None:
    starts = Starts(folder)
    assert starts.folder is not None
    passed = starts.folder / "passed"

    def note(model_id: ModelId) -> Path:
        return passed / f"{model_id.hex()}.{SELF_TEST}"

    assert ran(folder)
    right = note(ONE).read_bytes()
    for wrong in (
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        right[:-1],
        right.replace(b"{}", b'{"check": 1.0}'),
        b'{"figures": 3}',
    ):
        assert wrong != right
        note(ONE).write_bytes(wrong)
        assert starts.recall(ONE, SELF_TEST) is None
    note(ONE).write_bytes(right)
    assert starts.recall(ONE, SELF_TEST) == {}
    shutil.copy(note(ONE), note(OTHER))
    assert starts.recall(OTHER, SELF_TEST) is None
    note(ONE).chmod(0o666)
    assert starts.recall(ONE, SELF_TEST) is None
    note(ONE).chmod(0o600)
    (passed / "elsewhere").write_bytes(right)
    note(ONE).unlink()
    note(ONE).symlink_to(passed / "elsewhere")
    assert starts.recall(ONE, SELF_TEST) is None


def test_only_the_keys_that_were_used_last_are_kept(folder: Path) -> None:
    (folder / "something else").mkdir()
    for number in range(KEPT + 2):
        old = folder / f"{number:064x}"
        old.mkdir()
        os.utime(old, (number, number))
    starts = Starts(folder)
    assert starts.folder is not None
    left = {path.name for path in folder.iterdir()}
    assert left == {"something else", starts.folder.name, *(f"{number:064x}" for number in range(3, KEPT + 2))}


# The folder


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_can_write_to_is_refused(mode: int, tmp_path: Path) -> None:
    open_to_others = tmp_path / "open"
    open_to_others.mkdir()
    open_to_others.chmod(mode)
    with pytest.raises(SettingsError, match="can be written by others") as caught:
        Starts(open_to_others)
    assert f"{mode:o}" in str(caught.value) and "chmod go-w" in str(caught.value)
    assert list(open_to_others.iterdir()) == []


def test_a_folder_in_one_that_others_can_write_to_is_refused_unless_they_can_touch_their_own_alone(
    tmp_path: Path,
) -> None:
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(0o777)
    with pytest.raises(SettingsError, match=f"{above} can be written by others"):
        Starts(above / "starts")
    above.chmod(0o1777)
    Starts(above / "starts")


def test_another_user_s_folder_and_what_is_no_folder_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").write_text("")
    with pytest.raises(SettingsError, match="is no folder"):
        private(folder / "file")
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert private(link) == folder
    user = folder.stat().st_uid
    monkeypatch.setattr(place.os, "geteuid", lambda: user + 1)
    with pytest.raises(SettingsError, match=f"belongs to user {user}.* executed by user {user + 1}"):
        private(folder)


def test_what_was_made_is_for_the_user_alone(tmp_path: Path) -> None:
    starts = Starts(tmp_path / "deep" / "starts")
    assert starts.folder is not None
    for path in (starts.folder.parent, starts.folder, starts.folder / "compiled", starts.folder / "passed"):
        assert path.stat().st_mode & 0o777 == 0o700


def test_a_service_refuses_the_folder_that_it_was_given_and_does_without_its_default(tmp_path: Path) -> None:
    shared = tmp_path / "cache"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(SettingsError, match="can be written by others"):
        start_folder(shared, None)
    assert start_folder(None, shared) is None
    shared.chmod(0o755)
    assert start_folder(None, shared) == shared / STARTS
    assert start_folder(None, None) is None


# What was compiled


def compiled(folder: Path) -> dict[str, object]:
    """What a process that executes the toy says."""
    done = subprocess.run(
        [sys.executable, "-c", COMPILING, str(folder)], capture_output=True, text=True, check=True, timeout=300
    )
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_what_is_compiled_is_used_again_and_what_is_damaged_is_compiled_again(folder: Path) -> None:
    first = compiled(folder)
    (place_,) = folder.iterdir()
    entries = sorted((place_ / "compiled").iterdir())
    assert first["hits"] == 0 and first["misses"] == len(entries) >= 5
    again = compiled(folder)
    assert again == {**first, "hits": len(entries), "misses": 0}
    flipped, cut, unsealed, opened = entries[:4]
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    cut.write_bytes(cut.read_bytes()[:-100])
    (place_ / "sealed" / unsealed.name).unlink()
    opened.chmod(0o666)
    (place_ / "compiled" / "jit_of_somebody-00-cache").write_bytes(b"not sealed")
    assert compiled(folder) == {**first, "hits": len(entries) - 4, "misses": 4}
    assert compiled(folder) == again
    assert sorted((place_ / "compiled").iterdir()) == entries


def test_a_prover_that_starts_again_tests_a_program_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests: list[Executor] = []
    monkeypatch.setattr(Executor, "self_test", lambda self: tests.append(self))
    world = ProverWorld()

    def hold() -> None:
        model = model_of_toy()
        del model.__dict__["executor"]
        client = world.client("prover")
        worker = InferenceWorker(world.chain.signer("prover"), client.domain, world.chain.now, starts=Starts(folder))
        worker.hold(model, "toy")

    hold()
    hold()
    assert len(tests) == 1
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(key, "_code", lambda: "changed")
        hold()
    assert len(tests) == 2


def test_a_program_s_stages_are_loaded_without_being_traced_and_those_of_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept belongs to one program; a file that can't be loaded is compiled again."""
    monkeypatch.setattr(Executor, "self_test", lambda self: 0)
    traced: list[object] = []
    right = SegmentStage.trace

    def trace(self: SegmentStage, *given: Any) -> Any:
        traced.append(self)
        return right(self, *given)

    monkeypatch.setattr(SegmentStage, "trace", trace)

    def started(policy: TracePolicy = TracePolicy.WITH_CLAIM) -> int:
        """Starts, executes every way, and ends; how many stages were traced."""
        traced.clear()
        starts, inputs = Starts(folder), toy_inputs(3)
        machine = machines.tested(toy_program(policy), starts)
        values = run(machine.program, inputs)
        assert [array.tobytes() for array in machine.values(inputs)] == [array.tobytes() for array in values]
        for output, (value, _) in zip(machine.outputs(inputs), machine.program.header.outputs, strict=True):
            assert output.tobytes() == values[value].tobytes()
        assert machine.test_batches() == batches.SIZES[-1]
        starts.seal()
        return len(traced)

    first = started()
    assert first > 0 and started() == 0
    assert started(TracePolicy.ON_DISPUTE) == first
    (place_,) = folder.iterdir()
    kept = sorted((place_ / "compiled").glob("stage-*"))
    assert len(kept) == 2 * first
    for path in kept:
        path.write_bytes(pickle.dumps("no function"))
        (place_ / "sealed" / path.name).write_text(hashlib.sha256(path.read_bytes()).hexdigest())
    assert started() == first and started() == 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(key, "_code", lambda: "changed")
        assert started() == first


LIVING = """
import hashlib, json, sys
from pathlib import Path
from prover.executor import Executor
from prover.executor.schedule import SegmentStage
from prover.start import Starts
from tests.e2e.toy_program import toy_inputs, toy_program
traced, right = [], SegmentStage.trace
SegmentStage.trace = lambda self, *given: (traced.append(self), right(self, *given))[1]
starts = Starts(Path(sys.argv[1]))
starts.compile_into()
code = starts.code if sys.argv[2] == "kept" else None
values = Executor(toy_program(), self_test=False, code=code).values(toy_inputs(3))
starts.seal()
print(json.dumps([len(traced), hashlib.sha256(b"".join(value.tobytes() for value in values)).hexdigest()]))
"""


def lived(folder: Path, code: str) -> list[Any]:
    """A process of its own: how many stages were traced, and a digest of the values."""
    ended = subprocess.run(
        [sys.executable, "-c", LIVING, str(folder), code], capture_output=True, text=True, check=True
    )
    return list(json.loads(ended.stdout))


def test_stages_are_kept_whole_by_a_life_after_one_that_was_killed(folder: Path) -> None:
    """What a killed life compiled may lie in JAX's own cache, and can't be kept from there."""
    first = lived(folder, "kept")
    (place_,) = folder.iterdir()
    for path in (place_ / "compiled").glob("stage-*"):
        path.unlink()
    assert first[0] > 0 and lived(folder, "kept") == first
    assert lived(folder, "kept") == [0, first[1]]


def test_a_kept_stage_that_can_t_run_is_compiled_again(folder: Path) -> None:
    first = lived(folder, "not kept")
    # Of what comes from JAX's cache, jaxlib keeps no functions: it can be loaded, and not run.
    assert lived(folder, "kept") == first
    assert lived(folder, "kept")[1] == first[1]
