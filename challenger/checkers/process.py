"""A worker's process as whoever started it sees it: one request at a time, each within its time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any

from challenger.checkers.checks import CheckFailed
from challenger.checkers.wire import receive, send
from challenger.reports import meter
from rollup import errors
from rollup.errors import TouchstoneError
from rollup.native.load import SWITCH

MODULE = "challenger.checkers.worker"
SECRETS = "TOUCHSTONE_"
"""What variables begin with that no worker needs to know."""

SAID = 300
"""Characters of a worker's last words that are told."""


class Process:
    """``machine``: ``module:name`` of what runs programs. ``memory``, ``file_bytes``: the most that it may take. ``starts``: a folder of
    the user's own for what it compiles and tests.
    """

    def __init__(self, machine: str, memory: int, file_bytes: int, starts: Path | None = None) -> None:
        self.memory = memory
        self.batches = False
        """Whether its program's batches are compiled and tested."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        environ = {name: value for name, value in os.environ.items() if not name.startswith(SECRETS) or name == SWITCH}
        # On an accelerator each would take most of its memory, needed or not.
        environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                MODULE,
                machine,
                str(memory),
                str(file_bytes),
                *([] if starts is None else [str(starts)]),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
            # What a terminal tells the watcher is not for its workers.
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def resident(self) -> int:
        """Bytes of memory that it holds now; 0 where that can't be known."""
        with suppress(OSError, ValueError, IndexError):
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return 0

    def ask(self, request: dict[str, Any], blobs: Sequence[bytes] = (), seconds: float = 60.0) -> dict[str, Any]:
        """Its answer; raises what it raised, if that is an error that is expected, else CheckFailed. Then, and if it takes
        longer, it is ended.
        """
        late = False

        def expire() -> None:
            nonlocal late
            late = True
            self._kill()

        timer = Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            send(self._process.stdin, ({**request, "seconds": seconds}, blobs))
            answer, _ = receive(self._process.stdout)
        except (OSError, EOFError, ValueError) as error:
            timer.cancel()
            raise self._ended(late, seconds, error) from None
        timer.cancel()
        if "error" in answer:
            raise self.error(answer)
        return answer

    def end(self) -> None:
        """Kill it, and wait until it is gone."""
        self._kill()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            # What was not sent yet has nobody to go to.
            with suppress(OSError, ValueError):
                assert stream is not None
                stream.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)

    def _kill(self) -> None:
        with suppress(OSError):
            self._process.kill()

    def error(self, answer: dict[str, Any]) -> Exception:
        """What it raised, as it says."""
        name, sentence = str(answer["error"]), str(answer.get("sentence", ""))
        if not answer.get("ends"):
            kind = getattr(errors, name, None)
            if isinstance(kind, type) and issubclass(kind, TouchstoneError):
                with suppress(TypeError):
                    return kind(sentence)
            return CheckFailed(f"{name}: {sentence}")
        self.end()
        if name == "MemoryError" or "RESOURCE_EXHAUSTED" in sentence:
            meter.ENDED.labels("memory").inc()
            return CheckFailed(f"it wanted more than the {self.memory:,} bytes of memory that one check may have")
        meter.ENDED.labels("error").inc()
        return CheckFailed(f"{name}: {sentence}")

    def _ended(self, late: bool, seconds: float, error: Exception) -> CheckFailed:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        code = self._process.poll()
        said = self._said()
        self.end()
        if late:
            meter.ENDED.labels("time").inc()
            return CheckFailed(f"it took more than the {seconds:g} s that it may take, and was ended")
        meter.ENDED.labels("crash").inc()
        how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"code {code}"
        return CheckFailed(f"the process that ran it ended with {how}{said or f' ({type(error).__name__})'}")

    def _said(self) -> str:
        """The last line that it wrote to its log."""
        with suppress(OSError, ValueError):
            self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - 4096))
            lines = self._log.read().decode(errors="replace").strip().splitlines()
            return f": {lines[-1][:SAID]}" if lines else ""
        return ""
