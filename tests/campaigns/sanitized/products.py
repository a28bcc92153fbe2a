"""Products that ``make products`` draws, on the kernels of another build."""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import jax
import numpy as np

from prover import native
from prover.native.library import library
from tests.campaigns.products import KERNELS
from tests.campaigns.sanitized.builds import Build
from tests.prover.products.drawn import draw, wrong

Array = np.ndarray

FOLDER = Path(native.__file__).parent
PROGRAM = Path(__file__).with_suffix(".cc")
KINDS, RUN, PACK = range(3)


@dataclass(frozen=True)
class Asked:
    """The program that runs; it takes the place of ``prover.native.library.Library``."""

    to: IO[bytes]
    back: IO[bytes]

    def usable(self, kernels: str) -> bool:
        return bool(self._answer(_numbers(KINDS) + _name(kernels)))

    def pack(self, matrix: Array, sub: int, narrow: bool, bound: int) -> bytes:
        words = np.ascontiguousarray(matrix, np.int16)
        return self._answer(_numbers(PACK, *words.shape, sub, narrow, bound) + words.tobytes())

    def run(self, kernels: str, plan: Array, operands: Sequence[Array], result: Array, threads: int = 1) -> None:
        buffers = [np.ascontiguousarray(array) for array in (*operands, result)]
        parts = [_numbers(RUN), _name(kernels), _numbers(threads, len(plan), len(buffers), *plan.tolist())]
        parts += [_numbers(array.size, array.itemsize) + array.tobytes() for array in buffers]
        found = self._answer(b"".join(parts))
        result[...] = np.frombuffer(found, result.dtype).reshape(result.shape)

    def _answer(self, question: bytes) -> bytes:
        self.to.write(question)
        self.to.flush()
        size = self.back.read(8)
        if len(size) < 8:
            raise EOFError
        return self.back.read(int.from_bytes(size, "little"))


def _numbers(*given: int) -> bytes:
    return np.array(given, np.int64).tobytes()


def _name(kernels: str) -> bytes:
    return kernels.encode().ljust(8, b"\0")


@contextmanager
def running(build: Build) -> Iterator[Asked]:
    """The compiled program; ends the process with what it wrote if it ended by itself."""
    with tempfile.TemporaryDirectory() as temporary:
        program = str(build.compile(FOLDER, PROGRAM, Path(temporary)))
        with (
            tempfile.TemporaryFile() as words,
            subprocess.Popen(
                [*build.runner, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words
            ) as process,
        ):
            assert process.stdin is not None and process.stdout is not None
            try:
                yield Asked(process.stdin, process.stdout)
                process.stdin.close()
                failed = process.wait() != 0
            except (EOFError, BrokenPipeError):
                failed = True
            if failed:
                words.seek(0)
                raise SystemExit(f"{build.name}: {words.read().decode(errors='replace')[-3000:]}")


def check(build: Build, count: int) -> str:
    """Multiply and pack; what was found. Ends the process at the first that is wrong."""
    ours, seed, done = library(), 0, 0
    assert ours is not None, "the shipped object can't be used here"
    with running(build) as asked, jax.enable_x64(True):
        names = [name for name in KERNELS if asked.usable(name)]
        while done < count:
            rng, drawn = random.Random(seed), draw(seed)
            seed += 1
            if drawn is None:
                continue
            for fault in wrong(drawn, asked, names[done % len(names)], rng.choice((1, 2, 3)), rng):
                raise SystemExit(f"{build.name}, seed {seed - 1}: {fault}")
            numbers = np.random.default_rng(seed)
            narrow, sub, bound = rng.random() < 0.3, rng.choice((4, 8, 16, 32)), rng.choice((65535, 65536, 1 << 20))
            end = 1 << (7 if narrow else 15)
            matrix = numbers.integers(-end, end, (rng.randint(1, 40), rng.randint(1, 150)))
            if asked.pack(matrix, sub, narrow, bound) != ours.pack(matrix, sub, narrow, bound).tobytes():
                raise SystemExit(
                    f"{build.name}, seed {seed - 1}: weights are packed in another way than by the shipped object"
                )
            done += 1
    return f"{done:,} products are right ({', '.join(names)})"
