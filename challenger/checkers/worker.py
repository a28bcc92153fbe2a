"""One process that runs one program: a check that stalls, crashes or fills its memory ends this process and nothing else.

    python -m challenger.checkers.worker MACHINE MEMORY FILE_BYTES [STARTS]

``MACHINE``: ``module:name`` of what makes a Machine of a program; with ``STARTS``, the folder of what earlier starts found out, it is
the executor, tested then or now. It reads requests from its standard input and answers each on
its standard output (``wire``), until there are no more: it ends with whoever started it. It sends nothing else and knows no
key.
"""

from __future__ import annotations

import importlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from challenger.checkers.files import write_trace
from challenger.checkers.re_execute import BatchMachine, Finding, Machine, Posted, ReExecute
from challenger.checkers.wire import Message, receive, send
from rollup.claim import NO_ROOT, join
from rollup.errors import ClaimError, EncodingError, TouchstoneError
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.service.memory import give_back
from rollup.types import Root

if TYPE_CHECKING:
    from prover.start import Starts

NICE = 5
"""Who plays goes first."""

SPARE_SECONDS = 60

REASON = 2000
"""Most characters of a sentence that is sent."""

SQUARE = 1024

TIMED = "timed"
"""Under what an earlier start noted how long a check takes."""


def bound(memory: int, file_bytes: int) -> None:
    """Allocate no more than this, and be the first to go if the machine runs out of memory."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        for limit, value in (
            (resource.RLIMIT_DATA, memory),
            (resource.RLIMIT_FSIZE, file_bytes),
            (resource.RLIMIT_CORE, 0),
        ):
            _, hard = resource.getrlimit(limit)
            most = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(limit, (most, most))
    with suppress(OSError):
        os.nice(NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def bound_time(seconds: float) -> None:
    """Compute no longer than this from now on, on all cores. Whoever asked ends what takes longer; this is for a process whose
    asker is gone, and that is held by some library where it does not notice.
    """
    with suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        soft = int(time.process_time() + (os.cpu_count() or 1) * seconds) + SPARE_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def speed() -> float:
    """Multiply-adds a second of a float32 product on what JAX runs on."""
    import jax
    import jax.numpy as jnp

    product = jax.jit(lambda x: x @ x)
    x = jnp.ones((SQUARE, SQUARE), jnp.float32)
    product(x).block_until_ready()
    seconds = min(_timed(lambda: product(x).block_until_ready()) for _ in range(3))
    return float(SQUARE**3 / seconds)


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


class Worker:
    """``machine`` makes what runs the program; ``starts``: what earlier starts found out."""

    def __init__(self, machine: Callable[[Program], Machine], starts: Starts | None = None) -> None:
        self._machine, self._starts = machine, starts
        self._checker: ReExecute | None = None

    def answer(self, request: Message) -> Message:
        head, blobs = request
        bound_time(float(head["seconds"]))
        match head["do"]:
            case "speed":
                return {"steps_a_second": speed()}, []
            case "load":
                return self.load(Path(head["folder"]), bytes.fromhex(head["model_id"])), []
            case "check":
                assert self._checker is not None
                finding = self._checker.compare(Root(bytes.fromhex(head["trace_root"])), *blobs)
                return _said(finding), []
            case "batches":
                assert self._checker is not None
                machine = self._checker.machine
                most = machine.test_batches() if isinstance(machine, BatchMachine) else 1
                if self._starts is not None:
                    self._starts.seal()
                give_back()
                return {"most": most}, []
            case "check each":
                assert self._checker is not None
                roots = [Root(bytes.fromhex(text)) for text in head["trace_roots"]]
                claims = [Posted(root, *blobs[2 * n : 2 * n + 2]) for n, root in enumerate(roots)]
                return {"found": [_said(one) for one in self._checker.compare_each(claims)]}, []
            case "trace":
                assert self._checker is not None
                write_trace(self._checker.trace(blobs[0]), Path(head["path"]))
                return {}, []
        raise AssertionError(head["do"])

    def load(self, folder: Path, model_id: bytes) -> dict[str, Any]:
        """Load, test and run the program; gives the seconds of a check and of a trace, once all is compiled (or as they were
        measured in an earlier start), and how many claims can be checked at once.
        """
        program = Program.load(folder)
        if program.id != model_id:
            raise EncodingError(
                f"{folder} holds model 0x{program.id.hex()} now, 0x{model_id.hex()} was there before; start again"
            )
        self._checker = checker = ReExecute(program, self._machine(program))
        header, rng = program.header, np.random.default_rng(0)
        inputs = join(
            [
                rng.integers(tensor.dtype.min, tensor.dtype.max, tensor.shape, np.int64, endpoint=True).astype(
                    tensor.dtype.numpy
                )
                for tensor in header.inputs
            ],
            header.inputs,
        )
        outputs = bytes(sum(tensor.bytes for _, tensor in header.outputs))
        root = Root(bytes([1]) * len(NO_ROOT)) if header.policy is TracePolicy.WITH_CLAIM else NO_ROOT
        checker.compare(root, inputs, outputs)
        times = None if self._starts is None else self._starts.recall(program.id, TIMED)
        if times is None:
            checker.trace(inputs)
            check = _timed(lambda: checker.compare(root, inputs, outputs))
            times = {"check": check, "trace": _timed(lambda: checker.trace(inputs).root)}
            if self._starts is not None:
                self._starts.seal()
                self._starts.remember(program.id, TIMED, times)
        give_back()
        return {**times, "most": checker.most_claims}


def _said(found: Finding | ClaimError) -> dict[str, Any]:
    if isinstance(found, Finding):
        return {"honest": found.honest, "reason": found.reason[:REASON]}
    return {"error": type(found).__name__, "sentence": str(found)[:REASON]}


def serve(worker: Worker, requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until there is no more request. Requests are read by a thread: when they end, so does the process."""
    waiting: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def read() -> None:
        with suppress(EOFError, OSError, ValueError):
            while True:
                waiting.put(receive(requests))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            answer = worker.answer(waiting.get())
        except TouchstoneError as error:
            answer = {"error": type(error).__name__, "sentence": str(error)[:REASON]}, []
        except Exception as error:
            # Whatever a library made of this, it may be in no state to go on.
            send(answers, ({"error": type(error).__name__, "sentence": str(error)[:REASON], "ends": True}, []))
            os._exit(1)
        send(answers, answer)


def main(machine: str, memory: str, file_bytes: str, starts: str | None = None) -> None:
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # Whatever a library prints goes to the log, and asks nobody anything.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    bound(int(memory), int(file_bytes))
    serve(_worker(machine, starts), requests, answers)


def _worker(machine: str, folder: str | None) -> Worker:
    if folder is None:
        module, _, name = machine.partition(":")
        return Worker(getattr(importlib.import_module(module), name))
    from prover.start import Starts
    from prover.start.machine import tested

    starts = Starts(Path(folder))
    starts.compile_into()
    return Worker(lambda program: tested(program, starts), starts)


if __name__ == "__main__":
    main(*sys.argv[1:])
