"""``touchstone economics``: its tables, JSON and picture are the figures of the formulas, and what it can't do it says."""

from __future__ import annotations

import json
import re
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from rollup.claim import Address
from rollup.l1.deployment import Deployment
from rollup.words import GWEI
from touchstone.cli import main
from touchstone.deployment import page
from touchstone.deployment.cast import cast, judged
from touchstone.deployment.dilemma import convictions
from touchstone.deployment.economics import MOST_PRICES, Economics, Market, ladder
from touchstone.deployment.parameters import Terms
from touchstone.deployment.tables import tables

ROOT = Path(__file__).parents[2]
MAINNET = ROOT / "ops" / "params" / "mainnet.toml"
ETHER = 10**18


def economics(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["economics", *map(str, arguments)])


def document(*arguments: str | Path) -> dict[str, Any]:
    result = economics(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def test_the_page_and_its_picture_are_fresh() -> None:
    assert page.PAGE.read_text() == page.page(), f"run {page.COMMAND}"
    assert page.PICTURE.read_text() == page.picture(), f"run {page.COMMAND}"


def test_the_readmes_ratio_is_the_smallest_of_those_that_are_judged() -> None:
    (figure,) = re.findall(r"over defending, .* \| ([\d.]+) times at least", (ROOT / "README.md").read_text())
    terms = Terms.load(MAINNET)
    assert float(figure) == round(min(attack.ratio(terms.conditions.highest) for attack in judged(terms)), 1)


def test_json_has_every_attack_at_every_price() -> None:
    found, terms = document(MAINNET, "--gas-price", "1 gwei..200 gwei"), Terms.load(MAINNET)
    assert [one["name"] for one in found["attacks"]] == [attack.name for attack in cast(terms)]
    prices = [int(price) for price in found["market"]["gas_prices_wei"]]
    assert prices[0] == GWEI and prices[-1] == 200 * GWEI
    for shown, attack in zip(found["attacks"], cast(terms), strict=True):
        assert [int(one["gas_price_wei"]) for one in shown["at"]] == prices
        for one, price in zip(shown["at"], prices, strict=True):
            assert int(one["attacker_loses_wei"]) == attack.loss(price)
            assert int(one["attacker_gains_wei"]) == attack.gains(price)
            assert int(one["defender_pays_wei"]) - int(one["defender_gets_wei"]) == attack.defence(price)
            assert one["ratio"] is None if attack.defence(price) <= 0 else one["ratio"] == attack.ratio(price)
    assert found["parameters"]["claim_bond"] == str(8 * ETHER) and found["parameters"]["window"] == 604_800


def test_a_check_costs_its_time_on_a_machine_or_its_dollars() -> None:
    common = (MAINNET, "--gas-price", "20 gwei", "--eth", "2500", "--false-share", "0.001")
    timed = document(*common, "--check-time", "2s", "--hour", "1.5")
    check = int(timed["market"]["check_wei"])
    assert check == int(Fraction(2 * 3, 2 * 3600 * 2500) * ETHER)
    assert document(*common, "--check-cost", "0.5")["market"]["check_wei"] == str(2 * ETHER // 10**4)
    for shown, one in zip(timed["convictions"], convictions(Terms.load(MAINNET), 20 * GWEI), strict=True):
        even = one.break_even(check)
        assert even is not None and shown["break_even_share"] == float(even)
        (profit,) = shown["profit_a_claim_wei"]
        assert int(profit["wei"]) == int(one.profit(Fraction(1, 1000), check))


def test_tables_show_dollars_if_ether_has_a_price() -> None:
    dollars, ether = (economics(MAINNET, *more, "--gas-price", "20 gwei") for more in (("--eth", "2000"), ()))
    assert dollars.exit_code == ether.exit_code == 0
    assert "$16,000" in dollars.output and "ETH" not in dollars.output
    assert "8 ETH" in ether.output and "$" not in ether.output


def test_every_option_of_the_market_changes_what_is_shown() -> None:
    plain = economics(MAINNET).output
    for more in (
        ("--watchers", "3"),
        ("--interest", "0.04"),
        ("--ratio", "20"),
        ("--false-share", "0.5"),
        ("--eth", "1"),
    ):
        assert economics(MAINNET, *more).output != plain, more


def test_a_deployment_is_judged_under_the_conditions_of_a_parameter_file(tmp_path: Path) -> None:
    terms = Terms.load(MAINNET)
    file = tmp_path / "deployment.json"
    addresses = [Address("0x" + "00" * 19 + f"0{number}") for number in (1, 2, 3)]
    Deployment(1, addresses[0], 0, bytes(32), terms.parameters, *addresses[1:]).save(file)
    assert document(file, "--conditions", MAINNET) == document(MAINNET)
    assert "name a parameter file by --conditions" in economics(file).output
    other = ROOT / "ops" / "params" / "op-stack.toml"
    assert document(MAINNET, "--conditions", other)["conditions"] == document(other)["conditions"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--gas-price", "20"), '\'20\' names no unit; write "20 ether", "20 gwei"'),
        (("--gas-price", "1..20 gwei"), "'1' names no unit"),
        (("--gas-price", "0 gwei"), "is no range of gas prices"),
        (("--gas-price", "2 gwei..1 gwei"), "the lower one first"),
        (("--gas-price", "1 gwei..2 gwei..3 gwei"), "is no range of gas prices"),
        (("--gas-price", "1 euro"), "is no amount"),
        (("--eth", "0"), "give a number above it"),
        (("--eth", "nan"), "is no number"),
        (("--eth", "-1"), "is no number"),
        (("--eth", "1e400"), "is no number"),
        (("--eth", "1" + "0" * 39), "give 1000000000 at most"),
        (("--eth", "1" + "0" * 99), "is no number"),
        (("--false-share", "1.1"), "give 1 at most"),
        (("--check-cost", "1"), "say its price by --eth"),
        (("--check-time", "1s", "--eth", "1"), "go together"),
        (("--hour", "1", "--eth", "1"), "go together"),
        (("--check-cost", "1", "--check-time", "1s", "--eth", "1"), "--check-cost says it all"),
        (("--check-time", "soon", "--hour", "1", "--eth", "1"), "is no duration"),
        (("--watchers", "0"), "not in the range"),
        (("--ratio", "0"), "not in the range"),
    ],
)
def test_what_makes_no_sense_is_said(arguments: tuple[str, ...], sentence: str) -> None:
    result = economics(MAINNET, *arguments)
    assert isinstance(result.exception, SystemExit) and result.exit_code in (1, 2), result.output
    assert sentence in result.output


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_picture_is_drawn_the_same_each_time(kind: str, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.{kind}" for number in range(2)]
    for file in files:
        assert economics(MAINNET, "--plot", file, "--eth", "2500", "--check-cost", "0.01").exit_code == 0
    first, second = (file.read_bytes() for file in files)
    assert first == second
    start = {"svg": b"<?xml", "png": b"\x89PNG"}[kind]
    assert first.startswith(start)
    if kind == "svg":
        text = first.decode()
        assert all(label in text for label in ("in a part of a long reduction", "the cost of a check", "10 times"))


def test_every_plot_that_is_asked_for_is_drawn(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.svg", "two.png")]
    result = economics(
        MAINNET, "--gas-price", "1 gwei..2 gwei", *(word for file in files for word in ("--plot", str(file)))
    )
    assert result.exit_code == 0 and all(file.stat().st_size > 0 for file in files), result.output


def test_a_missing_file_is_told_with_one_that_is_there() -> None:
    result = CliRunner().invoke(main, ["economics"])
    assert result.exit_code == 2 and "FILE is missing: ops/params/mainnet.toml, say" in result.output
    assert MAINNET.relative_to(ROOT).as_posix() in result.output


def test_a_picture_that_cannot_be_drawn_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "neither .svg nor .png" in economics(MAINNET, "--plot", tmp_path / "a.gif").output
    assert "a plot needs a range" in economics(MAINNET, "--gas-price", "1 gwei", "--plot", tmp_path / "a.svg").output
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "matplotlib draws the plot and is not installed" in economics(MAINNET, "--plot", tmp_path / "a.svg").output
    assert list(tmp_path.iterdir()) == []


@given(low=st.integers(1, 10**12), high=st.integers(1, 10**12))
def test_a_ladder_rises_from_the_lowest_price_to_the_highest(low: int, high: int) -> None:
    low, high = sorted((low, high))
    found = ladder(low, high)
    assert found[0] == low and found[-1] == high and list(found) == sorted(set(found))
    assert len(found) <= MOST_PRICES or high / low > 10 ** (MOST_PRICES - 2)


@given(wei=st.integers(-(10**27), 10**27) | st.integers(-(10**60), 10**60), dollars=st.none() | st.integers(1, 10**9))
def test_amounts_are_shown_to_four_digits(wei: int, dollars: int | None) -> None:
    market = Market((GWEI,), None if dollars is None else Fraction(dollars))
    text = market.show(wei)
    (number,) = re.findall(r"-?[\d,]+(?:\.\d+)?", text)
    exact = Fraction(wei * (dollars or 1), ETHER)
    assert abs(Fraction(number.replace(",", "")) - exact) <= max(abs(exact) / 1000, Fraction(1, 10**18))


def test_every_row_of_every_table_is_as_long_as_its_head() -> None:
    terms = Terms.load(MAINNET)
    for check in (None, 10**12):
        for one in tables(Economics(terms, Market(ladder(GWEI, 200 * GWEI), check=check))):
            assert one.rows and {len(row) for row in one.rows} == {len(one.head)}
