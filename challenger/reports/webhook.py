"""Alerts to a webhook: JSON by POST, from a thread of its own, with a bounded queue and retries."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field

from challenger.reports.alerts import Alert
from rollup.errors import ClientError
from rollup.http import Bounds, Http, Request, bearer, wait
from rollup.redact import place_of
from rollup.service.metrics import counter

DELIVERIES = counter("watcher", "webhook_deliveries", "Alerts handed to the webhook, by outcome", ["outcome"])
for _outcome in ("delivered", "failed", "dropped"):
    DELIVERIES.labels(_outcome)


@dataclass(frozen=True)
class Persistence:
    """``tries`` of ``timeout`` seconds each, with pauses that double from ``pause`` to ``longest``; ``queue``: most
    alerts that wait, after which the oldest are dropped.
    """

    tries: int = 8
    timeout: float = 5.0
    pause: float = 1.0
    longest: float = 60.0
    queue: int = 256


@dataclass
class Webhook:
    """A sink. ``token``: sent as a bearer token, shown nowhere."""

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    persistence: Persistence = field(default_factory=Persistence)

    def __post_init__(self) -> None:
        self._waiting: deque[Alert] = deque()
        self._news = threading.Condition()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        self._thread.start()

    def __call__(self, alert: Alert) -> None:
        """Put it in the queue; never waits."""
        with self._news:
            if len(self._waiting) >= self.persistence.queue:
                self._waiting.popleft()
                DELIVERIES.labels("dropped").inc()
            self._waiting.append(alert)
            self._news.notify()

    def stop(self, timeout: float = 5.0) -> None:
        """Give up what is still in the queue, and end the thread."""
        self._stopped.set()
        with self._news:
            self._news.notify()
        self._thread.join(timeout)

    def _work(self) -> None:
        while not self._stopped.is_set():
            with self._news:
                while not self._waiting and not self._stopped.is_set():
                    self._news.wait()
                if self._stopped.is_set():
                    return
                alert = self._waiting.popleft()
            DELIVERIES.labels("delivered" if self._deliver(alert) else "failed").inc()

    def _deliver(self, alert: Alert) -> bool:
        headers = {"content-type": "application/json", **bearer(self.token)}
        request = Request("POST", self.url, content=json.dumps(alert.as_json()).encode(), headers=headers)
        pause = self.persistence.pause
        for _ in range(self.persistence.tries):
            try:
                deliver(request, self.persistence.timeout)
            except ClientError:
                if self._stopped.wait(pause):
                    return False
                pause = min(2 * pause, self.persistence.longest)
            else:
                return True
        return False


def deliver(request: Request, seconds: float) -> None:
    """Raises ClientError unless the answer's status is 2xx. The answer's body is not read."""

    async def post(http: Http) -> None:
        async with http.opened(request, Bounds(seconds=seconds)) as incoming:
            if not 200 <= incoming.status < 300:
                raise ClientError(f"{place_of(request.path)} answered {incoming.status}; expected 2xx", incoming.status)

    wait(post)
