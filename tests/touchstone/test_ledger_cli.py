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
        terms = Parameters(window=Duration(60), clock=Duration(30))
        Deployment.of(L1Client.deploy(Chain.connect(server.url), load_signer(KEYS[0]), terms)).save(file)

        def ran(*arguments: str, key: str | None = KEYS[5]) -> Result:
            environ = {"TOUCHSTONE_RPC": server.url, "TOUCHSTONE_DEPLOYMENT": str(file), "TOUCHSTONE_KEY": key}
            return CliRunner(env=environ).invoke(main, ["ledger", *arguments])

        yield ran


def test_what_is_deposited_is_free_and_can_be_withdrawn_in_part_and_whole(run: Run) -> None:
    assert "free          0 (0 wei)" in run("show").stdout
    assert "2 ether (2000000000000000000 wei)" in run("deposit", "2 ether").stdout
    assert "1.5 ether (1500000000000000000 wei)" in run("withdraw", "0.5 ether").stdout
    assert "free          0 (0 wei)" in run("withdraw").stdout
    assert run("withdraw").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "key", "sentence"),
    [
        (("withdraw", "1 ether"), KEYS[5], "has 0 wei free and needs 1000000000000000000"),
        (("show",), None, "set TOUCHSTONE_KEY, or name a file with --key-file or --keystore"),
        (("deposit", "much"), KEYS[5], "'much' is no amount"),
    ],
)
def test_what_cannot_be_moved_is_one_sentence(run: Run, arguments: tuple[str, ...], key: str, sentence: str) -> None:
    result = run(*arguments, key=key)
    assert result.exit_code != 0
    assert sentence in result.output
