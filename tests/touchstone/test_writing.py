"""Every path that a command writes to, and every kind of bad file: one sentence, no traceback, and nothing half-written.

Commands are walked, so that a new path has to be named here.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

import touchstone.services.sequencer
from rollup.errors import FileError
from rollup.files import require_writable, write_file
from rollup.form.encoding import TracePolicy
from rollup.form.program import MANIFEST, Program
from rollup.l1.deployment import Deployment
from rollup.settings import Parameters
from tests.e2e.toy_program import toy_program
from touchstone.cli import main
from touchstone.settings.settings import ALL

PARAMS = Path(__file__).parents[2] / "ops" / "params" / "development.toml"
KEY = {"TOUCHSTONE_KEY": "0x" + "11" * 32}
FULL = Path("/dev/full")
"""A file that always is on a full disk."""

READ = frozenset(
    {
        *("--config", "--key-file", "--keystore", "--keystore-password-file", "--token-file", "--deployment"),
        *("--database-password-file", "--prover-token-file", "--webhook-token-file", "--requests-key-file"),
        *("--admin-read-token-file", "--admin-operate-token-file", "--admin-own-token-file"),
        *("--input", "--samples", "--held-out", "--against", "--leaf", "--program"),
        *(
            "model show path",
            "model audit path",
            "model compare path",
            "model build source",
            "generate model",
            "deploy parameters",
            *("economics file", "economics --conditions", "claims enforce --from"),
        ),
        *("claim folder", "admin models add folder", "prover --models", "watch --models"),
        *("--openai-admin-token-file", "prover --openai-models"),
        *("receipt verify file", "receipt verify --texts", "receipt verify --request"),
    }
)
"""Paths that are only read: by flag, or by command and parameter."""

WRITTEN: dict[str, tuple[str, ...]] = {
    "demo --json": ("demo", "--json"),
    "demo --folder": ("demo", "--model", "smollm2", "--folder"),
    "model show --svg": ("model", "show", "PROGRAM", "--svg"),
    "model build --output": ("model", "build", "SOURCE", "--samples", "SAMPLES", "-o"),
    "generate --folder": ("generate", "FILE", "hello", "--folder"),
    "deploy --output": ("deploy", str(PARAMS), "--development", "--rpc", "http://127.0.0.1:1", "-o"),
    "economics --plot": ("economics", str(PARAMS), "--gas-price", "1 gwei..2 gwei", "--plot"),
    "infer --save": ("infer", "toy", "--input", str(PARAMS), "--deployment", str(PARAMS), "--save"),
    "devnet --data": (
        "devnet",
        *(
            part
            for name in ("chain", "public", "admin", "prover", "watcher", "guard")
            for part in (f"--{name}-port", "0")
        ),
        "--data",
    ),
    "seed folder": ("seed",),
    "sequencer --models": ("sequencer", "--database", "sqlite://", "--models"),
    "sequencer --database": ("sequencer", "--models", "FOLDER", "--database"),
    "receipt get --save": ("receipt", "get", "0x" + "5a" * 32, "--url", "http://127.0.0.1:1", "--save"),
    "prover --openai-store": (
        *("prover", "--models", "PROGRAM", "--models-from", "http://127.0.0.1:1", "--openai-models", "FILE"),
        "--openai-store",
    ),
    "prover --cache": ("prover", "--models", "PROGRAM", "--cache"),
    "watch --cache": ("watch", "--models", "PROGRAM", "--cache"),
    "prover --start-cache": ("prover", "--models", "PROGRAM", "--start-cache"),
    "watch --start-cache": ("watch", "--models", "PROGRAM", "--start-cache"),
}
"""Paths that are written: the command up to where the path stands."""

FILES = {
    "demo --json",
    "model show --svg",
    "deploy --output",
    "economics --plot",
    "infer --save",
    "receipt get --save",
    "prover --openai-store",
    "sequencer --database",
}
"""Those that are files, not folders."""


def _commands(group: click.Group, names: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, (*names, name))
        else:
            yield " ".join((*names, name)), command


def _paths() -> Iterator[tuple[str, str]]:
    """(command, parameter) of all that are paths, by type, by what they are called, or as settings."""
    settings = {
        name
        for section in ALL
        for name, field in section.model_fields.items()
        if Path in (field.annotation, *get_args(field.annotation)) or Path in map(_inner, get_args(field.annotation))
    }
    for name, command in _commands(main):
        for param in command.params:
            flag = max(param.opts, key=len)
            called = f"{param.metavar or ''}".startswith(("FILE", "FOLDER", "MODULE"))
            plain = flag.removeprefix("--").removeprefix("chain-").removeprefix("openai-")
            setting = plain.replace("-", "_") in settings | {"database"}
            if isinstance(param.type, click.Path | click.File) or called or setting:
                yield name, flag


def _inner(annotation: Any) -> Any:
    return next(iter(get_args(annotation)), None)


def test_every_path_of_a_command_is_known_to_be_read_or_written() -> None:
    found = {(name, flag) for name, flag in _paths()}
    unknown = {
        f"{name} {flag}" for name, flag in found if flag not in READ and f"{name} {flag}" not in READ | set(WRITTEN)
    }
    assert not unknown, "say in this file whether it is read or written"
    flags = {flag for _, flag in found} | {f"{name} {flag}" for name, flag in found}
    assert set(WRITTEN) <= flags and flags >= READ
    assert {"sequencer --database", "prover --cache", "watch --cache", "sequencer --models"} <= flags


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "program"
    toy_program(TracePolicy.WITH_CLAIM).save(folder)
    return folder


def doubled(x: np.ndarray) -> np.ndarray:
    return 2 * x


def _place(kind: str, folder: Path, is_file: bool) -> Path:
    """A place that nothing can be written to."""
    (folder / "file").write_text("mine")
    (folder / "other").mkdir()
    (folder / "other" / "mine").write_text("mine")
    (folder / "dangling").symlink_to(folder / "file" / "beyond")
    return {
        "under a file": folder / "file" / "x",
        "deep under a file": folder / "file" / "x" / "y" / "z",
        "in /proc": Path("/proc/nothing/x"),
        "a long name": folder / ("x" * 300),
        "a long folder": folder / ("x" * 300) / "x",
        "a dangling link": folder / "dangling",
        "the wrong kind": folder / ("other" if is_file else "file"),
    }[kind]


def _tree(folder: Path) -> dict[str, str]:
    return {
        f"{path.relative_to(folder)}": path.read_text() if path.is_file() else "" for path in sorted(folder.rglob("*"))
    }


def _refused(result: Result, place: str, words: str = "") -> None:
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (1, 2), result.output
    assert "Traceback" not in result.output
    said = result.stderr.strip().splitlines()[-1]
    assert said.startswith(("touchstone: ", "Error: ")), result.output
    assert place in said and words in said, said


@pytest.mark.parametrize(
    "kind",
    [
        "under a file",
        "deep under a file",
        "in /proc",
        "a long name",
        "a long folder",
        "a dangling link",
        "the wrong kind",
    ],
)
@pytest.mark.parametrize("name", WRITTEN)
def test_what_cannot_be_written_is_said_and_nothing_changes(
    name: str, kind: str, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = _place(kind, tmp_path, name in FILES)
    (tmp_path / "held").mkdir()
    samples = tmp_path / "samples.npz"
    np.savez(samples, x=np.ones((2, 4), np.float32))
    named = {
        "PROGRAM": str(program),
        "SOURCE": f"{__name__}:doubled",
        "SAMPLES": str(samples),
        "FILE": str(tmp_path / "file"),
        "FOLDER": str(tmp_path / "held"),
    }
    given = [named.get(part, part) for part in WRITTEN[name]]
    # Nothing asks a chain: what is wrong on this machine is said first. A database is opened when the chain is known.
    if name == "sequencer --database":
        monkeypatch.setattr(touchstone.services.sequencer, "client_of", lambda *_: None)
    before = {path.name for path in tmp_path.iterdir()}
    value = f"sqlite:///{place}" if name == "sequencer --database" else str(place)
    result = CliRunner().invoke(main, [*given, value], env=KEY)
    _refused(result, str(place)[:100])
    assert {path.name for path in tmp_path.iterdir()} == before
    assert _tree(tmp_path / "other") == {"mine": "mine"} and (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_said(program: Path) -> None:
    result = CliRunner().invoke(main, ["model", "show", str(program), "--svg", str(FULL)])
    _refused(result, str(FULL), "No space left on device")
    assert FULL.is_char_device()


def test_a_disk_that_fills_up_leaves_what_was_there(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Program.load(program)
    real, written = Path.write_bytes, []

    def full(path: Path, data: Any) -> int:
        written.append(path)
        if len(written) > 1:
            raise OSError(28, "No space left on device")
        return real(path, data)

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    assert held.constants
    for place in (tmp_path / "new" / "program", tmp_path / "mine"):
        before = _tree(tmp_path)
        written[:] = [place] * (2 - min(2, len(held.constants)))
        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(FileError, match="No space left on device"):
            held.save(place)
        monkeypatch.setattr(Path, "write_bytes", real)
        assert _tree(tmp_path) == before
    held.save(tmp_path / "mine")
    held.save(tmp_path / "mine")
    assert Program.load(tmp_path / "mine").id == held.id
    assert (tmp_path / "mine" / "notes").read_text() == "mine"


def test_a_file_is_replaced_whole_and_keeps_its_mode_and_its_name(tmp_path: Path) -> None:
    file, link, long = tmp_path / "file", tmp_path / "link", tmp_path / ("x" * 255)
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    write_file(link, "new")
    write_file(long, "new")
    assert file.read_text() == long.read_text() == "new" and link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    with pytest.raises(UnicodeEncodeError):
        write_file(tmp_path / "a" / "b", "\ud800")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "link", long.name}


def test_what_is_long_looks_first_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file", tmp_path / "new" / "new", FULL):
        require_writable(place)
    assert _tree(tmp_path) == {"file": ""}


def test_what_is_in_the_way_of_a_program_s_files_stays(program: Path, tmp_path: Path) -> None:
    held = Program.load(program)
    for name in ("constants", MANIFEST):
        target = tmp_path / name
        target.mkdir()
        (target / name).write_text("mine") if name == "constants" else (target / name).mkdir()
        before = _tree(target)
        with pytest.raises(FileError, match="can't be written"):
            held.save(target)
        assert _tree(target) == before


def _npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _member(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


ROWS = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
TRUNCATED = _npz(x=ROWS)[:-90]
SPOILED = bytearray(_npz(x=ROWS))
SPOILED[120:160] = bytes(40)

DAMAGED: dict[str, bytes] = {
    "nothing": b"",
    "no npz": b"hello",
    "an npy": _npy(ROWS),
    "truncated": TRUNCATED,
    "spoiled": bytes(SPOILED),
    "objects": _npz(x=np.array([{}, None], object)),
    "ragged": _npz(x=np.array([np.ones(2), np.ones(3)], object)),
    "text inside": _member("x.txt", b"hello"),
    "a broken header": _member("x.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4',\n   "),
}
"""Files that hold no arrays."""

UNFIT: dict[str, bytes] = {
    "no array": _npz(),
    "too many": _npz(x=ROWS, y=ROWS),
    "too wide": _npz(x=np.ones((5, 7), np.float32)),
    "no samples": _npz(x=ROWS[:0]),
    "scalars": _npz(x=np.float32(1)),
    "strings": _npz(x=np.full((5, 4), "one")),
    "complex numbers": _npz(x=ROWS * 1j),
    "NaN": _npz(x=np.where(ROWS > 1, np.nan, ROWS)),
    "infinities": _npz(x=np.where(ROWS > 1, np.inf, ROWS)),
    "dates": _npz(x=np.zeros((5, 4), "datetime64[s]")),
}
"""Arrays that are no samples of a function of four reals."""


@pytest.mark.parametrize("name", [*DAMAGED, *UNFIT])
def test_bad_samples_are_one_sentence_and_write_nothing(name: str, tmp_path: Path) -> None:
    file = tmp_path / "samples.npz"
    file.write_bytes(DAMAGED.get(name) or UNFIT.get(name) or b"")
    result = CliRunner().invoke(
        main, ["model", "build", f"{__name__}:weighted", "--samples", str(file), "-o", str(tmp_path / "out")]
    )
    _refused(result, "samples.npz")
    assert not (tmp_path / "out").exists()


def weighted(x: np.ndarray) -> np.ndarray:
    return x @ np.arange(4, dtype=np.float32)


@pytest.mark.parametrize(
    "content",
    [*DAMAGED.values(), *(UNFIT[name] for name in ("strings", "dates", "NaN", "scalars", "complex numbers"))],
    ids=[*DAMAGED, "strings", "dates", "NaN", "scalars", "complex numbers"],
)
def test_bad_inputs_of_a_claim_are_one_sentence(content: bytes, program: Path, tmp_path: Path) -> None:
    file, deployment = tmp_path / "inputs.npz", tmp_path / "deployment.json"
    file.write_bytes(content)
    place = "0x" + "00" * 19 + "01"
    Deployment(1, place, 0, bytes(32), Parameters(), place, place).save(deployment)
    arguments = [
        "claim",
        str(program),
        "--input",
        str(file),
        "--deployment",
        str(deployment),
        "--url",
        "http://127.0.0.1:1",
    ]
    _refused(CliRunner().invoke(main, arguments, env=KEY), "", "input")
