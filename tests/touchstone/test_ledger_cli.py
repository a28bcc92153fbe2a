"""``touchstone ledger``: an account's money on a chain over JSON-RPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from rollup.form.encoding import TracePolicy
from rollup.l1.account.keys import load_signer
from rollup.l1.answers import ClaimStatus
from rollup.l1.client import L1Client
from rollup.l1.deployment import Deployment
from rollup.l1.node.chain import Chain
from rollup.l1.node.development import KEYS, DevelopmentChain
from rollup.settings import Parameters
from rollup.types import Duration
from rollup.words import show_wei
from tests.e2e.lies import INPUTS, PROGRAMS
from tests.e2e.network import NetworkWorld
from tests.touchstone.test_devnet import Hurry
from touchstone.cli import main
from touchstone.devnet.chain import ChainServer

Run = Callable[..., Result]
PROGRAM = PROGRAMS[TracePolicy.WITH_CLAIM]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    file = tmp_path_factory.mktemp("ledger") / "deployment.json"
    with ChainServer(DevelopmentChain(Hurry()), "127.0.0.1", 0) as server:
        terms = Parameters(window=Duration(60), clock=Duration(30), withdrawal_delay=Duration(60))
        Deployment.of(L1Client.deploy(Chain.connect(server.url), load_signer(KEYS[0]), terms)).save(file)

        def ran(*arguments: str, key: str | None = KEYS[5]) -> Result:
            environ = {"TOUCHSTONE_RPC": server.url, "TOUCHSTONE_DEPLOYMENT": str(file), "TOUCHSTONE_KEY": key}
            return CliRunner(env=environ).invoke(main, ["ledger", *arguments])

        yield ran


def test_money_of_claims_leaves_after_it_was_announced_and_a_wait(run: Run) -> None:
    assert "free          0 (0 wei)" in run("show").stdout
    assert "2 ether (2000000000000000000 wei)" in run("deposit", "2 ether").stdout
    early = run("complete")
    assert early.exit_code != 0 and "announced no withdrawal" in early.output
    announced = run("announce", "0.5 ether").stdout
    assert "announced to leave  0.5 ether" in announced and "2 ether (2000000000000000000 wei)" in announced
    # The chain's clock is in a hurry: whoever looks makes a second pass.
    while (tried := run("complete")).exit_code != 0:
        assert "wait" in tried.output
    assert "1.5 ether (1500000000000000000 wei)" in tried.stdout
    assert "announced to leave  1.5 ether" in run("announce").stdout
    assert "announced" not in run("announce", "0").stdout


def test_what_was_earned_or_funded_is_withdrawn_at_once_or_made_free(run: Run) -> None:
    assert "earned        1 ether (1000000000000000000 wei)" in run("fund", "1 ether").stdout
    assert "earned        0.6 ether" in run("withdraw", "0.4 ether").stdout
    assert "earned        0.5 ether" in run("redeposit", "0.1 ether").stdout
    assert "earned        0 (0 wei)" in run("withdraw").stdout
    assert run("withdraw").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "key", "sentence"),
    [
        (
            ("withdraw", "1 ether"),
            KEYS[6],
            "has 0 of earnings, 1 ether too little; free balance is announced first",
        ),
        (("redeposit", "1 ether"), KEYS[6], "has 0 of earnings"),
        (("announce", "1 ether"), KEYS[6], "has 0 free, 1 ether too little; the bond of a claim that is final is"),
        (
            ("deposit", "1000000 ether"),
            KEYS[6],
            "too little; send it some (on a development chain: touchstone ledger faucet)",
        ),
        (
            ("fund", "1000000 ether"),
            KEYS[6],
            "too little; send it some (on a development chain: touchstone ledger faucet)",
        ),
        (("show",), None, "set TOUCHSTONE_KEY, or name a file with --key-file or --keystore"),
        (("deposit", "much"), KEYS[5], "'much' is no amount"),
        (("deposit", "0.1"), KEYS[5], '\'0.1\' names no unit; write "0.1 ether", "0.1 gwei"'),
        (("faucet", "1000000 ether"), KEYS[6], "which development chains fund, has no 1000000 ether here"),
    ],
)
def test_what_cannot_be_moved_is_one_sentence(run: Run, arguments: tuple[str, ...], key: str, sentence: str) -> None:
    result = run(*arguments, key=key)
    assert result.exit_code != 0
    assert sentence in result.output


def test_a_faucet_of_a_development_chain_gives_an_account_its_first_money(run: Run) -> None:
    key = "1" * 64
    assert "on the chain  0 (0 wei)" in run("show", key=key).stdout
    assert "on the chain  10 ether" in run("faucet", key=key).stdout
    assert "on the chain  12.5 ether" in run("faucet", "2.5 ether", key=key).stdout
    assert "free          1 ether" in run("deposit", "1 ether", key=key).stdout


def test_the_bonds_of_final_claims_are_released_and_what_the_others_wait_for_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = NetworkWorld(PROGRAM)
    final = [network.claim("claimant", INPUTS) for _ in range(2)]
    network.claim("somebody else", INPUTS)
    network.chain.advance(network.parameters.window + 1)
    late = network.claim("claimant", INPUTS)
    asked = network.claim("claimant", INPUTS)
    network.client("eve").challenge(asked.posted.claim, asked.inclusion, value=network.parameters.challenge_bond)
    client, bond = final[0].client, network.parameters.claim_bond
    monkeypatch.setattr("touchstone.services.l1.client_of", lambda *_: client)
    monkeypatch.setattr("touchstone.services.l1.signer_of", lambda _: None)
    before = client.balance(client.account)
    result = CliRunner().invoke(main, ["ledger", "release"])
    assert result.exit_code == 0, result.output
    assert f"released      2 bonds of {show_wei(bond)}" in result.output
    assert "not final     1, the next in " in result.output and "disputed      1" in result.output
    assert "The bonds of claims that are final come back with: touchstone ledger release" in result.output
    assert client.balance(client.account) == before + 2 * bond and client.locked(client.account) == 2 * bond
    assert [network.status(one) for one in (*final, late)] == [ClaimStatus.FINAL, ClaimStatus.FINAL, ClaimStatus.POSTED]
    # A second time nothing is left to be done.
    assert "released      0 bonds" in CliRunner().invoke(main, ["ledger", "release"]).output
