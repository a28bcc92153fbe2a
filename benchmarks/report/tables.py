"""Results as tables of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.results import (
    COMMITMENT,
    JAX,
    LLAMA,
    OUTPUT,
    THREADS,
    WATCHER,
    Measured,
    Results,
    Start,
    onnx_name,
)

BASELINES = (*(onnx_name(threads) for threads in THREADS), LLAMA)
GIB, MIB = 2**30, 2**20
DASH = "-"
LEAST_WEIGHTS = 4 * MIB
"""Bytes of weights from which on memory is compared with them: that of compiled functions hides smaller ones."""


def table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Nothing without rows."""
    cells = [list(map(str, row)) for row in (head, *rows)]
    if len(cells) == 1:
        return ""
    cells.insert(1, ["---"] * len(cells[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def against_jax(results: Results) -> str:
    """What each party needs, in times of what JAX float32 needs."""
    rows = [
        (
            *(timed.workload, one.formats, timed.milliseconds(JAX) or DASH),
            *(timed.ratio(phase, JAX) or DASH for phase in (OUTPUT, COMMITMENT, WATCHER)),
        )
        for one, timed in results.timed()
    ]
    return table(("workload", "formats", f"{JAX}, ms", OUTPUT, COMMITMENT, WATCHER), rows)


def against_others(results: Results) -> str:
    """The outputs alone, in times of what the other runtimes need that ran."""
    ran = [name for name in BASELINES if any(name in timed.seconds for _, timed in results.timed())]
    rows = []
    for one, timed in results.timed():
        found = [timed.ratio(OUTPUT, name) for name in ran]
        if any(found):
            rows.append((timed.workload, one.formats, *(ratio or DASH for ratio in found)))
    return table(("workload", "formats", *ran), rows)


def missing(results: Results) -> str:
    """Which runtimes did not run, and why."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for _, timed in results.timed():
        for runtime, why in timed.missing.items():
            found.setdefault((runtime, why), {})[timed.workload] = None
    rows = [(runtime, why, "; ".join(workloads)) for (runtime, why), workloads in found.items()]
    return table(("runtime", "why it did not run", "workloads"), rows)


def starts(results: Results) -> str:
    """Seconds from the start of a process until it is ready, and memory."""
    rows = []
    for one in results.measured:
        by = {(start.role, start.caches): start for start in one.starts}
        if by:
            kinds = [(role, caches) for role in ("prover", "watcher") for caches in ("cold", "warm")]
            times = [f"{by[kind].seconds:.1f}" for kind in kinds]
            rows.append((one.title, one.formats, *times, *_memory(by["prover", "warm"], by["prover", "cold"])))
    columns = ("prover, cold", "warm", "watcher, cold", "warm")
    return table(("subject", "formats", *columns, "weights, MiB", "loaded over weights", "peak, GiB"), rows)


def _memory(warm: Start, cold: Start) -> tuple[str, str, str]:
    loaded = f"{(warm.after - warm.before) / warm.constants:.1f}" if warm.constants >= LEAST_WEIGHTS else DASH
    return f"{warm.constants / MIB:,.1f}", loaded, f"{cold.peak / GIB:.2f}"


def profiles(results: Results) -> str:
    """A table for each subject that was profiled."""
    return "\n".join(_profile(one) for one in results.measured if one.profile is not None)


def _profile(one: Measured) -> str:
    assert one.profile is not None
    total = sum(seconds for _, _, seconds in one.profile["kinds"])
    rows = [(kind, count, f"{1e3 * s:.2f}", f"{s / total:.0%}") for kind, count, s in one.profile["kinds"]]
    whole = one.profile["pass_seconds"]
    rows.append(("all ops, each alone", "", f"{1e3 * total:.2f}", "100%"))
    rows.append(("a pass, as it is compiled", "", f"{1e3 * whole:.2f}", f"{whole / total:.0%}"))
    return f"**{one.title}, {one.formats}**\n\n" + table(("kind", "ops", "ms", "share"), rows) + _floor(one.profile)


def _floor(profile: Mapping[str, Any]) -> str:
    """What the machine allows, and how far a pass is from it."""
    if "floor" not in profile:
        return ""
    floor, whole = profile["floor"], profile["pass_seconds"]
    return (
        f"\nThe floor: {floor['multiplications'] / 1e9:,.2f} billion multiplications at {floor['multiplications_per_second'] / 1e9:,.0f} "
        f"billion a second, the rate of the program's fastest product, and {floor['bytes'] / 1e6:,.0f} MB at "
        f"{floor['bytes_per_second'] / 1e9:.1f} GB a second: {1e3 * floor['seconds']:.0f} ms. A pass takes "
        f"{whole / floor['seconds']:.2f} times that.\n"
    )


def failures(results: Results) -> str:
    """What failed and what was left out, a sentence each."""
    failed = [f"- {one.name} FAILED: {one.failed}\n" for one in results.measured if one.failed]
    return "".join(failed + [f"- {name} was left out: {why}\n" for name, why in results.left_out.items()])


def everything(results: Results) -> str:
    """All of it, for a terminal."""
    parts = (against_jax, against_others, missing, starts, profiles, failures)
    return "\n".join(text for part in parts if (text := part(results)))
