"""A real PostgreSQL for tests: one server a session, one fresh database a test."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from tests import machine

PATIENCE = 60.0
"""Seconds that the server may take to start."""


class Postgres:
    """A server in a temporary folder, on a free port of 127.0.0.1, which trusts everybody and does not wait for the disk; a
    context manager. It runs as oneself, or as ``postgres`` where one is root, which it refuses to be.
    """

    def __init__(self) -> None:
        found = machine.postgres()
        assert found is not None, "there is no initdb; install PostgreSQL, or deselect with -m 'not postgres'"
        self._programs = Path(found)
        self._user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        self._as: dict[str, Any] = (
            {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid} if os.geteuid() == 0 else {}
        )
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Postgres:
        self._folder = Path(tempfile.mkdtemp(prefix="touchstone-postgres-"))
        if self._as:
            shutil.chown(self._folder, self._user, self._as["group"])
        options = ["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "--locale=C"]
        self._run(["initdb", "--pgdata", str(self._folder / "data"), *options])
        for _ in range(3):
            self.port = machine.free_port()
            if self._start():
                return self
        raise AssertionError(f"PostgreSQL does not start: {(self._folder / 'log').read_text()[-2000:]}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # end sessions, then stop
            self._process.wait(PATIENCE)
        shutil.rmtree(self._folder, ignore_errors=True)

    def crash(self) -> None:
        """End it at once: sessions are cut off, and what was not written is lost."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(PATIENCE)

    def restart(self) -> None:
        """Start again, after a crash."""
        assert self._start(), f"PostgreSQL does not start again: {(self._folder / 'log').read_text()[-2000:]}"

    def _run(self, command: list[str]) -> None:
        program, *arguments = command
        subprocess.run(
            [str(self._programs / program), *arguments], check=True, capture_output=True, cwd=self._folder, **self._as
        )

    def _start(self) -> bool:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "60",
        }
        command = [str(self._programs / "postgres"), "-D", str(self._folder / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder, **self._as)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self._execute("SELECT 1")
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        return False

    def _execute(self, statement: str) -> None:
        address = {"host": "127.0.0.1", "port": self.port, "user": "postgres", "dbname": "postgres"}
        with psycopg.connect(**address, autocommit=True, connect_timeout=5) as connection:  # type: ignore[arg-type]
            connection.execute(statement)  # type: ignore[arg-type]

    def database(self) -> str:
        """URL of a new, empty database."""
        name = f"touchstone_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"
