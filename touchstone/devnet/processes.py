"""Child processes that live and die together: output with a prefix, readiness, one that dies ends them all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rollup.errors import ServiceError

GRACE = 20.0
"""Seconds that a process has to end by itself."""

GATHER = 0.1
"""Seconds between two looks at the processes."""

LEASH = Path(__file__).with_name("leash.py")
"""What a child is started by, so that it does not outlive a network that is killed."""

Say = Callable[[str, str], None]
Check = Callable[[], bool]


@dataclass
class Child:
    """One child. ``once``: it ends by itself."""

    name: str
    popen: subprocess.Popen[bytes]
    once: bool
    reader: threading.Thread


class Stopped(Exception):
    """Somebody asked the network to stop."""


@dataclass
class Processes:
    """``say`` gets a process's name and a line of its output. Not for several threads but for ``stop``."""

    say: Say
    _running: list[Child] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def stop_on_signals(self) -> None:
        """SIGTERM and SIGINT end what waits with Stopped."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())

    def start(self, name: str, argv: Sequence[str], environ: Mapping[str, str], once: bool = False) -> Child:
        """Start a child in a session of its own: a terminal's Ctrl-C reaches it through us, in order."""
        popen = subprocess.Popen(
            [sys.executable, "-S", "-E", str(LEASH), str(os.getpid()), *argv],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        reader = threading.Thread(target=self._forward, args=(name, popen), name=f"output of {name}", daemon=True)
        reader.start()
        process = Child(name, popen, once, reader)
        self._running.append(process)
        return process

    def _forward(self, name: str, popen: subprocess.Popen[bytes]) -> None:
        assert popen.stdout is not None
        for line in popen.stdout:
            self.say(name, line.decode(errors="replace").rstrip("\n"))

    def wait_until(self, check: Check, what: str, seconds: float) -> None:
        """Raises ServiceError if it does not come about in time or a process dies, Stopped if somebody wants to stop."""
        deadline = time.monotonic() + seconds
        while not check():
            self.look()
            if time.monotonic() > deadline:
                raise ServiceError(f"{what} did not come about within {seconds:g} s; the output above says why")
            if self._stop.wait(GATHER):
                raise Stopped

    def wait_for(self, process: Child, seconds: float) -> None:
        """Until a process that ends by itself has done so; raises ServiceError if it failed."""
        self.wait_until(lambda: process.popen.poll() is not None, f"the end of {process.name}", seconds)
        self.look()

    def watch(self) -> None:
        """Until somebody asks to stop (returns), or a process dies (raises ServiceError)."""
        while not self._stop.wait(GATHER):
            self.look()

    def look(self) -> None:
        """Raises ServiceError if a process has died."""
        for process in self._running:
            code = process.popen.poll()
            if code is not None and not (process.once and code == 0):
                process.reader.join(1)
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
                raise ServiceError(f"{process.name} {how}; the network stops. Its output above says why")

    @property
    def ids(self) -> dict[str, int]:
        """The ids of the processes that are to stay."""
        return {process.name: process.popen.pid for process in self._running if not process.once}

    def stop(self) -> None:
        """End all, the first one last: the others end their work on the chain. Kill what does not end in time."""
        for wave in (self._running[1:], self._running[:1]):
            for process in wave:
                _signal(process, signal.SIGTERM)
            deadline = time.monotonic() + GRACE
            for process in wave:
                self._ended(process, deadline)
        self._running = []

    def _ended(self, process: Child, deadline: float) -> None:
        try:
            process.popen.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.say(process.name, f"did not end within {GRACE:g} s and is killed")
            _signal(process, signal.SIGKILL)
            process.popen.wait()
        process.reader.join(1)


def _signal(process: Child, number: signal.Signals) -> None:
    """To all of its session: a node may have children of its own."""
    if process.popen.poll() is None:
        os.killpg(process.popen.pid, number)
