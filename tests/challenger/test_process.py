"""``touchstone watch`` as a process: killed at any moment it begins again from L1, whatever its cache has become."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rollup.l1.account.fees import FEW_BLOCKS, FeePolicy
from rollup.l1.account.keys import load_signer
from rollup.l1.deployment import Deployment
from rollup.l1.node.chain import MOST_BLOCK_SECONDS, Chain
from rollup.l1.node.development import KEYS, DevelopmentChain
from tests.challenger.hostile import serving
from tests.challenger.test_service import sequencer_of
from tests.process import PATIENCE, Process
from tests.world import PROGRAM, deploy
from touchstone.devnet.chain import ChainServer
from touchstone.services.l1 import client_of
from touchstone.settings.settings import ChainSettings


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """(folder with deployment.json and the toy, endpoint of a chain)."""
    with ChainServer(DevelopmentChain(time.time, 1), "127.0.0.1", 0) as chain:
        signer = load_signer(KEYS[0])
        client = deploy(Chain.connect(chain.url, FeePolicy(poll=0.1)), signer, PROGRAM)
        Deployment.of(client).save(tmp_path / "deployment.json")
        PROGRAM.save(tmp_path / "toy")
        yield tmp_path, chain.url


def until_ready(watcher: Process) -> None:
    deadline = time.monotonic() + PATIENCE
    url = watcher.url()
    while (answer := httpx.get(f"{url}/readyz")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)


def test_a_watcher_that_is_killed_begins_again_with_a_cache_that_was_damaged(place: tuple[Path, str]) -> None:
    folder, rpc = place
    toy, cache = PROGRAM, folder / "cache" / "programs"
    with serving(sequencer_of(toy, folder / "toy")) as sequencer:
        flags = ["--rpc", rpc, "--deployment", f"{folder / 'deployment.json'}", "--finality", "latest", "--poll", "0.2"]
        flags += ["--models-from", sequencer.url, "--model-ids", f"0x{toy.id.hex()}", "--cache", f"{folder / 'cache'}"]
        first = Process("watch", *flags, TOUCHSTONE_KEY=KEYS[1])
        try:
            until_ready(first)
        finally:
            assert first.end(signal.SIGKILL) == -signal.SIGKILL
        (kept,) = cache.iterdir()
        assert kept.name == toy.id.hex() and len(sequencer.requests) == 1
        damaged = max(kept.glob("constants/*.bin"), key=lambda path: path.stat().st_size)
        damaged.write_bytes(damaged.read_bytes()[:-7])
        # As a process that was killed while it fetched leaves it.
        (cache / ".incoming-half").mkdir()
        second = Process("watch", *flags, TOUCHSTONE_KEY=KEYS[1])
        try:
            until_ready(second)
        finally:
            code = second.end()
    assert code == 0, second.log
    assert len(sequencer.requests) == 2
    assert "Traceback" not in second.log and KEYS[1] not in second.log


def test_no_transaction_of_a_service_is_fought_for_longer_than_its_games_allow(place: tuple[Path, str]) -> None:
    folder, rpc = place
    client = client_of(ChainSettings(rpc=rpc, deployment=folder / "deployment.json"), None)
    assert client.chain.fees.give_up_after <= max(20.0, FEW_BLOCKS * MOST_BLOCK_SECONDS) < ChainSettings().fee_give_up
    assert client.chain.fees.bump_after <= client.chain.fees.give_up_after / 2
