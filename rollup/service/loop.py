"""A step that is repeated in a thread of its own until the service stops; nothing that goes wrong in it ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rollup.errors import ChainError, ClientError, Reverted, ServiceError
from rollup.service.logs import logger
from rollup.service.metrics import counter, gauge
from rollup.service.problem import outward

LONGEST_PAUSE = 30.0
"""Seconds between two tries of a step that keeps failing."""

FAILURES = counter("service", "loop_failures", "Steps of a loop that ended in an error", ["loop"])
LAST_SUCCESS = gauge("service", "loop_last_success_timestamp_seconds", "When a loop's step last succeeded", ["loop"])

_log = logger("touchstone.loop")


class Loop:
    """``step`` every ``every`` seconds, at once after ``wake``; failures are retried with a doubling pause."""

    def __init__(self, name: str, step: Callable[[], object], every: float) -> None:
        self.name, self.every = name, every
        self.trouble: Exception | None = None
        """Why the last step failed; None if it did not."""
        self.last_success: float | None = None
        """When a step last succeeded, on the monotonic clock."""
        self._step = step
        self._stopping = False
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        FAILURES.labels(name)

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread; a loop that runs already is left alone."""
        if not self.running:
            self._stopping = False
            self._woken.clear()
            self._thread = threading.Thread(target=self._run, name=f"loop {self.name}", daemon=True)
            self._thread.start()

    def stop(self, timeout: float = 30.0) -> bool:
        """Let the current step end and start no other; returns whether it ended within ``timeout`` seconds."""
        self._stopping = True
        self._woken.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self.running

    def wake(self) -> None:
        """Do the next step now."""
        self._woken.set()

    def stale(self, seconds: float) -> str | None:
        """A health check's answer: a sentence if no step succeeded within ``seconds``."""
        if self.last_success is not None and time.monotonic() - self.last_success <= seconds:
            return None
        why = f" ({outward(self.trouble)})" if self.trouble else ""
        return f"the loop '{self.name}' has not succeeded within {seconds:g} s{why}; see the log"

    def _run(self) -> None:
        pause = self.every
        while not self._stopping:
            self._woken.clear()
            try:
                self._step()
            except Exception as error:
                self.trouble = error
                FAILURES.labels(self.name).inc()
                if isinstance(error, ChainError | ClientError | ServiceError) and not isinstance(error, Reverted):
                    _log.warning("loop step failed", loop=self.name, error=str(error), again_in=round(pause, 1))
                else:
                    _log.error(
                        "loop step failed", loop=self.name, error=str(error), again_in=round(pause, 1), exc_info=error
                    )
                self._woken.wait(pause)
                pause = min(max(2 * pause, 0.1), max(LONGEST_PAUSE, self.every))
            else:
                self.trouble = None
                self.last_success = time.monotonic()
                LAST_SUCCESS.labels(self.name).set_to_current_time()
                pause = self.every
                self._woken.wait(pause)
