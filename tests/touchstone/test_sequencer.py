"""``touchstone sequencer`` as people start it: a process on a real node, its settings from flags and environment."""

import json
import os
import signal
import subprocess
import sys

import httpx
import pytest
from click.testing import CliRunner
from eth_utils.crypto import keccak

from rollup.documents.claims import SignedClaim
from rollup.l1.deployment import Deployment
from tests.sequencer.api.world import eventually
from tests.world import ETHER, INPUTS, PROGRAM, deploy, sign_claim
from touchstone.cli import main

pytestmark = pytest.mark.anvil

SAME = "0x" + keccak(text="touchstone sequencer").hex()
"""Key of the account that the tests give the sequencer."""

OWN, PROVER, PASSWORD = "own-token-hunter2-and-more", "prover-token-hunter2", "db-hunter2"


class Process:
    """One life of the command."""

    def __init__(self, scene, *flags, **environment):
        command = [sys.executable, "-m", "touchstone.cli", "sequencer", "--port", "0", "--admin-port", "0"]
        command += ["--rpc", scene.node.url, "--deployment", str(scene.folder / "deployment.json")]
        command += ["--database", f"sqlite:///{scene.folder}/sequencer.db", "--models", str(scene.folder / "models")]
        command += ["--batch-age", "0", "--poll", "0.1", "--log-style", "json", *flags]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TOUCHSTONE_")}
        given = {"TOUCHSTONE_KEY": scene.node.key("sequencer")} | environment
        self.log = (scene.folder / f"{len(list(scene.folder.glob('*.log')))}.log").open("w+")
        self.process = subprocess.Popen(command, env=kept | given, stdout=self.log, stderr=self.log)

    @property
    def lines(self):
        self.log.seek(0)
        return self.log.read().splitlines()

    def url(self, app="Touchstone sequencer"):
        def found():
            assert self.process.poll() is None, "\n".join(self.lines)
            return [
                one["url"] for one in map(json.loads, self.lines) if one["event"] == "listening" and one["app"] == app
            ]

        eventually(found, 60)
        return found()[0]

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(60)
        text = "\n".join(self.lines)
        self.log.close()
        return code, text


class Scene:
    def __init__(self, node, folder):
        self.node, self.folder = node, folder
        node.signer("sequencer")
        deployer = deploy(node.chain(), node.signer("deployer"), PROGRAM)
        self.claimant = deployer.using(node.signer("claimant"))
        self.claimant.deposit(10 * ETHER)
        Deployment.of(deployer).save(folder / "deployment.json")


@pytest.fixture(scope="module")
def scene(anvil, tmp_path_factory):
    return Scene(anvil, tmp_path_factory.mktemp("sequencer"))


def test_claims_survive_the_end_of_the_process_and_no_secret_is_told(scene):
    secrets = {"TOUCHSTONE_ADMIN_OWN_TOKEN": OWN, "TOUCHSTONE_PROVER_TOKEN": PROVER}
    first = Process(scene, "--batch-age", "1h", "--prover", "http://127.0.0.1:1", "--log-level", "debug", **secrets)
    try:
        url, headers = first.url(), {"authorization": f"Bearer {OWN}"}
        answer = httpx.post(
            f"{url}/v1/claims",
            json=SignedClaim.of(sign_claim(scene.claimant, PROGRAM, INPUTS)).model_dump(),
            timeout=30,
        )
        assert answer.status_code == 201, answer.text
        admin = first.url("Touchstone sequencer, admin")
        shown = httpx.get(f"{admin}/admin/config", headers=headers)
        assert shown.status_code == 200 and "hunter2" not in shown.text
        assert httpx.get(f"{admin}/admin/status").status_code == 401
        assert httpx.get(f"{admin}/admin/status", headers=headers).json()["pending"] == 1
    finally:
        code, log = first.end()
    assert code == 0, log
    assert "hunter2" not in log and scene.node.key("sequencer")[2:] not in log
    second = Process(scene)
    try:
        url = second.url()
        claim = f"{url}/v1/claims/{answer.json()['claim_id']}"
        eventually(lambda: httpx.get(claim).json()["state"] == "posted", 60)
        assert httpx.get(f"{url}/readyz").status_code == 200, httpx.get(f"{url}/readyz").text
        assert "Touchstone" in httpx.get(url).text
        assert any("no admin API" in line for line in second.lines)
    finally:
        code, log = second.end(signal.SIGINT)
    assert code == 0, log


@pytest.mark.parametrize(
    ("flags", "environment", "said"),
    [
        ((), {"TOUCHSTONE_KEY": "0xhunter2"}, "not hexadecimal"),
        ((), {"TOUCHSTONE_KEY": ""}, "an account is needed"),
        (("--rpc", "http://127.0.0.1:1/hunter2"), {}, "did not answer"),
        (("--database", "nonsense"), {}, "database"),
        (("--database", f"postgresql+psycopg://u:{PASSWORD}@127.0.0.1:1/x"), {}, "database"),
        ((), {"TOUCHSTONE_ADMIN_OWN_TOKEN": "hunter2"}, "token"),
        (("--host", "203.0.113.1"), {}, "can't be listened on"),
        (("--deployment", "/nowhere.json"), {}, "deployment"),
        ((), {"TOUCHSTONE_SEQUENCER_REQUESTS_KEY": "0x" + "11" * 32}, "needs --prover"),
        (("--prover", "http://127.0.0.1:1"), {"TOUCHSTONE_SEQUENCER_REQUESTS_KEY": SAME}, "pays for batches already"),
    ],
    ids=[
        "garbled key",
        "no key",
        "no node",
        "no database",
        "no PostgreSQL",
        "short token",
        "no such host",
        "no deployment",
        "requests without a prover",
        "one account for both",
    ],
)
def test_what_is_wrong_at_the_start_is_said_in_one_sentence_without_secrets(
    scene, flags, environment, said, monkeypatch
):
    monkeypatch.setenv("TOUCHSTONE_KEY", scene.node.key("sequencer"))
    command = [
        "sequencer",
        "--port",
        "0",
        "--admin-port",
        "0",
        "--rpc",
        scene.node.url,
        "--models",
        f"{scene.folder}/models",
    ]
    command += ["--deployment", f"{scene.folder}/deployment.json", "--database", f"sqlite:///{scene.folder}/other.db"]
    result = CliRunner().invoke(main, [*command, *flags], env=environment)
    assert result.exit_code == 1, result.output
    (sentence,) = [line for line in result.output.splitlines() if line.startswith("touchstone: ")]
    assert said in sentence
    assert "hunter2" not in result.output and "Traceback" not in result.output
