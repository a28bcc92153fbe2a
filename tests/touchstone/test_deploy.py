"""Dangerous parameters are refused by name, the guarantees say what the figures are, and deploying twice is deploying once."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rollup.errors import SettingsError
from rollup.l1.account.keys import load_signer
from rollup.l1.client import L1Client
from rollup.l1.deployment import Deployment
from rollup.l1.node.chain import Chain
from rollup.l1.node.development import KEYS, DevelopmentChain
from rollup.settings import MAX_ARITY
from rollup.types import Duration
from touchstone.cli import main
from touchstone.deployment.dangers import bonds, dangers, times
from touchstone.deployment.deploy import PlannedDeployment
from touchstone.deployment.guarantees import guarantees
from touchstone.deployment.parameters import DEVELOPMENT_CHAINS, Terms
from touchstone.devnet.chain import ChainServer
from touchstone.settings.settings import DeploySettings
from touchstone.settings.sources import load

ROOT = Path(__file__).parents[2]
PARAMS = ROOT / "ops" / "params"
MAINNET = PARAMS / "mainnet.toml"
DEVNET = PARAMS / "development.toml"
REAL = sorted(set(PARAMS.glob("*.toml")) - {DEVNET})
HOUR = 3600
COUNTS = {3: "three", 4: "four", 5: "five", 6: "six"}

Write = Callable[..., Path]


class Hurry:
    """A clock on which a second passes whenever somebody looks: a block is always due."""

    def __init__(self) -> None:
        self.now = int(time.time())

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with ChainServer(DevelopmentChain(Hurry()), "127.0.0.1", 0) as server:
        yield server.url


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes mainnet.toml with some lines changed."""

    def written(**changed: str) -> Path:
        text = MAINNET.read_text()
        for key, value in changed.items():
            text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
            assert count == 1, key
        file = tmp_path / "params.toml"
        file.write_text(text)
        return file

    return written


def deploy(endpoint: str, *arguments: str, key: str | None = KEYS[0]) -> Result:
    runner = CliRunner(env={"TOUCHSTONE_KEY": key, "TOUCHSTONE_CONFIG": None})
    return runner.invoke(main, ["deploy", *arguments, "--rpc", endpoint])


