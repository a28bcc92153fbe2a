"""Worker processes that judge one test after another, each in bounded time and memory."""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from tests.campaigns.onnx.verdict import FAILED, Verdict

SECONDS = 180.0
"""For one test; loading the suite has as long again."""

MEMORY = 12 << 30
"""Address space of a worker; JAX alone reserves some GiB."""

TESTS_PER_WORKER = 150
"""Compiled kernels pile up in a process, so a new one takes over from time to time."""

QUICK_TO_COMPILE = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
"""Of the workers: a program of a few elements is compiled for much longer than it runs."""

COMPILED = Path(__file__).parents[3] / ".build" / "onnx"
"""What was compiled, for the next time."""

CONTEXT = multiprocessing.get_context("spawn")


def _work(connection: Connection) -> None:
    """Judge the tests that are named on the connection, until it is closed."""
    logging.disable(logging.WARNING)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    import jax

    from tests.campaigns.onnx.suite import suite
    from tests.campaigns.onnx.verdict import judge

    jax.config.update("jax_compilation_cache_dir", str(COMPILED))  # type: ignore[no-untyped-call]
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # type: ignore[no-untyped-call]
    cases = suite()
    connection.send(None)
    while True:
        try:
            name = connection.recv()
        except EOFError:
            return
        try:
            verdict = judge(cases[name])
        except MemoryError:
            verdict = Verdict(FAILED, "out of memory")
        except AssertionError as error:
            verdict = Verdict(FAILED, f"broken invariant: {error}".rstrip().splitlines()[0])
        connection.send(verdict)


@dataclass(eq=False)
class _Worker:
    """A process, the test it is at (None: it starts, or is idle), and when it began."""

    process: SpawnProcess
    connection: Connection
    name: str | None = None
    ready: bool = False
    judged: int = 0
    since: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls) -> _Worker:
        ours, theirs = CONTEXT.Pipe()
        process = CONTEXT.Process(target=_work, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, name: str) -> None:
        self.connection.send(name)
        self.name, self.since = name, time.monotonic()

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()


def judged(names: Sequence[str], jobs: int) -> Iterator[tuple[str, Verdict, float]]:
    """(test, verdict, seconds) in the order in which they come; a worker that dies or takes too long fails its test."""
    os.environ.setdefault("XLA_FLAGS", QUICK_TO_COMPILE)
    waiting = list(reversed(names))
    workers = [_Worker.start() for _ in range(min(jobs, len(waiting)))]
    try:
        while workers:
            ready = wait([worker.connection for worker in workers], timeout=1.0)
            for worker in list(workers):
                name, seconds = worker.name, time.monotonic() - worker.since
                verdict: Verdict | None = None
                alive = True
                if worker.connection in ready:
                    try:
                        verdict = worker.connection.recv()
                    except (EOFError, OSError):
                        alive, verdict = False, Verdict(FAILED, "the process died")
                elif seconds > SECONDS:
                    alive, verdict = False, Verdict(FAILED, f"not done in {SECONDS:.0f} s")
                else:
                    continue
                if name is not None and verdict is not None:
                    worker.judged += 1
                    yield name, verdict, seconds
                worker.name = None
                if not alive or worker.judged >= TESTS_PER_WORKER or not waiting:
                    worker.stop()
                    workers.remove(worker)
                    if waiting:
                        workers.append(_Worker.start())
                else:
                    worker.give(waiting.pop())
    finally:
        for worker in workers:
            worker.stop()
