"""What everything costs on chain, from the committed measurements: ``python -m tests.costs [--check]`` writes docs/costs.md.

Every figure stands twice: under Prague's rules, and under EIP-7976's, by which a byte of calldata costs 64 gas at least.

Attack: the gas of a challenger's moves and its bond, which it loses. Defence: the gas of the honest claimant's moves, less what the
losing challenger's bond pays it for them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from rollup.generated import settle
from rollup.settings import Parameters

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "costs.md"
ONE_STEP = ROOT / "tests" / "contracts" / "one_step_gas.json"
TRANSACTIONS = ROOT / "tests" / "contracts" / "dispute_gas.json"
CURVE = ROOT / "tests" / "arity.json"
GWEI = 10**9
ETHER = 10**18
PRICES = (1, 5, 10, 20, 50, 100)
"""Gas prices in gwei."""
FACTOR = 10


@dataclass(frozen=True)
class Attack:
    """One way to challenge an honest claim and lose: gas of both sides, moves of the defender that the bond pays for."""

    name: str
    attacker_gas: int
    defender_gas: int
    paid_moves: int

    def ratio(self, terms: Parameters, price: int) -> float:
        """What the attacker loses over what the defender does; infinite if the defender gains."""
        attack = terms.challenge_bond + self.attacker_gas * price
        defence = self.defender_gas * price - self.paid_moves * terms.move_fee - terms.collect_fee
        return attack / defence if defence > 0 else float("inf")

    def bond(self, price: int) -> int:
        """Smallest bond at which attacking costs ten times what defending does, fees left out of account."""
        return max(0, (FACTOR * self.defender_gas - self.attacker_gas) * price)


def attacks() -> list[Attack]:
    """The cheapest and the longest game against a withheld trace of 2^20 leaves, at the default arity."""
    gas, curve = json.loads(TRANSACTIONS.read_text()), json.loads(CURVE.read_text())["curve"]
    row = next(one for one in curve if one["arity"] == Parameters().arity)
    moves, timeout = row["gas_by_move"], gas["timeout, of the challenger"]["gas"]
    rounds = row["challenger_moves"] - 2
    challenge = gas["challenge, the first about a claim"]["gas"]
    return [
        Attack("challenge, then silence", challenge, gas["reveal, 32 children"]["gas"] + timeout, 1),
        Attack(
            "down to a leaf, then silence",
            challenge + moves["select"],
            moves["reveal"] + moves["revealLeaf"] + timeout,
            rounds + 1,
        ),
    ]


def tables() -> list[str]:
    """One step, whole transactions, and a dispute by arity."""
    lines = [
        "## One step",
        "",
        "Whole transactions to OneStepProver, calldata floor included, operands of random bytes; the demo's",
        "ops on a digit.",
        "",
    ]
    lines += ["| op | Prague | EIP-7976 | calldata |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {row['gas']:,} | {row['gas_7976']:,} | {row['calldata']:,} B |"
        for name, row in json.loads(ONE_STEP.read_text()).items()
    ]
    lines += ["", "## Transactions", "", "| transaction | Prague | EIP-7976 |", "|---|---|---|"]
    lines += [
        f"| {name} | {row['gas']:,} | {row['gas_7976']:,} |"
        for name, row in json.loads(TRANSACTIONS.read_text()).items()
    ]
    lines += [
        "",
        "## A whole dispute by arity",
        "",
        "About an element-wise op in a trace of 2^20 leaves that is withheld, both sides together.",
        "",
    ]
    lines += ["| arity | challenger's moves | defender's moves | Prague | EIP-7976 |", "|---|---|---|---|---|"]
    for row in json.loads(CURVE.read_text())["curve"]:
        moves = f"{row['challenger_moves']} | {row['defender_moves']}"
        lines.append(f"| 2^{row['arity']} | {moves} | {row['gas']:,} | {row['gas_7976']:,} |")
    return lines


def page() -> str:
    """The page, from the snapshots of measured gas."""
    terms = Parameters()
    burned = terms.claim_bond - terms.reward
    lines = [
        "# What it costs",
        "",
        "<!-- Written by `make gas` from measured gas; do not edit. -->",
        "",
        "In gas, by two price lists: Prague's, which holds today, and that of EIP-7976, by which every byte of calldata costs 64 gas",
        "at least.",
        "",
        *tables(),
        "",
        "## Attacking and defending",
        "",
        f"Default bonds: a claim {terms.claim_bond / ETHER} ETH, a challenge {terms.challenge_bond / ETHER} ETH.",
        f"A proven lie pays its challenger {terms.reward / ETHER} ETH and burns {burned / ETHER} ETH: convicting oneself is a loss.",
        f"A losing challenger's bond pays the claimant {terms.move_fee / ETHER} ETH a move, whoever collects it",
        f"{terms.collect_fee / ETHER} ETH;",
        "the rest is burned.",
        "",
        "How many times what defending an honest claim costs an attacker loses, at the default bonds:",
        "",
        "| attack | attacker's gas | defender's gas | " + " | ".join(f"{price} gwei" for price in PRICES) + " |",
        "|---|---|---|" + "---|" * len(PRICES),
    ]
    for attack in attacks():
        ratios = (attack.ratio(terms, price * GWEI) for price in PRICES)
        cells = " | ".join("defender gains" if ratio == float("inf") else f"{ratio:.1f}" for ratio in ratios)
        lines.append(f"| {attack.name} | {attack.attacker_gas:,} | {attack.defender_gas:,} | {cells} |")
    lines += [
        "",
        f"Smallest challenge bond at which an attack costs {FACTOR} times the defence, the fees that it pays not counted:",
        "",
        "| attack | " + " | ".join(f"{price} gwei" for price in PRICES) + " |",
        "|---|" + "---|" * len(PRICES),
    ]
    for attack in attacks():
        cells = " | ".join(f"{attack.bond(price * GWEI) / ETHER:.4f} ETH" for price in PRICES)
        lines.append(f"| {attack.name} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(settle(PAGE, page(), "make gas", sys.argv[1:]))