def on_a_real_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The development chain counts as one with real money."""
    monkeypatch.setattr("touchstone.deployment.deploy.DEVELOPMENT_CHAINS", frozenset())


@pytest.mark.parametrize("file", REAL, ids=lambda file: file.stem)
def test_what_is_shipped_for_real_chains_has_no_dangers(file: Path) -> None:
    assert list(dangers(Terms.load(file))) == []


def test_what_is_shipped_for_real_chains_is_for_ethereum_a_rollup_and_a_test_network() -> None:
    assert [file.stem for file in REAL] == ["mainnet", "op-stack", "sepolia"]
    assert Terms.load(MAINNET).conditions.gas_prices == (10**9, 200 * 10**9)


def test_what_is_shipped_for_development_is_dangerous_by_its_times_alone() -> None:
    terms = Terms.load(DEVNET)
    assert list(bonds(terms)) == []
    assert any("gives watchers no time" in danger for danger in times(terms))
    assert terms.parameters.window <= 20


def test_the_parameters_of_the_first_version_are_refused_in_sentences(write: Write) -> None:
    first = write(
        claim_bond='"0.5 ether"',
        challenge_bond='"0.5 ether"',
        reward='"0.2 ether"',
        move_fee='"0.002 ether"',
        collect_fee='"0.002 ether"',
    )
    found = list(dangers(Terms.load(first)))
    assert any("costs its liar 0.3 ether if its own account takes the reward" in danger for danger in found)
    assert any("down to a part of an element, then silence: costs an attacker" in danger for danger in found)
    assert any("pays for an answer" in danger for danger in found)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"window": '"15s"'}, "a window of 15s gives watchers no time"),
        ({"window": '"59min"', "outage": '"0s"'}, "a window of 59min gives watchers no time"),
        ({"window": '"24h"'}, "shorter than an outage of L1 (1d) and a whole dispute's moves"),
        ({"clock": '"24h"'}, "too short for 16 moves at 12s a block and an outage of 1d"),
        ({"clock": '"10min"', "outage": '"0s"', "block_time": '"60s"'}, "too short for 16 moves at 1min a block"),
        ({"arity": "1", "clock": '"25h"', "block_time": '"60s"'}, "too short for 42 moves"),
        ({"window": '"800d"'}, "a window of 800d binds money for more than a year"),
        ({"clock": '"800d"'}, "a clock of 800d binds money for more than a year"),
        ({"withdrawal_delay": '"800d"'}, "a withdrawal_delay of 800d binds money for more than a year"),
        ({"withdrawal_delay": '"12h"'}, "is shorter than a sequencer may hold a claim (1d)"),
        ({"hold": '"25h"'}, "is shorter than a sequencer may hold a claim (25h)"),
        ({"spacing": '"11s"'}, "lets a flood of false claims outrun a watcher"),
        ({"gas_share": "0.1"}, "lets a flood of false claims outrun a watcher"),
        ({"block_gas": "20_000_000"}, "lets a flood of false claims outrun a watcher"),
        ({"clock": '"24h"'}, "choose a longer clock"),
        ({"gas_share": "0.02"}, "less than one proof may take"),
        ({"spacing": '"1h"'}, "168 disputed claims double the window of 7d"),
        ({"arity": str(MAX_ARITY)}, "was never measured"),
        ({"challenge_bond": '"0.1 ether"'}, "challenge, then silence: costs an attacker"),
        ({"challenge_bond": '"0.5 ether"'}, "down to a leaf, then silence: costs an attacker"),
        ({"challenge_bond": '"1 ether"'}, "down to a part of an element, then silence: costs an attacker"),
        ({"challenge_bond": '"2 ether"'}, "the attacker opening each node first: costs an attacker"),
        ({"gas_prices": '["1 gwei", "500 gwei"]'}, "times what it costs an honest claimant at 500 gwei a gas"),
        ({"claim_bond": '"6 ether"'}, "in a part of a long reduction costs its liar 5 ether"),
        ({"reward": '"3 ether"'}, "raise claim_bond or lower reward"),
        ({"move_fee": '"0.2 ether"'}, "stopping the clock is cheap"),
        ({"move_fee": '"0.001 ether"'}, "raise move_fee"),
        ({"collect_fee": '"1 wei"'}, "nobody else will; raise collect_fee"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_dangerous_value_is_refused_in_a_sentence(write: Write, changed: dict[str, str], sentence: str) -> None:
    assert any(sentence in danger for danger in dangers(Terms.load(write(**changed))))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"window": '"0s"'}, "must be positive"),
        ({"spacing": '"0s"'}, "choose 1 s to the window's"),
        ({"reward": '"4 ether"'}, "at least half must burn"),
        ({"challenge_bond": "0"}, "must be positive, or lying and spamming are free"),
        ({"challenge_bond": '"2000000 ether"'}, "is more than an account can hold; choose at most"),
        ({"arity": "9"}, "[parameters] arity: Input should be less than or equal to 8"),
        ({"claim_bond": '"0.1 bitcoin"'}, "[parameters] claim_bond: '0.1 bitcoin' is no amount"),
        ({"window": '"1.5s"'}, "[parameters] window: '1.5s' is no whole number of seconds"),
        ({"gas_prices": '["0", "1 gwei"]'}, "[conditions] gas_prices: write the lowest gas price and the highest one"),
        (
            {"gas_prices": '["2 gwei", "1 gwei"]'},
            "[conditions] gas_prices: write the lowest gas price and the highest one",
        ),
        ({"gas_share": "1.5"}, "[conditions] gas_share: Input should be less than or equal to 1"),
        ({"leaf_depth": "65\nleafdepth = 1"}, "[conditions] leafdepth: Extra inputs are not permitted"),
        ({"clock": "= 3"}, "is no TOML"),
    ],
)
def test_a_file_that_says_nothing_sensible_is_refused_by_key(
    write: Write, changed: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        Terms.load(write(**changed))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "params.toml"
    file.write_text(MAINNET.read_text().replace('clock = "84h"\n', ""))
    with pytest.raises(SettingsError, match=r"\[parameters\] clock: Field required"):
        Terms.load(file)


def test_the_guarantees_are_the_figures_of_the_parameters(write: Write) -> None:
    text = guarantees(Terms.load(MAINNET))
    for figure in (
        "7d after its batch",
        "14d after its batch",
        "16 moves",
        "8 ether",
        "1 ether go",
        f"{Terms.load(MAINNET).capacity:,}, with 0.25",
    ):
        assert figure in text
    for figure in (
        "adds 15s to all windows",
        "from 13s on a watcher",
        "by 250min",
        "6990 ether",
        "904.8 ether at least",
    ):
        assert figure in text
    assert "348h after its batch" in guarantees(Terms.load(write(clock='"90h"')))


def test_a_watcher_answers_as_many_liars_as_games_fit_into_its_share_of_the_blocks_of_its_clock() -> None:
    terms = Terms.load(MAINNET)
    blocks = ((84 - 24) * HOUR - 16 * 3 * 12) / 12
    assert terms.capacity == int(blocks * (36_000_000 / 4) / terms.dispute.challenger.most)
    swamped = replace(terms, parameters=replace(terms.parameters, clock=Duration(24 * HOUR)))
    assert (swamped.capacity, swamped.least_spacing) == (0, None)


def test_the_clock_stands_still_while_a_watcher_works_as_fast_as_it_can() -> None:
    """In two clocks, which a game takes at most, ``capacity`` games end; as many first challenges stop the clock as long."""
    terms = Terms.load(MAINNET)
    assert terms.least_spacing is not None
    assert (
        terms.least_spacing * terms.capacity >= 2 * terms.parameters.clock > (terms.least_spacing - 1) * terms.capacity
    )


def test_the_contracts_are_deployed_with_the_files_parameters(endpoint: str, tmp_path: Path) -> None:
    output = tmp_path / "deployment.json"
    result = deploy(endpoint, str(DEVNET), "-o", str(output))
    assert result.exit_code == 0, result.output
    found = Deployment.load(output)
    client = found.client(Chain.connect(endpoint))
    assert client.parameters == found.parameters == Terms.load(DEVNET).parameters
    assert found.contract in result.output
    assert "Not for real money" in result.output
    again = deploy(endpoint, str(DEVNET), "-o", str(output))
    assert (again.exit_code, "already" in again.output) == (0, True)
    assert Deployment.load(output) == found


def test_on_a_real_chain_dangers_are_refused_and_nothing_is_sent(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_real_chain(monkeypatch)
    result = deploy(endpoint, str(DEVNET), "-o", str(tmp_path / "d.json"), "--yes")
    assert result.exit_code == 1
    assert "these parameters are dangerous" in result.output
    assert "a window of 15s gives watchers no time" in result.output
    assert not (tmp_path / "d.json").exists()
    assert deploy(endpoint, str(DEVNET), "-o", str(tmp_path / "d.json"), "--development").exit_code == 0


def test_on_a_real_chain_somebody_must_agree(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_real_chain(monkeypatch)
    output = tmp_path / "d.json"
    asked = deploy(endpoint, str(MAINNET), "-o", str(output))
    assert asked.exit_code == 1
    assert "Nothing of this can be changed later" in asked.output
    assert not output.exists()
    assert deploy(endpoint, str(MAINNET), "-o", str(output), "--yes").exit_code == 0
    assert Deployment.load(output).parameters.window == 7 * 86400
    other = deploy(endpoint, str(DEVNET), "-o", str(output), "--yes")
    assert "dangerous" in other.output


def test_a_real_deployments_file_is_not_overwritten(
    endpoint: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_real_chain(monkeypatch)
    output = tmp_path / "d.json"
    output.write_text("{}")
    assert "is in the way" in deploy(endpoint, str(MAINNET), "-o", str(output), "--yes").output
    output.unlink()
    assert deploy(endpoint, str(MAINNET), "-o", str(output), "--yes").exit_code == 0
    before = output.read_text()
    result = deploy(endpoint, str(write(window='"8d"')), "-o", str(output), "--yes")
    assert "names a deployment with other parameters" in result.output
    assert output.read_text() == before


def test_parameters_for_another_chain_are_refused(endpoint: str, write: Write, tmp_path: Path) -> None:
    file = write(leaf_depth="34\nchain_id = 1")
    result = deploy(endpoint, str(file), "-o", str(tmp_path / "d.json"))
    assert "the parameters are for chain 1, the endpoint's is 1337" in result.output


def test_deploying_without_an_account_or_a_folder_says_so(endpoint: str, tmp_path: Path) -> None:
    assert (
        "an account is needed that signs and pays"
        in deploy(endpoint, str(DEVNET), "-o", str(tmp_path / "d"), key=None).output
    )
    assert "does not exist; create it" in deploy(endpoint, str(DEVNET), "-o", str(tmp_path / "no" / "d.json")).output


def test_a_check_sends_nothing_and_needs_no_account(endpoint: str, tmp_path: Path) -> None:
    result = deploy(endpoint, str(DEVNET), "-o", str(tmp_path / "d"), "--check", key=None)
    assert result.exit_code == 0
    assert "When a claim is final" in result.output
    assert not (tmp_path / "d").exists()


def test_a_development_chain_that_began_anew_gets_new_contracts(endpoint: str, tmp_path: Path) -> None:
    output = tmp_path / "deployment.json"
    assert deploy(endpoint, str(DEVNET), "-o", str(output)).exit_code == 0
    stale: dict[str, Any] = json.loads(output.read_text()) | {"contract": "0x" + "11" * 20}
    output.write_text(json.dumps(stale))
    settings = load(DeploySettings, environ={"TOUCHSTONE_RPC": endpoint})
    plan = PlannedDeployment.make(settings, DEVNET, output, development=False)
    assert plan.chain.chain_id in DEVELOPMENT_CHAINS
    assert plan.existing() is None
    assert deploy(endpoint, str(DEVNET), "-o", str(output)).exit_code == 0
    Deployment.load(output).client(Chain.connect(endpoint))


def test_the_runbook_says_the_gas_of_deploying(endpoint: str) -> None:
    chain = Chain.connect(endpoint)
    before = chain.height()
    L1Client.deploy(chain, load_signer(KEYS[2]), Terms.load(MAINNET).parameters)
    blocks = [chain.web3.eth.get_block(number) for number in range(before + 1, chain.height() + 1)]
    spent, sent = sum(block["gasUsed"] for block in blocks), sum(len(block["transactions"]) for block in blocks)
    text = (ROOT / "docs" / "runbook.md").read_text()
    assert f"needs {math.ceil(spent / 10**5) / 10} million gas, in {COUNTS[sent]} transactions" in text
