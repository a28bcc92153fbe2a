"""One process that runs one program: a check that stalls, crashes or fills its memory ends this process and nothing else.

    python -m challenger.checkers.worker MACHINE MEMORY FILE_BYTES

``MACHINE``: ``module:name`` of what makes a Machine of a program. It reads requests from its standard input and answers each on
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
from typing import IO, Any

import numpy as np

from challenger.checkers.files import write_trace
from challenger.checkers.re_execute import Machine, ReExecute
from challenger.checkers.wire import Message, receive, send
from rollup.claim import NO_ROOT, join
from rollup.errors import EncodingError, TouchstoneError
from rollup.form.encoding import TracePolicy
from rollup.form.program import Program
from rollup.types import Root

NICE = 5
"""Who plays goes first."""

SPARE_SECONDS = 60

REASON = 2000
"""Most characters of a sentence that is sent."""

SQUARE = 1024


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
    """``machine`` makes what runs the program."""

    def __init__(self, machine: Callable[[Program], Machine]) -> None:
        self._machine = machine
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
                return {"honest": finding.honest, "reason": finding.reason[:REASON]}, []
            case "trace":
                assert self._checker is not None
                write_trace(self._checker.trace(blobs[0]), Path(head["path"]))
                return {}, []
        raise AssertionError(head["do"])

    def load(self, folder: Path, model_id: bytes) -> dict[str, Any]:
        """Load, test and run the program; gives the seconds of a check and of a trace, once all is compiled."""
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
        trace = checker.trace(inputs)
        root = trace.root if header.policy is TracePolicy.WITH_CLAIM else NO_ROOT
        del trace
        checker.compare(root, inputs, outputs)
        check = _timed(lambda: checker.compare(root, inputs, outputs))
        return {"check": check, "trace": _timed(lambda: checker.trace(inputs).root)}


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


def main(machine: str, memory: str, file_bytes: str) -> None:
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # Whatever a library prints goes to the log, and asks nobody anything.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    bound(int(memory), int(file_bytes))
    module, _, name = machine.partition(":")
    serve(Worker(getattr(importlib.import_module(module), name)), requests, answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
