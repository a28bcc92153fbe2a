"""A network and commands as a document of the repository tells them, run in a folder of its own on free ports."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PORTS = {"CHAIN": 8545, "PUBLIC": 8080, "ADMIN": 8081, "PROVER": 8082, "WATCHER": 8083, "GUARD": 8084}
PATIENCE = 900.0
"""Seconds for one step on a very busy machine; each ends much sooner, or never."""


def section(document: str, title: str) -> str:
    """What stands under a heading of a document, up to the next one as high."""
    text = (ROOT / document).read_text()
    (level,) = re.findall(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    return re.split(rf"^#{{1,{len(level)}}} ", text.split(f"\n{level} {title}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def block(text: str, language: str, word: str) -> str:
    """The text's only block in a language that has a word in it."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (found,) = [code for kind, code in blocks if kind == language and word in code]
    return str(found)


@dataclass
class Place:
    """A folder with what a document's reader has in front of them, and the network's ports instead of the usual ones. ``done``: lines
    of the commands that whoever runs the tests has done.
    """

    folder: Path
    done: Sequence[str]
    ports: Mapping[str, int]
    environ: Mapping[str, str]

    @classmethod
    def made(cls, folder: Path, done: Sequence[str]) -> Place:
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        ports = free_ports()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TOUCHSTONE_")}
        environ = inherited | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TOUCHSTONE_URL": f"http://127.0.0.1:{ports['PUBLIC']}",
            "TOUCHSTONE_ADMIN_URL": f"http://127.0.0.1:{ports['ADMIN']}",
            "TOUCHSTONE_RPC": f"http://127.0.0.1:{ports['CHAIN']}",
        }
        for name, port in ports.items():
            environ[f"TOUCHSTONE_DEVNET_{name}_PORT"] = str(port)
        return cls(folder, done, ports, environ)

    def at_free_ports(self, text: str) -> str:
        for name, usual in PORTS.items():
            text = text.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{self.ports[name]}")
        return text

    def script(self, text: str) -> list[str]:
        """What a shell runs of a block of commands."""
        lines = [line for line in text.splitlines() if line not in self.done]
        return ["bash", "-euc", self.at_free_ports("\n".join(lines))]

    def run(self, arguments: list[str]) -> str:
        """Its output; a failure shows it."""
        done = subprocess.run(
            arguments, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def network(self, commands: str) -> Iterator[Place]:
        """The block that ends in ``touchstone devnet``: the network runs until its end, and then stops cleanly."""
        log = self.folder / "devnet.log"
        with log.open("wb") as output:
            arguments = self.script(commands.replace("touchstone devnet", "exec touchstone devnet"))
            process = subprocess.Popen(arguments, cwd=self.folder, env=self.environ, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + PATIENCE
            while not (self.folder / ".devnet/state/network.json").exists():
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-5000:]
                time.sleep(0.2)
            yield self
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0, log.read_text()[-5000:]
        finally:
            process.kill()
            process.wait()


def free_ports() -> dict[str, int]:
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in PORTS}
    found = {name: listener.getsockname()[1] for name, listener in listeners.items()}
    for listener in listeners.values():
        listener.close()
    return found
