"""``Starts``: compiled code, and which programs were tested, in a folder of the user's own.

    <key>/parts.json      what the key is made of, for people
    <key>/compiled/       JAX's compilation cache, and stages of programs
    <key>/sealed/<name>   SHA-256 of the file <name> in it, once that was written completely
    <key>/packed/         weights in the order of the native kernels (``weights``)
    <key>/passed/<model id>.<what>   that a program passed something

A program's id commits to all of its bytes, the key to everything else. What does not fit is as good as missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import jax
from jax.experimental.compilation_cache import compilation_cache

from prover.start.code import LEAST_SECONDS, KeptCode
from prover.start.key import digest, parts
from prover.start.place import own_file, private
from prover.start.weights import KeptWeights
from rollup.errors import FileError
from rollup.files import write_file
from rollup.types import ModelId

KEPT = 4
"""Keys whose files are kept, the last used ones: a machine that changes its libraries now and then fills no disk."""

AUDIT, SELF_TEST = "audit", "self-test"

CONFIGURATION = {
    LEAST_SECONDS: 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
    "jax_persistent_cache_enable_xla_caches": "none",
}
"""Everything that is compiled is kept, and nothing that could not be sealed (XLA's own caches)."""

NOTHING: Mapping[str, float] = MappingProxyType({})


class Starts:
    """``folder``: None remembers nothing. Raises SettingsError for a folder that somebody else could write to."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = None if folder is None else self._opened(private(folder))

    def _opened(self, root: Path) -> Path:
        found = parts()
        folder = root / digest(found)
        for path in (folder, *(folder / name for name in ("compiled", "sealed", "packed", "passed"))):
            private(path)
        os.utime(folder)
        write_file(folder / "parts.json", json.dumps(found, indent=1, sort_keys=True))
        _prune(root, folder)
        _unseal(folder)
        return folder

    @property
    def code(self) -> KeptCode | None:
        """The compiled stages of programs."""
        return None if self.folder is None else KeptCode(self.folder / "compiled", self.folder / "sealed")

    @property
    def weights(self) -> KeptWeights | None:
        """The packed weights of programs."""
        return None if self.folder is None else KeptWeights(self.folder / "packed")

    def compile_into(self) -> None:
        """Have JAX keep what it compiles from now on, in this process, and use what it kept."""
        if self.folder is None:
            return
        settings = {**CONFIGURATION, "jax_compilation_cache_dir": str(self.folder / "compiled")}
        for name, value in settings.items():
            jax.config.update(name, value)  # type: ignore[no-untyped-call]
        compilation_cache.reset_cache()

    def once(self, model_id: ModelId, what: str, test: Callable[[], object]) -> bool:
        """Run a test of a program that raises if the program does not pass, unless it passed before; whether it was run."""
        if self.recall(model_id, what) is not None:
            return False
        test()
        self.remember(model_id, what)
        return True

    def remember(self, model_id: ModelId, what: str, figures: Mapping[str, float] = NOTHING) -> None:
        """Note that a program passed something, and what was measured then."""
        if self.folder is not None:
            # What can't be kept is found out again.
            with suppress(FileError):
                write_file(self._note(model_id, what), self._line(model_id, what, dict(figures)))

    def recall(self, model_id: ModelId, what: str) -> dict[str, float] | None:
        """What was measured when the program passed ``what`` under this very key; None if it did not."""
        if self.folder is None:
            return None
        note = self._note(model_id, what)
        with suppress(OSError, ValueError, AttributeError):
            text = note.read_text() if own_file(note) else "{}"
            figures = {name: float(figure) for name, figure in json.loads(text).get("figures", {}).items()}
            if text == self._line(model_id, what, figures):
                return figures
        return None

    def seal(self) -> None:
        """Take what was compiled until now as complete."""
        if self.folder is None:
            return
        for path in (self.folder / "compiled").iterdir():
            seal = self.folder / "sealed" / path.name
            if not seal.exists():
                # A full disk must not keep a service from starting; somebody else may have removed the file.
                with suppress(OSError):
                    seal.write_text(_hash(path))

    def _note(self, model_id: ModelId, what: str) -> Path:
        assert self.folder is not None
        return self.folder / "passed" / f"{model_id.hex()}.{what}"

    def _line(self, model_id: ModelId, what: str, figures: dict[str, float]) -> str:
        """What a note holds: its sum is over the key and the note's own name, too, so that it is good nowhere else."""
        assert self.folder is not None
        about = json.dumps([self.folder.name, model_id.hex(), what, figures])
        return json.dumps({"sum": hashlib.sha256(about.encode()).hexdigest(), "figures": figures})


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _unseal(folder: Path) -> None:
    """Remove what was compiled and is not as it was sealed: written in part, damaged, or somebody else's."""
    for path in (folder / "compiled").iterdir():
        seal = folder / "sealed" / path.name
        right = False
        with suppress(OSError, ValueError):
            right = own_file(path) and own_file(seal) and seal.read_text() == _hash(path)
        if not right:
            for each in (path, seal):
                with suppress(OSError):
                    each.unlink()


def _prune(root: Path, folder: Path) -> None:
    others = [path for path in root.iterdir() if path != folder and len(path.name) == len(folder.name)]
    for path in sorted(others, key=lambda path: path.lstat().st_mtime, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
