"""Faults in the kernels on purpose: ``make products-mutants``. Random products, as ``make products`` draws them, must notice each.

    python -m tests.campaigns.product_mutants [--n 20000] [--only TEXT]

A copy of the sources gets one fault at a time and is compiled for this machine. Without a fault, the copy must be right first.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from platform import machine
from unittest.mock import patch

import jax

from prover import native
from prover.executor.kernels import native as plans
from prover.native.library import Library, declared
from rollup.native.build import COMPILER, sources, table
from tests.campaigns.products import usable
from tests.campaigns.sanitized.builds import ended
from tests.prover.products.drawn import draw, wrong, wrong_at_length

FOLDER = Path(native.__file__).parent
FLAGS = ("-std=c++17", "-O1", "-g0", "-fPIC", "-fvisibility=hidden", '-DTOUCHSTONE_SOURCES="mutant"')


@dataclass(frozen=True)
class Mutant:
    """``old`` occurs once in ``file`` and becomes ``new``."""

    says: str
    file: str
    old: str
    new: str


MUTANTS = (
    Mutant("groups are a bit longer than the rows allow", "kernels.h", "&& 2 * largest <= limit)", "&& largest <= limit)"),
    Mutant("rows of another sub-block say how long groups are", "kernels.h", "(row * p.pairs + b.from) / p.sub", "row * p.pairs / p.sub"),
    Mutant("a pair that may not fit is a group", "kernels.h", "(flag == PAIR_BY_PAIR ? -1 : flag)", "(flag == PAIR_BY_PAIR ? 0 : flag)"),
    Mutant("groups of weights are too long", "product.cc", "if (sum > bound) return flag;", "if (sum > 2 * bound) return flag;"),
    Mutant("groups of values are too long", "kernels.h", "(4 << flag) * largest <= p.bound", "(2 << flag) * largest <= p.bound"),
    Mutant("pairs of values that may not fit are groups", "kernels.h", "2 * largest <= p.bound ? flag", "largest <= p.bound ? flag"),
    Mutant("low words have a sign", "code.h", "(int64_t)(uint64_t)((uint32_t)low - upper)", "(int64_t)(int32_t)((uint32_t)low - upper)"),
    Mutant("parts of the rows begin inside of panels", "product.cc", "/ mine.threads, PANEL_ROWS)", "/ mine.threads, 1)"),
    Mutant("a long quotient is that of floats", "code.h", "q += (int64_t)__builtin_floor", "q += 0 * (int64_t)__builtin_floor"),
    Mutant("a rescale rounds down", "code.h", "(product + (((uint64_t)1 << c[i]) >> 1)) >> c[i]", "(product + 0) >> c[i]"),
    Mutant("a product of narrow numbers rounds down", "code.h", "(int64_t)(((uint64_t)1 << c[i]) >> 1)) >> c[i]", "0) >> c[i]"),
    Mutant("a clamp cuts before it compares", "code.h", "(int32_t)(x > c[i] ? x : c[i])", "(int32_t)x > c[i] ? (int32_t)x : (int32_t)c[i]"),
)  # fmt: skip


def compiled(folder: Path) -> Library:
    """The object of the sources in the folder."""
    read = table(folder)
    objects = []
    for name, flags in sources(read, machine()):
        if name == "ffi.cc":
            continue
        objects.append(str(folder / f"{name}.o"))
        ended([*COMPILER, *FLAGS, *read["flags"], *flags, "-c", str(folder / name), "-o", objects[-1]])
    made = folder / "mutant.so"
    ended([*COMPILER, "-shared", "-o", str(made), *objects, *read["link"]])
    handle = ctypes.CDLL(str(made))
    handle.touchstone_kernels.restype = ctypes.c_char_p
    handle.touchstone_kernels.argtypes = [ctypes.c_char_p]
    return declared(handle)


def noticed(found: Library, most: int) -> int | None:
    """How many random products it took to find one that is wrong, 0 if the longest one is; None if all were right. Weights are packed by
    this library, too.
    """
    names, done = usable(found), 0
    with patch.object(plans, "library", lambda: found):
        if any(wrong_at_length(found, name) for name in names):
            return 0
    for seed in itertools.count():
        rng = random.Random(seed)
        with patch.object(plans, "library", lambda: found):
            drawn = draw(seed)
        if drawn is None:
            continue
        done += 1
        for kernels in names if done % 4 == 0 else [rng.choice(names)]:
            if next(iter(wrong(drawn, found, kernels, rng.choice((1, 2, 3)), rng)), None):
                return done
        if done == most:
            return None
    raise AssertionError


def tried(mutant: Mutant | None, most: int) -> int | None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(shutil.copytree(FOLDER, Path(temporary) / "native", ignore=shutil.ignore_patterns("objects")))
        if mutant is not None:
            text = (folder / mutant.file).read_text()
            assert text.count(mutant.old) == 1, f"{mutant.file} has {mutant.old!r} {text.count(mutant.old)} times"
            (folder / mutant.file).write_text(text.replace(mutant.old, mutant.new))
        return noticed(compiled(folder), most)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make products-mutants", description=__doc__)
    parser.add_argument("--n", type=int, default=20_000, help="products at most for each")
    parser.add_argument("--only", default="", metavar="TEXT", help="in what a fault is called")
    options = parser.parse_args(arguments)
    missed = []
    with jax.enable_x64(True):
        if (at := tried(None, min(options.n, 500))) is not None:
            print(f"without a fault, product {at} is wrong", file=sys.stderr)
            return 1
        for mutant in (one for one in MUTANTS if options.only in one.says):
            at = tried(mutant, options.n)
            print(f"{'MISSED' if at is None else f'noticed after {at:,}':>20}  {mutant.says}", flush=True)
            missed += [mutant] if at is None else []
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
