"""What everything costs on chain, from the committed measurements: ``python -m tests.costs [--check]`` writes docs/costs.md.

Every figure stands twice: under Prague's rules, and under EIP-7976's, by which a byte of calldata costs 64 gas at least.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rollup.generated import settle

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "costs.md"
ONE_STEP = ROOT / "tests" / "contracts" / "one_step_gas.json"
TRANSACTIONS = ROOT / "tests" / "contracts" / "dispute_gas.json"
CURVE = ROOT / "tests" / "arity.json"
REQUESTS = ROOT / "tests" / "contracts" / "request_gas.json"
POSTINGS = ROOT / "tests" / "contracts" / "posting_gas.json"


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
        "convicted the claim. A request is one for the toy program; a refund calls an address without code.",
        "",
    ]
    lines += ["| transaction | Prague | EIP-7976 |", "|---|---|---|"]
    lines += [
        f"| {name} | {row['gas']:,} | {row['gas_7976']:,} |"
        for name, row in (json.loads(TRANSACTIONS.read_text()) | json.loads(REQUESTS.read_text())).items()
    ]
    lines += [
        "",
        "## Posting and releasing",
        "",
        "Claims of the digits model (128 bytes in, 40 out, a trace root each), calldata included. *Each* claim has its part of the whole",
        "transaction; each *further* one is what it adds to one that posts a claim alone.",
        "",
        "| what | Prague | EIP-7976 |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['gas']:,} | {row['gas_7976']:,} |" for name, row in json.loads(POSTINGS.read_text()).items()
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
    lines = [
        "# What it costs",
        "",
        "<!-- Written by `make gas` from measured gas; do not edit. -->",
        "",
        "All figures are gas, by two price lists: Prague's, which is valid today, and that of EIP-7976, by which every byte of calldata",
        "costs at least 64 gas.",
        "",
        "[economics.md](economics.md) says what attacks and defences cost with it.",
        "",
        *tables(),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(settle(PAGE, page(), "make gas", sys.argv[1:]))
