"""The README's section *Run a network*, command by command, with real processes on free ports in a folder of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().split("\n## Run a network\n")[1].split("\n## ")[0]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
SETUP = ("make setup && . .venv/bin/activate", ". .venv/bin/activate")
"""Done already for whoever runs the tests: what it leads to is on PATH."""

PORTS = {"CHAIN": 8545, "PUBLIC": 8080, "ADMIN": 8081, "PROVER": 8082, "WATCHER": 8083, "GUARD": 8084}
PATIENCE = 900.0
"""Seconds for one step on a very busy machine; each ends much sooner, or never."""


def block(language: str, word: str) -> str:
    """The section's only block in a language that has a word in it."""
    (found,) = [text for kind, text in BLOCKS if kind == language and word in text]
    return found


@dataclass
class Place:
    """A folder with what the README's reader has in front of them, and the network's ports instead of the usual ones."""

    folder: Path
    ports: Mapping[str, int]
    environ: Mapping[str, str]

    def at_free_ports(self, text: str) -> str:
        for name, usual in PORTS.items():
            text = text.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{self.ports[name]}")
        return text

    def script(self, text: str) -> list[str]:
        """What a shell runs of a block of commands."""
        lines = [line for line in text.splitlines() if line not in SETUP]
        return ["bash", "-euc", self.at_free_ports("\n".join(lines))]

    def run(self, arguments: list[str]) -> str:
        """Its output; a failure shows it."""
        done = subprocess.run(
            arguments, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def free_ports() -> dict[str, int]:
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in PORTS}
    found = {name: listener.getsockname()[1] for name, listener in listeners.items()}
    for listener in listeners.values():
        listener.close()
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("readme")
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
    return Place(folder, ports, environ)


@pytest.fixture(scope="module")
def network(place: Place) -> Iterator[Place]:
    """The first block: the network runs until the tests are over, and then stops cleanly."""
    log = place.folder / "devnet.log"
    with log.open("wb") as output:
        arguments = place.script(
            block("sh", "touchstone devnet").replace("touchstone devnet", "exec touchstone devnet")
        )
        process = subprocess.Popen(arguments, cwd=place.folder, env=place.environ, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE
        while not (place.folder / ".devnet/state/network.json").exists():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-5000:]
            time.sleep(0.2)
        yield place
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, log.read_text()[-5000:]
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def final(network: Place) -> str:
    """The second block: what a model of one's own says, when it has become final."""
    return network.run(network.script(block("sh", "touchstone model build")))


def test_there_are_five_commands() -> None:
    lines = (block("sh", "touchstone devnet") + block("sh", "touchstone model build")).splitlines()
    assert lines[0] == SETUP[0]
    assert len([line for line in lines if line != SETUP[1]]) == 5


def test_a_model_of_ones_own_is_claimed_and_final_by_l1s_word(final: str) -> None:
    lines = final.splitlines()
    assert any("held out, 35 samples" in line for line in lines)
    assert any(line.startswith("output   output: [") for line in lines)
    assert lines[-1] == "state    final, by L1's word: these outputs of this input"


def test_the_network_holds_the_claim_for_final(network: Place, final: str) -> None:
    (claim,) = re.findall(r"^claim    (0x[0-9a-f]{64})$", final, re.MULTILINE)
    listed = network.run(["touchstone", "claims", "list", "--model", "wine", "--state", "final"])
    assert claim in listed


def test_a_lie_is_convicted(network: Place, final: str) -> None:
    said = network.run(network.script(block("sh", "touchstone lie")))
    assert "invalid" in said.lower(), said
    assert "invalid" in network.run(["touchstone", "claims", "list", "--model", "wine", "--state", "invalid"])


def test_the_client_in_python_verifies_what_it_was_told(network: Place, final: str) -> None:
    said = network.run([sys.executable, "-c", network.at_free_ports(block("python", "rollup.client"))])
    assert re.search(r"^FINAL at block \d+$", said, re.MULTILINE), said
