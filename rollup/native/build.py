"""Compiles the shared objects of a folder for every architecture: ``python -m rollup.native.build FOLDER...`` (``make native``).

The folder's ``native.toml`` says what is compiled:

- ``object``: name of the shared objects, which are written to ``objects/`` (``load.object_path``).
- ``flags``: of every source. ``link``: of the linker. ``includes``: folders of headers in installed packages, as ``package/folder``.
- ``[all]`` and one table for each architecture: a source and its own flags in each row.

A source gets ``TOUCHSTONE_SOURCES``, a string: the digest of everything that it was compiled from. An object exports it as
``touchstone_sources``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rollup.errors import ServiceError
from rollup.native.load import object_path, sealed

TABLE = "native.toml"
ARCHITECTURES = ("x86_64", "aarch64")
SOURCES = (".cc", ".h", ".toml")
COMPILER = (sys.executable, "-m", "ziglang", "c++")
GLIBC = "2.17"
"""Of 2012: the oldest that Python's own wheels for these architectures (manylinux2014) run on."""

FLAGS = (
    "-std=c++17",
    "-O3",
    "-g0",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffile-prefix-map=.=",
    "-Wall",
    "-Wextra",
    "-Werror",
)


def digest(folder: Path) -> str:
    """Of the flags, and the names and contents of everything that the folder's objects are compiled from, in hex.

    Not of headers in installed packages, nor of the compiler: their versions are locked.
    """
    found = sha256(repr((FLAGS, GLIBC)).encode())
    for path in sorted(folder.iterdir()):
        if path.suffix in SOURCES:
            data = path.read_bytes()
            found.update(f"{path.name}\0{len(data)}\0".encode() + data)
    return found.hexdigest()


def table(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / TABLE).read_text())


def sources(read: dict[str, Any], architecture: str) -> Iterator[tuple[str, list[str]]]:
    """Every source of an architecture's object, and its own flags."""
    yield from read["all"].items()
    yield from read.get(architecture, {}).items()


def includes(read: dict[str, Any]) -> list[str]:
    found = []
    for include in read.get("includes", []):
        package, _, inside = include.partition("/")
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ServiceError(f"headers of {package} are needed and it is not installed; run `make dev`")
        found += ["-isystem", str(Path(spec.submodule_search_locations[0]) / inside)]
    return found


def build(folder: Path, architecture: str) -> Path:
    """Compile one object; returns its path. Raises ServiceError if the compiler refuses something."""
    read = table(folder)
    target = ["-target", f"{architecture}-linux-gnu.{GLIBC}"]
    common = [*target, *FLAGS, *read.get("flags", []), *includes(read), f'-DTOUCHSTONE_SOURCES="{digest(folder)}"']
    path = object_path(folder, read["object"], architecture)
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        compiled = []
        for name, flags in sources(read, architecture):
            compiled.append(str(Path(temporary) / f"{name}.o"))
            _run([*COMPILER, *common, *flags, "-c", name, "-o", compiled[-1]], folder)
        made = Path(temporary) / path.name
        _run([*COMPILER, *target, "-shared", "-s", "-o", str(made), *compiled, *read.get("link", [])], folder)
        # Beside the old one and then in its place: processes that run the old one would die of a file that changes under them.
        beside = path.with_suffix(".new")
        beside.write_bytes(sealed(made.read_bytes()))
        beside.replace(path)
    return path


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise ServiceError(f"`{' '.join(command)}` failed in {folder}: {done.stderr.strip()[-2000:]}")


def main() -> None:
    for folder in map(Path, sys.argv[1:]):
        for architecture in ARCHITECTURES:
            path = build(folder, architecture)
            print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
