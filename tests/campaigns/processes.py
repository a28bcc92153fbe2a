"""Services as processes of their own, started by the very commands that people type."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

PATIENCE = 120.0
"""Seconds that a service may take to get ready on a busy machine."""


class Service:
    """One process. ``command``: arguments of ``touchstone``; ``port``: where its /readyz answers."""

    def __init__(self, name: str, command: Sequence[str], port: int, environment: Mapping[str, str], log: Path) -> None:
        self.name, self.port, self.log = name, port, log
        self._command = [sys.executable, "-m", "touchstone.cli", *command]
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(timeout=5.0, trust_env=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Service:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        return self

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def is_ready(self) -> bool:
        try:
            return self._http.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def wait_ready(self, patience: float = PATIENCE) -> Service:
        deadline = time.monotonic() + patience
        while not self.is_ready():
            assert self.alive, f"{self.name} ended by itself:\n{self.tail()}"
            assert time.monotonic() < deadline, f"{self.name} is not ready after {patience:.0f} s:\n{self.tail()}"
            time.sleep(0.1)
        return self

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def memory(self) -> int:
        """Resident bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0
