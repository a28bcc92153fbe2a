"""Ways to compile the sources of a folder of compiled code together with a program that asks it for something, and to run that."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rollup.native.build import COMPILER, sources, table

FLAGS = ("-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", '-DTOUCHSTONE_SOURCES="sanitized"')


@dataclass(frozen=True)
class Build:
    """A way to compile a program, and to run it."""

    name: str
    compiler: tuple[str, ...]
    architecture: str
    flags: tuple[str, ...]
    runner: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """The program that this needs and the machine lacks."""
        needed = [name for name in (self.compiler[0], *self.runner[:1]) if shutil.which(name) is None]
        return needed[0] if needed else None

    def compile(self, code: Path, program: Path, folder: Path) -> Path:
        """``program`` and the sources of ``code`` that need no installed headers, as an executable in ``folder``."""
        read = table(code)
        found = [(name, flags) for name, flags in sources(read, self.architecture) if not _foreign(code / name)]
        objects = []
        for name, flags in [*found, (str(program), [])]:
            objects.append(str(folder / f"{Path(name).name}.o"))
            own = [flag for flag in flags if self.compiler == COMPILER or not flag.startswith("-mcpu")]
            common = [*FLAGS, *read.get("flags", []), f"-I{code}", *self.flags]
            ended([*self.compiler, *common, *own, "-c", str(code / name), "-o", objects[-1]])
        made = folder / "program"
        ended([*self.compiler, *self.flags, "-o", str(made), *objects, "-lpthread"])
        return made


def _foreign(source: Path) -> bool:
    return source.exists() and '#include "xla/' in source.read_text()


# Intel's intrinsics read registers that they leave undefined on purpose.
SANITIZED = ("-O1", "-g", "-fno-sanitize-recover=all", "-Wno-uninitialized", "-Wno-maybe-uninitialized")
BUILDS = (
    Build("addresses and undefined behaviour", ("g++",), "x86_64", (*SANITIZED, "-fsanitize=address,undefined")),
    Build("threads", ("g++",), "x86_64", (*SANITIZED, "-fsanitize=thread")),
    Build("ARM", COMPILER, "aarch64", ("-O3", "-target", "aarch64-linux-musl", "-static"), ("qemu-aarch64-static",)),
)


def ended(command: list[str], given: str = "") -> bytes:
    """What a command wrote; ends the process if it failed."""
    done = subprocess.run(command, input=given.encode(), capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode()[-3000:]}")
    return done.stdout
