"""``touchstone prover`` as a process: it answers, it shows no secret, it ends when it is told to."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from prover.service.worker import SHARED_SECONDS
from rollup.documents.claims import SignedClaim
from rollup.documents.fields import read
from rollup.l1.account.fees import FeePolicy
from rollup.l1.account.keys import load_signer
from rollup.l1.deployment import Deployment
from rollup.l1.node.chain import Chain
from rollup.l1.node.development import KEYS, DevelopmentChain
from tests.e2e.toy_program import toy_numbers
from tests.process import PATIENCE, Process
from tests.world import PROGRAM, deploy
from touchstone.cli import main
from touchstone.devnet.chain import ChainServer

TOKEN = "a very secret token"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory):
    """(folder with deployment.json and the toy, endpoint of a chain)."""
    folder = tmp_path_factory.mktemp("place")
    with ChainServer(DevelopmentChain(time.time, 1), "127.0.0.1", 0) as chain:
        client = deploy(Chain.connect(chain.url, FeePolicy(poll=0.1)), load_signer(KEYS[0]), PROGRAM)
        Deployment.of(client).save(folder / "deployment.json")
        PROGRAM.save(folder / "toy")
        yield folder, chain.url


def test_it_answers_keeps_its_secrets_and_ends_in_order(place: tuple[Path, str]) -> None:
    folder, rpc = place
    prover = Process(
        "prover",
        *("--rpc", rpc, "--deployment", f"{folder / 'deployment.json'}", "--models", f"{folder / 'toy'}"),
        *("--deposit", "1 ether", "--finality", "latest"),
        TOUCHSTONE_KEY=KEYS[1],
        TOUCHSTONE_PROVER_TOKEN=TOKEN,
    )
    try:
        with httpx.Client(base_url=prover.url(), trust_env=False, timeout=PATIENCE) as http:
            deadline = time.monotonic() + PATIENCE
            while (ready := http.get("/readyz")).status_code != 200:
                assert time.monotonic() < deadline, ready.text
                time.sleep(0.1)
            body = {"model": "toy", "inputs": toy_numbers()}
            answer = http.post("/v1/infer", json=body, headers={"authorization": f"Bearer {TOKEN}"})
            posted = read(SignedClaim, answer.json()["posted"]).value
            assert posted.claim.claimant == load_signer(KEYS[1]).address
            assert -PATIENCE < posted.claim.valid_until - 3600 - time.time() < PATIENCE + SHARED_SECONDS
            root = posted.claim.trace_root.hex()
            assert http.get(f"/v1/trace/0x{root}/leaves/0").content == posted.inputs[:1024]
            assert 'touchstone_prover_inferences_total{model="toy",outcome="signed"} 1.0' in http.get("/metrics").text
    finally:
        code = prover.end()
    log = prover.log
    assert code == 0, log
    assert TOKEN not in log and KEYS[1] not in log and "Traceback" not in log


@pytest.mark.parametrize(
    ("flags", "environ", "sentence"),
    [
        ([], {}, "an account is needed"),
        (["--deployment", "/nowhere/deployment.json"], {"TOUCHSTONE_KEY": KEYS[1]}, "cannot be read"),
        ([], {"TOUCHSTONE_KEY": "not hexadecimal, and secret"}, "not hexadecimal; give"),
    ],
    ids=["no account", "no deployment", "no key"],
)
def test_what_it_can_not_start_with_is_one_sentence(
    place: tuple[Path, str], flags: list[str], environ: dict[str, str], sentence: str
) -> None:
    folder, rpc = place
    given = ["--rpc", rpc, "--deployment", f"{folder / 'deployment.json'}", "--models", f"{folder / 'toy'}", *flags]
    result = CliRunner().invoke(main, ["prover", "--port", "0", *given], env=environ)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith("touchstone: ") and sentence in line and "and secret" not in line
