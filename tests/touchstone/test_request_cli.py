"""``touchstone request ask``: which options go together, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from rollup.claim import Address
from rollup.l1.deployment import Deployment
from rollup.l1.requests.asked import ANYBODY
from rollup.settings import Parameters
from rollup.types import hex_of
from touchstone.asking import Wanted
from touchstone.cli import main
from touchstone.cli.ask import CALLBACK_GAS, COMMIT_BLOCKS, EXCLUSIVE, ask, wanted_of, warn_if_short

A, B, C = ("0x" + f"{number:02x}" * 20 for number in (17, 34, 51))
COMMITTEE = tuple(word for one in (C, A, B) for word in ("--committee", one))


def wanted(*arguments: str) -> Wanted:
    """What a command line asks for."""
    context = ask.make_context("ask", ["digits", "--input", __file__, *arguments])
    names = (
        "fee",
        "lasting",
        "callback",
        "gas_limit",
        "data",
        "prover",
        "quorum",
        "committee",
        "commit_blocks",
        "exclusive",
    )
    said: dict[str, Any] = {name: context.params[name] for name in names}
    return wanted_of(**said)


def test_a_callback_has_gas_and_nobody_else_has() -> None:
    assert wanted("--callback", A).gas_limit == CALLBACK_GAS > 0
    assert wanted("--callback", A, "--callback-gas", "7").gas_limit == 7
    assert (wanted().callback, wanted().gas_limit, wanted().data) == (ANYBODY, 0, b"")


def test_a_named_prover_has_a_while_that_ends_before_the_request_does() -> None:
    assert wanted("--prover", A).exclusive == EXCLUSIVE
    assert wanted("--prover", A, "--until", "90s").exclusive == 90
    assert wanted("--quorum", "3").exclusive == wanted().exclusive == 0


def test_a_committee_is_as_large_as_the_quorum_and_in_ascending_order() -> None:
    found = wanted(*COMMITTEE)
    assert (found.quorum, [one.lower() for one in found.committee], found.commit_blocks) == (
        3,
        [A, B, C],
        COMMIT_BLOCKS,
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--callback-gas", "5"), "--callback-gas needs --callback"),
        (("--callback", A, "--callback-gas", "0"), "0 is not in the range"),
        (("--data", "0x12"), "--data needs --callback"),
        (("--commit-blocks", "5"), "--commit-blocks needs --quorum"),
        (("--exclusive", "5s"), "--exclusive needs --prover or --quorum"),
        (("--prover", A, "--exclusive", "0s"), "is no time at all"),
        (
            ("--prover", A, "--exclusive", "2h", "--until", "1h"),
            "--exclusive is 7200 s and ends behind --until, 3600 s",
        ),
        (("--prover", A, "--quorum", "3"), "--prover and --quorum exclude each other"),
        (("--prover", A, *COMMITTEE), "--prover and --quorum exclude each other"),
        (("--until", "0s"), "'0s' is no time at all"),
        (("--fee", "1"), '\'1\' names no unit; write "1 ether", "1 gwei" or "1 wei"'),
        (("--fee", "0"), "0 changes nothing"),
        (("--committee", A, "--committee", B), "--committee names 2 accounts; name as many as --quorum says"),
        (("--quorum", "4", *COMMITTEE), "--committee names 3 accounts"),
        (("--quorum", "2"), "2 is not in the range"),
    ],
)
def test_what_has_no_effect_or_no_sense_is_refused_by_name(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        wanted(*arguments)
    assert sentence in caught.value.format_message()


def test_a_member_that_is_named_twice_is_told() -> None:
    with pytest.raises(click.UsageError, match="twice; name each member once") as caught:
        wanted("--committee", A, "--committee", A, "--committee", B)
    assert A in caught.value.format_message().lower()


def test_a_time_that_no_sequencer_answers_in_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    for lasting, warned in (("60s", True), ("61s", False)):
        warn_if_short(wanted("--until", lasting).lasting)
        assert ("--until 60 s is short" in capsys.readouterr().err) is warned


@pytest.mark.parametrize(
    ("arguments", "level"),
    [
        ((), None),
        (("--wait",), "agreed"),
        (("--wait-for", "final"), "final"),
        (("--wait", "--wait-for", "final"), "final"),
    ],
)
def test_waiting_names_the_level_that_is_waited_for(arguments: tuple[str, ...], level: str | None) -> None:
    context = ask.make_context("ask", ["digits", "--input", __file__, *arguments])
    assert context.params["wait"] == level and "waits" not in context.params


def sentence_of(**environ: str) -> str:
    cleared = {"TOUCHSTONE_CONFIG": None, "TOUCHSTONE_KEY": None}
    result = CliRunner(env={**cleared, **environ}).invoke(main, ["request", "show", hex_of(bytes(32))])
    assert result.exit_code == 1 and len(result.output.splitlines()) == 1
    return result.output


def test_an_endpoint_and_a_deployment_that_are_none_are_told_with_their_options(tmp_path: Path) -> None:
    missing = sentence_of(TOUCHSTONE_DEPLOYMENT=str(tmp_path / "none.json"))
    assert "by --deployment or TOUCHSTONE_DEPLOYMENT" in missing and ".devnet/state/deployment.json" in missing
    address = Address("0x" + "11" * 20)
    file = tmp_path / "deployment.json"
    Deployment(1, address, 0, bytes(32), Parameters(), address, address).save(file)
    named = {"TOUCHSTONE_DEPLOYMENT": str(file)}
    assert "what --rpc or TOUCHSTONE_RPC names is no URL" in sentence_of(TOUCHSTONE_RPC="foo", **named)
    silent = sentence_of(TOUCHSTONE_RPC="http://127.0.0.1:9/secret", **named)
    assert "http://127.0.0.1:9: " in silent and "--rpc or TOUCHSTONE_RPC" in silent and "secret" not in silent
