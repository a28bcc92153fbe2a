"""Everybody at once against the books: ``make invariants``. Fails if an invariant breaks or an entry point never took a call.

forge plays random sequences of calls of every entry point (``contracts/test/invariants``) and audits the books behind each call.
A handler is one entry point, and reverts if the call does: what forge counts and does not revert was accepted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rollup.l1.artifacts import artifact

CONTRACTS = Path(__file__).parents[2] / "contracts"
HANDLERS = {
    "chain": "RollupChain",
    "game": "DisputeGame",
    "requests": "Requests",
    "provers": "Provers",
    "adapter": "OracleAdapter",
}
INNER = {
    "RollupChain.admit": "DisputeGame.challenge",
    "RollupChain.convict": "DisputeGame.prove",
    "RollupChain.forfeit": "DisputeGame.timeout",
    "RollupChain.unlock": "DisputeGame.reclaim",
    "Provers.draw": "Requests.draw",
    "Provers.hold": "Requests.revealAnswer",
    "Provers.release": "Requests.settle",
    "Provers.forfeit": "Requests.settle",
    "OracleAdapter.onInference": "Requests.answer",
}
"""Entry points that only another contract may call, and through which one the campaign calls them."""

CALLS = 1_500
"""Calls of one sequence."""

SEQUENCES = 8
"""Sequences that one process of forge plays."""


class BrokenInvariant(AssertionError):
    """What forge found, or why it could not look."""


def entry_points() -> set[str]:
    """``Contract.function`` of everything that changes state and that anyone may call."""
    found = {
        f"{contract}.{item['name']}"
        for contract in HANDLERS.values()
        for item in artifact(contract).abi
        if item["type"] == "function" and item["stateMutability"] in ("payable", "nonpayable")
    }
    return found - set(INNER)


def accepted(output: str) -> Counter[str]:
    """Accepted calls by entry point, from what ``forge test --json`` says; raises BrokenInvariant if a test failed."""
    try:
        suites: Mapping[str, Any] = json.loads(output.strip().rpartition("\n")[2])
        results = [one for suite in suites.values() for one in suite["test_results"].values()]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise BrokenInvariant(f"forge did not play:\n{output[-3000:]}") from None
    if not results:
        raise BrokenInvariant("forge found no invariant; is contracts/test/invariants/Everything.t.sol there?")
    tally: Counter[str] = Counter()
    for result in results:
        if result["status"] != "Success":
            raise BrokenInvariant(f"{result['reason']}\n{json.dumps(result['counterexample'], indent=1)}")
        for name, count in result["kind"]["Invariant"]["metrics"].items():
            handler, _, function = name.rpartition(".")[2].partition("_")
            if handler in HANDLERS:
                tally[f"{HANDLERS[handler]}.{function}"] += count["calls"] - count["reverts"]
    return tally


def play(seed: int, sequences: int = SEQUENCES, calls: int = CALLS) -> Counter[str]:
    """Accepted calls by entry point of some sequences; raises BrokenInvariant."""
    command = ["node_modules/.bin/forge", "test", "--json", "--match-contract", "^EverythingTest$"]
    bounds = {"FOUNDRY_INVARIANT_RUNS": str(sequences), "FOUNDRY_INVARIANT_DEPTH": str(calls)}
    done = subprocess.run(
        [*command, "--fuzz-seed", str(seed)],
        cwd=CONTRACTS,
        env={**os.environ, **bounds},
        capture_output=True,
        text=True,
    )
    try:
        return accepted(done.stdout)
    except BrokenInvariant as error:
        raise BrokenInvariant(f"seed {seed}: {error}\n{done.stderr[-3000:]}") from None


def never(tally: Mapping[str, int]) -> list[str]:
    """Entry points that took no call."""
    return sorted(name for name in entry_points() if not tally.get(name))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make invariants", description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=1_000_000, help="accepted calls, at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes of forge")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    started = time.monotonic()
    subprocess.run(["node_modules/.bin/forge", "build", "--quiet"], cwd=CONTRACTS, check=True)
    tally: Counter[str] = Counter()
    seed = options.seed
    with ThreadPoolExecutor(options.jobs) as workers:
        while tally.total() < options.n:
            seeds = range(seed, seed + options.jobs)
            for found in workers.map(play, seeds):
                tally.update(found)
            seed += options.jobs
            print(f"{tally.total():,} of {options.n:,} calls accepted, {time.monotonic() - started:,.0f} s", flush=True)
    for name, count in sorted(tally.items()):
        print(f"{count:>9,}  {name}")
    missing = never(tally)
    for name in missing:
        print(f"{name} never took a call; its handler in contracts/test/invariants/ must", file=sys.stderr)
    if options.json is not None:
        figures = {"accepted": dict(sorted(tally.items())), "seconds": round(time.monotonic() - started)}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
