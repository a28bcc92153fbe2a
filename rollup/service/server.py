"""A web app on a port: in a thread, so that one process can have several, and stopped so that no answer is cut off."""

from __future__ import annotations

import signal
import socket
import threading
from types import FrameType

import uvicorn
from fastapi import FastAPI

from rollup.errors import ServiceError
from rollup.service.connection import bounded
from rollup.service.limits import WebLimits
from rollup.service.logs import logger

GRACE_SECONDS = 10
KEEP_ALIVE_SECONDS = 15
START_SECONDS = 30.0

_log = logger("touchstone.server")


class Server:
    """Made by ``serve``: the port is taken already, nothing is answered before ``start`` or ``run``."""

    def __init__(self, app: FastAPI, listener: socket.socket, host: str) -> None:
        limits: WebLimits = app.state.limits
        self._app, self._listener, self.host = app, listener, host
        self.port: int = listener.getsockname()[1]
        protocol = bounded(limits)
        self.holders = protocol.holders
        """How many connections each caller holds now."""
        config = uvicorn.Config(
            app,
            http=protocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=bool(limits.proxies),
            forwarded_allow_ips=list(limits.proxies),
            server_header=False,
            backlog=512,
            h11_max_incomplete_event_size=limits.header_bytes,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self) -> Server:
        """Answer from now on, in a thread; raises ServiceError if that does not come about."""
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name=f"server {self.port}", daemon=True
        )
        self._thread.start()
        for _ in range(int(START_SECONDS / 0.01)):
            if self._server.started:
                _log.info("listening", app=self._app.title, url=self.url)
                return self
            self._thread.join(0.01)
            if not self._thread.is_alive():
                break
        raise ServiceError(f"the server of {self.url} did not start; its log says why")

    def stop(self) -> None:
        """Take no more connections, let answers end (streams at once), and go."""
        self._app.state.stopping.set()
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(GRACE_SECONDS + 5)
        self._listener.close()

    def run(self) -> None:
        """Answer until SIGTERM or SIGINT."""
        lifetime = Lifetime()
        self.start()
        try:
            lifetime.wait()
        finally:
            self.stop()


def serve(app: FastAPI, host: str, port: int) -> Server:
    """Take the port (0: any that is free); raises ServiceError if it is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, asyncio turns off the delay of small packets; without, every answer waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except (OSError, OverflowError) as error:
        listener.close()
        raise ServiceError(
            f"{host}:{port} can't be listened on ({getattr(error, 'strerror', None) or error}); free it, or choose another port"
        ) from None
    return Server(app, listener, host)


class Lifetime:
    """Until somebody ends the process: SIGTERM or SIGINT. A second one ends it at once, as without us."""

    def __init__(self) -> None:
        self.over = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ended)

    def _ended(self, number: int, _: FrameType | None) -> None:
        _log.info("stopping", signal=signal.Signals(number).name)
        signal.signal(number, signal.SIG_DFL)
        self.over.set()

    def wait(self) -> None:
        """Returns when the process is to end."""
        # In slices: a wait without end would keep the signal's handler from running on some platforms.
        while not self.over.wait(0.5):
            pass
