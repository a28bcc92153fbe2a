"""docs/benchmarks.md and its picture, from a results file: ``python -m benchmarks.report.page [--check]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.machine import ROOT
from benchmarks.report.plot import picture
from benchmarks.report.tables import against_jax, against_others, failures, missing, profiles, starts
from benchmarks.results import Results, fewer
from rollup.generated import settle

RESULTS = ROOT / "benchmarks" / "results"
SHOWN = RESULTS / "native.json"
"""The file that the page shows."""

NARROW = RESULTS / "avx2.json"
"""Measured with AVX2 at most."""

WITHOUT = RESULTS / "xla.json"
"""Measured without the native kernels."""

PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "pictures" / "benchmarks.svg"
COMMAND = "python -m benchmarks.report.page"

HEAD = """\
# How fast integers are

<!-- Written by `{command}` from `{shown}`; do not edit. -->

`make bench` measures this; README and other pages quote speed from here alone. Times depend on the machine and on what else it does, so
ratios are what counts: contestants take turns in one process, a round after the other, and a ratio is one round's. A cell has the median
of {rounds} rounds{fewer} and, in brackets, the quartiles.

{machine}
"""

SPEED = """\
## Integers and JAX float32

The float function is compiled by `jax.jit` with its weights as arguments, in JAX's default precision, and uses all cores, as the integers
do. A language model's gives the most likely tokens; since commit fc78bdc the program draws tokens besides, and checks those of the answer.
*output*: the program's outputs alone. *output and commitment*: what a prover does for a claim, every value hashed into the trace root.
*watcher*: what a watcher does to check such a claim, in process. Claims of a batch are executed, hashed and checked together, as claims
that wait are by the services. Tokens that are generated one by one are not committed to: a claim about a text is one pass over all of it.

![Times JAX float32's time, for every workload](pictures/benchmarks.svg)

"""

OTHERS = """\
## Other runtimes

Outputs alone, in times of what the runtime needs for the same network and inputs.

"""

STARTS = """\
## Start-up and memory

Seconds from the start of a process until it is of use: a prover has made its first claim, a watcher has checked its first one. Both have
loaded the program and compared every byte with its root. *cold*: every kernel was tested and compiled. *warm*: the services' cache
(`--start-cache`) holds what an earlier start left there. *loaded over weights*: what a warm prover's memory grew by, from before it loaded
the program until it was ready, over the bytes of the program's constants. *peak*: most memory of a cold prover, everything included.

"""

PROFILES = """\
## By kind of op

Every op alone, compiled by itself, summed up by kind: `make bench ARGS="profile smollm2"`. Such a sum is no pass: that fuses ops and calls
fewer functions, and finds its weights in memory, where an op that runs again and again finds them in a cache. The epilogue of a product
rescales its sums: what it takes longer than the same product that gives its sums as 64-bit integers. The floor counts every byte of the
constants once, and every byte of a value twice, written and read.

"""

AVX2 = """\
## Kept to AVX2

The same with every runtime that can be kept to AVX2 (`--isa avx2`), as on a machine without AVX-512; from `{shown}`, measured apart from
the others.

"""

XLA = """\
## Without the native kernels

The same with `TOUCHSTONE_NATIVE=0`, as on a machine on which they can't be used; from `{shown}`, measured apart from the others.

"""


def machine(results: Results) -> str:
    """A paragraph about what was measured on, and with what."""
    found = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    lines = [
        f"{found['cpu']}, {found['cores']} cores, {found['memory_gib']} GiB, {found['os']}, {', '.join(found['flags'])}.",
        f"Python {found['python']}, {versions}.",
        f"Commit {found['commit']}, {found['date']}.",
    ]
    later: dict[str, list[str]] = {}
    for one in results.measured:
        if one.commit not in ("", found["commit"]):
            later.setdefault(one.commit, []).append(f"{one.title}, {one.formats}")
    lines += [f"Commit {commit}: {'; '.join(titles)}." for commit, titles in later.items()]
    lines += [f"Kept to {found['isa']}."] if found["isa"] else []
    lines += [f"XLA_FLAGS: `{found['xla_flags']}`."] if found["xla_flags"] else []
    lines.append(f"Native kernels: {found['native'] or 'no switch set'}.")
    loads = [load for one in results.measured for load in one.load]
    if loads:
        lines.append(
            f"Processes that wanted a core at the time: {min(loads):g} to {max(loads):g}; beyond the cores, figures scatter."
        )
    return "\n".join(lines)


def page(results: Results, narrow: Results, without: Results) -> str:
    """The whole document; a section without figures is left out. ``narrow``: with AVX2 at most; ``without``: without native kernels."""
    shown = SHOWN.relative_to(ROOT)
    less = ", ".join(f"{rounds} for {workload}" for workload, rounds in fewer(results).items())
    head = HEAD.format(
        command=COMMAND,
        shown=shown,
        rounds=results.rounds,
        fewer=f" ({less})" if less else "",
        machine=machine(results),
    )
    others = "\n".join(text for text in (against_others(results), missing(results)) if text)
    sections = (
        (SPEED, against_jax(results)),
        (OTHERS, others),
        (STARTS, starts(results)),
        (PROFILES, profiles(results)),
        (AVX2.format(shown=NARROW.relative_to(ROOT)), against_jax(narrow)),
        (XLA.format(shown=WITHOUT.relative_to(ROOT)), "\n".join([against_jax(without), profiles(without)])),
    )
    text = "\n".join([head, *(intro + figures for intro, figures in sections if figures)])
    wrong = failures(results)
    return text + (f"\n## Not measured\n\n{wrong}" if wrong else "")


def main(arguments: Sequence[str]) -> int:
    """Write both, or say which is stale."""
    results = Results.load(SHOWN)
    both = ((PAGE, page(results, Results.load(NARROW), Results.load(WITHOUT))), (PICTURE, picture(results)))
    return max(settle(file, text, COMMAND, arguments) for file, text in both)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
