"""What everything costs on chain, from the committed measurements: ``python -m tests.costs [--check]`` writes docs/costs.md.

Every figure stands twice: under Prague's rules, and under EIP-7976's, by which a byte of calldata costs 64 gas at least.

How attacks and defences are counted, and why so: ``touchstone.deployment.parameters``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rollup.generated import settle
from tests.world import ETHER
from touchstone.deployment.parameters import FACTOR, Attack, Terms

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "costs.md"
ONE_STEP = ROOT / "tests" / "contracts" / "one_step_gas.json"
TRANSACTIONS = ROOT / "tests" / "contracts" / "dispute_gas.json"
CURVE = ROOT / "tests" / "arity.json"
MAINNET = ROOT / "ops" / "params" / "mainnet.toml"
GWEI = 10**9
PRICES = (1, 5, 10, 20, 50, 100, 200)
"""Gas prices in gwei."""


def bond(attack: Attack, price: int) -> int:
    """Smallest challenge bond at which attacking costs ten times what defending does, fees left out of account."""
    return max(0, (FACTOR * attack.defender.most - attack.attacker.least) * price)


def tables() -> list[str]:
    """One step, whole transactions, and a dispute by arity."""
    lines = [
        "## One step",
        "",
        "Whole transactions to OneStepProver, calldata floor included, operands of random bytes; `digits, op N` are the demo's ops on",
        "a digit. These are checks alone, without the game around them: below, `prove` is the same check as a move of a dispute. Of an",
        "element that is too long for one transaction a dispute checks what it consists of: its *outline* (how many parts its reduction",
        "has), one *part* (a range of the reduction), or the *epilogue* (what the op's code makes of the reduced number).",
        "",
    ]
    lines += ["| op | Prague | EIP-7976 | calldata |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {row['gas']:,} | {row['gas_7976']:,} | {row['calldata']:,} B |"
        for name, row in json.loads(ONE_STEP.read_text()).items()
    ]
    lines += [
        "",
        "## Transactions",
        "",
        "Unless its name says otherwise, a row is one move in a transaction of its own, on a chain on which hardly anything has happened:",
        "each storage slot is cold, and many are written for the first time. A development network shows other figures for the same move:",
        "services commit to the place in the transaction that challenges, and send several moves at once (a slot that one of them has",
        "touched is warm for the next); and a slot that an earlier claim, game or account has filled costs 5,000 gas to write, an empty",
        "one 22,100.",
        "",
        "Inside an element `descend` asks for the results of its parts, *partials* is the claimant's answer, `narrow` goes on with one of",
        "them, and `settle` checks the part or the epilogue that is left. `reclaim` takes a challenger's bond back once another game has",
        "convicted the claim.",
        "",
    ]
    lines += ["| transaction | Prague | EIP-7976 |", "|---|---|---|"]
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


def attacking(terms: Terms) -> list[str]:
    """What attacks cost both sides, at a deployment's parameters."""
    given, challenger = terms.parameters, terms.dispute.challenger
    prices = " | ".join(f"{price} gwei" for price in PRICES)
    lines = [
        "## Attacking and defending",
        "",
        f"With the parameters of `ops/params/{MAINNET.name}`: a claim's bond is {given.claim_bond / ETHER:g} ETH, a challenge's "
        f"{given.challenge_bond / ETHER:g} ETH.",
        f"A proven lie pays whoever proves it {given.reward / ETHER:g} ETH; the rest burns: convicting oneself is a loss. A losing "
        "challenger's bond",
        f"pays {given.move_fee / ETHER:g} ETH an answer to whoever gave it, {given.collect_fee / ETHER:g} ETH to whoever collects it; the "
        "rest burns.",
        "",
        f"The disputes are the longest ones: a withheld trace of {terms.conditions.leaf_depth} levels, an element disputed down to one of "
        f"64^{terms.dispute.levels} parts, and proofs as large as any",
        "program that passes the audit can ask for. The attacker pays Prague's gas, the defender whichever price list is dearer.",
        "",
        "How many times what defending an honest claim costs an attacker loses:",
        "",
        f"| attack | attacker's gas | defender's, Prague | defender's, EIP-7976 | {prices} |",
        "|---|---|---|---|" + "---|" * len(PRICES),
    ]
    for attack in terms.attacks():
        ratios = (attack.ratio(given, price * GWEI) for price in PRICES)
        cells = " | ".join("defender gains" if ratio == float("inf") else f"{ratio:.1f}" for ratio in ratios)
        amounts = f"{attack.attacker.least:,} | {attack.defender.prague:,} | {attack.defender.eip7976:,}"
        lines.append(f"| {attack.name} | {amounts} | {cells} |")
    lines += [
        "",
        f"Smallest challenge bond at which an attack costs {FACTOR} times the defence, the fees that it pays not counted:",
        "",
        f"| attack | {prices} |",
        "|---|" + "---|" * len(PRICES),
    ]
    for attack in terms.attacks():
        cells = " | ".join(f"{bond(attack, price * GWEI) / ETHER:.4f} ETH" for price in PRICES)
        lines.append(f"| {attack.name} | {cells} |")
    lines += [
        "",
        f"Convicting a liar in the longest dispute takes the challenger {challenger.prague:,} gas, {challenger.eip7976:,} under EIP-7976. "
        "What a lie costs for",
        f"certain, its own account taking the reward ({terms.lie / ETHER:g} ETH), over what an honest challenger pays without a reward:",
        "",
        f"| {prices} |",
        "|---" * len(PRICES) + "|",
        "| " + " | ".join(f"{terms.lie / (challenger.most * price * GWEI):.1f}" for price in PRICES) + " |",
    ]
    return lines


def page() -> str:
    """The page, from the snapshots of measured gas."""
    lines = [
        "# What it costs",
        "",
        "<!-- Written by `make gas` from measured gas; do not edit. -->",
        "",
        "All figures are gas, by two price lists: Prague's, which is valid today, and that of EIP-7976, by which every byte of calldata",
        "costs at least 64 gas.",
        "",
        *tables(),
        "",
        *attacking(Terms.load(MAINNET)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(settle(PAGE, page(), "make gas", sys.argv[1:]))
