"""``touchstone ledger``: an account's money on a chain over JSON-RPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from rollup.l1.chain import Chain
from rollup.l1.client import L1Client
from rollup.l1.deployment import Deployment
from rollup.l1.development import KEYS, DevelopmentChain
from rollup.l1.keys import load_signer
from rollup.settings import Parameters
from rollup.types import Duration
from tests.touchstone.test_devnet import Hurry
from touchstone.cli import main
from touchstone.devnet.chain import ChainServer

Run = Callable[..., Result]


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
            "has 0 wei of earnings, 1000000000000000000 too few; free balance is announced first",
        ),
        (("redeposit", "1 ether"), KEYS[6], "has 0 wei of earnings"),
        (("announce", "1 ether"), KEYS[6], "has 0 wei free, 1000000000000000000 too few"),
        (("deposit", "1000000 ether"), KEYS[6], "too few; send it some"),
        (("fund", "1000000 ether"), KEYS[6], "too few; send it some"),
        (("show",), None, "set TOUCHSTONE_KEY, or name a file with --key-file or --keystore"),
        (("deposit", "much"), KEYS[5], "'much' is no amount"),
    ],
)
def test_what_cannot_be_moved_is_one_sentence(run: Run, arguments: tuple[str, ...], key: str, sentence: str) -> None:
    result = run(*arguments, key=key)
    assert result.exit_code != 0
    assert sentence in result.output
