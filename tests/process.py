"""A service as its own process, its log read as it is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

PATIENCE = 120


class Process:
    """``touchstone`` with this command, on a free port."""

    def __init__(self, command: str, *flags: str, **environ: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "touchstone.cli", command, "--port", "0", "--log-style", "json", *flags],
            env={**os.environ, **environ},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def url(self) -> str:
        """Where it listens, as soon as it does."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in list(self.lines):
                if '"listening"' in line:
                    return str(json.loads(line)["url"])
            time.sleep(0.05)
        raise AssertionError(self.log)

    def end(self, how: int = signal.SIGTERM) -> int:
        """Its exit code after this signal."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)
