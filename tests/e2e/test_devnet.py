"""`touchstone devnet` from its start to its end: inferences become final, lies invalid, nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.touchstone.test_processes import alive

PATIENCE = 300.0
"""Seconds for each step, on a machine that does other things, too."""


class DevnetProcess:
    """A running `touchstone devnet` on free ports."""

    def __init__(self, data: Path, log: Path, *flags: str) -> None:
        ports = [f"--{name}-port=0" for name in ("chain", "public", "admin", "prover", "watcher", "guard")]
        self._log, self._file = log, data / "state" / "network.json"
        self._file.unlink(missing_ok=True)
        with log.open("w") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "touchstone.cli", "devnet", "--data", str(data), *ports, *flags],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def up(self) -> dict[str, Any]:
        """What it says about itself, once it is up."""
        self.until(self._file.exists, "the network to be up")
        found: dict[str, Any] = json.loads(self._file.read_text())
        return found

    @property
    def log(self) -> str:
        return self._log.read_text()

    def until(self, check: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not check():
            assert self.popen.poll() is None, f"the network ended while waiting for {what}:\n{self.log}"
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n{self.log}"
            time.sleep(0.2)

    def ended(self) -> int:
        return self.popen.wait(PATIENCE)


@contextmanager
def network(data: Path, *flags: str) -> Iterator[DevnetProcess]:
    found = DevnetProcess(data, data / f"log{''.join(flags)}", *flags)
    try:
        yield found
    finally:
        if found.popen.poll() is None:
            found.popen.send_signal(signal.SIGTERM)
            found.ended()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that the models are lowered once."""
    return tmp_path_factory.mktemp("devnet")


def get(url: str) -> Any:
    answer = httpx.get(url, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()


def infer(page: str, model: str, inputs: list[Any]) -> dict[str, Any]:
    asked = {"model": model, "inputs": inputs}
    answer = httpx.post(f"{page}/v1/infer", json=asked, timeout=120, trust_env=False)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_inference_becomes_final_and_a_signal_ends_all_processes(data: Path) -> None:
    with network(data) as running:
        about = running.up()
        page = about["page"]
        assert [model["name"] for model in get(f"{page}/v1/models")["models"]] == ["digits", "iris"]
        answer = infer(page, "iris", [[5.1, 3.5, 1.4, 0.2]])
        assert max(range(3), key=answer["outputs"][0].__getitem__) == 0
        assert answer["state"] == "pending"
        where = f"{page}/v1/claims/{answer['claim_id']}"
        running.until(lambda: get(where)["state"] == "final", "the claim to be final")
        assert get(where)["inclusion"] is not None
        tokens = dict(line.split("=", 1) for line in Path(about["tokens"]).read_text().split())
        assert Path(about["tokens"]).stat().st_mode & 0o077 == 0
        assert all(token not in running.log for token in tokens.values())
        for url in (page, about["admin"], about["prover"], *about["watchers"]):
            metrics = httpx.get(f"{url}/metrics", timeout=60, trust_env=False).text
            assert "touchstone_" in metrics
        running.popen.send_signal(signal.SIGTERM)
        assert running.ended() == 0, running.log
        assert not any(alive(pid) for pid in about["processes"].values())
        assert not re.search(r"Traceback|is killed", running.log), running.log


@pytest.mark.anvil
def test_on_anvil_a_lie_becomes_invalid_and_a_process_that_dies_ends_the_network(data: Path) -> None:
    with network(data, "--anvil", "--liar") as running:
        about = running.up()
        page = about["page"]
        running.until(lambda: bool(get(f"{page}/v1/claims?state=invalid")["claims"]), "the liar's claim to be invalid")
        [*_, lie] = get(f"{page}/v1/claims?state=invalid")["claims"]
        dispute = get(f"{page}/v1/disputes/{lie['claim_id']}")
        assert dispute["games"]
        os.kill(about["processes"]["prover"], signal.SIGKILL)
        assert running.ended() == 1
        assert "prover was killed by SIGKILL; the network stops" in running.log
        assert not any(alive(pid) for pid in about["processes"].values())


@pytest.mark.anvil
def test_a_network_that_is_kept_goes_on_where_it_was(data: Path) -> None:
    with network(data, "--anvil", "--keep") as running:
        before = running.up()
        answer = infer(before["page"], "iris", [[5.1, 3.5, 1.4, 0.2]])
        where = f"/v1/claims/{answer['claim_id']}"
        running.until(lambda: get(before["page"] + where)["state"] == "posted", "the claim to be posted")
        posted, tokens = get(before["page"] + where), Path(before["tokens"]).read_text()
        running.popen.send_signal(signal.SIGTERM)
        assert running.ended() == 0, running.log
    with network(data, "--anvil", "--keep") as running:
        after = running.up()
        assert "goes on with the chain" in running.log and "begins anew" not in running.log
        assert Path(after["tokens"]).read_text() == tokens
        running.until(lambda: get(after["page"] + where)["state"] == "final", "the claim to be final")
        assert get(after["page"] + where)["batch"] == posted["batch"]
