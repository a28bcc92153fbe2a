"""The compiled code under sanitizers, and for ARM under QEMU: ``python -m tests.campaigns.sanitized`` (``make native-sanitize``).

g++ compiles it with the sanitizers of addresses and undefined behaviour, and once more with that of threads; the compiler of the shipped
objects compiles it for ARM. Each hashes the same trees, whose nodes are compared with Python's. What this machine can't do is said.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rollup import native
from rollup.hashing import NODE_BYTES, PythonHasher, leaf_count
from rollup.merkle import depth_for, zeros
from rollup.native.build import COMPILER, sources, table
from rollup.types import LEAF_BYTES

FOLDER = Path(native.__file__).parent
PROGRAM = Path(__file__).with_suffix(".cc")
FLAGS = ("-std=c++17", "-Wall", "-Wextra", "-Werror", '-DTOUCHSTONE_SOURCES="sanitized"', f"-I{FOLDER}")
COUNTS = (1, 2, 3, 5, 15, 16, 17, 33, 255, 256, 257, 770)
"""Leaves."""


@dataclass(frozen=True)
class Tree:
    """What the program is asked for; see sanitized.cc."""

    way: str
    threads: int
    bytes: int
    start: int
    depth: int
    given: bool

    @property
    def line(self) -> str:
        return f"{self.way} {self.threads} {self.bytes} {self.start} {self.depth} {int(self.given)}\n"

    def nodes(self) -> bytes:
        places = np.arange(self.start, self.start + self.bytes, dtype=np.uint32)
        data = (places * np.uint32(2654435761) >> np.uint32(13)).astype(np.uint8)
        if self.given:
            return bytes(PythonHasher().levels(data.tobytes(), self.depth, zeros(self.depth)))
        return bytes(PythonHasher().tensor(data, self.depth, zeros(self.depth)))


def trees(way: str) -> Iterator[Tree]:
    """Every border of leaves and blocks, alignments, threads and depths; and trees over given leaves."""
    yield Tree(way, 1, 0, 0, 0, False)
    for number, count in enumerate(COUNTS):
        for around in (-1023, -65, -64, -63, -1, 0):
            size = LEAF_BYTES * count + around
            depth = depth_for(leaf_count(size)) + number % 3
            yield Tree(way, 1 + number % 4, size, 7 * number, depth, False)
        yield Tree(way, 2, NODE_BYTES * count, number, depth_for(count) + number % 2, True)
    yield Tree(way, 3, NODE_BYTES * 40_001, 1, depth_for(40_001), True)


@dataclass(frozen=True)
class Build:
    """A way to compile the program, and to run it."""

    name: str
    compiler: tuple[str, ...]
    architecture: str
    flags: tuple[str, ...]
    runner: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """The program that this needs and the machine lacks."""
        needed = [name for name in (self.compiler[0], *self.runner[:1]) if shutil.which(name) is None]
        return needed[0] if needed else None

    def compile(self, folder: Path) -> Path:
        objects = []
        for name, flags in [*sources(table(FOLDER), self.architecture), (str(PROGRAM), [])]:
            objects.append(str(folder / f"{Path(name).name}.o"))
            own = [flag for flag in flags if self.compiler == COMPILER or not flag.startswith("-mcpu")]
            _run([*self.compiler, *FLAGS, *self.flags, *own, "-c", str(FOLDER / name), "-o", objects[-1]])
        program = folder / "program"
        _run([*self.compiler, *self.flags, "-o", str(program), *objects, "-lpthread"])
        return program


SANITIZED = ("-O1", "-g", "-fno-sanitize-recover=all")
BUILDS = (
    Build("addresses and undefined behaviour", ("g++",), "x86_64", (*SANITIZED, "-fsanitize=address,undefined")),
    Build("threads", ("g++",), "x86_64", (*SANITIZED, "-fsanitize=thread")),
    Build("ARM", COMPILER, "aarch64", ("-O3", "-target", "aarch64-linux-musl", "-static"), ("qemu-aarch64-static",)),
)


def _run(command: list[str], given: str = "") -> bytes:
    done = subprocess.run(command, input=given.encode(), capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode()[-3000:]}")
    return done.stdout


def check(build: Build) -> int:
    """Compile, run and compare; how many trees were equal. Ends the process at the first that differs."""
    with tempfile.TemporaryDirectory() as temporary:
        program = [*build.runner, str(build.compile(Path(temporary)))]
        ways = _run([*program, "ways"]).decode().split()
        asked = [tree for way in ways for tree in trees(way)]
        found = memoryview(_run(program, "".join(tree.line for tree in asked)))
    for tree in asked:
        expected = tree.nodes()
        if found[: len(expected)] != expected:
            raise SystemExit(f"{build.name}: {tree} does not have the nodes that Python gives it")
        found = found[len(expected) :]
    if found:
        raise SystemExit(f"{build.name}: the program wrote {len(found)} bytes more than it was asked for")
    print(f"{build.name}: {len(asked)} trees are right ({', '.join(ways)})", flush=True)
    return len(asked)


def main() -> None:
    for build in BUILDS:
        if (missing := build.missing()) is not None:
            print(f"NOT RUN: {build.name}, because this machine has no {missing}")
            continue
        check(build)


if __name__ == "__main__":
    sys.exit(main())
