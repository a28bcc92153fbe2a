"""A long campaign: ``python -m tests.lockstep --n 100000 --seed 7``."""

from __future__ import annotations

import argparse

from tests.lockstep.campaign import Tally, compare, compare_reduction
from tests.lockstep.evm import Prover, seed_of

REDUCTIONS = 10
"""Reductions that lowering would never make, by program."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lockstep", description="Compare reference, executor and EVM on random programs."
    )
    parser.add_argument("count", nargs="?", type=int, default=10_000, help="elements to compare on the EVM")
    parser.add_argument("--n", type=int, help="the same")
    parser.add_argument("--seed", type=int, default=0, help="of the campaign; every program has a seed of its own")
    parser.add_argument(
        "--executor-every", type=int, default=10, help="run the executor on every so many programs (0: never)"
    )
    options = parser.parse_args()
    wanted = options.count if options.n is None else options.n
    prover, tally, number = Prover(), Tally(), -1
    while tally.evm < wanted:
        number += 1
        every = options.executor_every
        compare(seed_of(options.seed, number), prover, 6, tally, executor=every > 0 and number % every == 0)
        for more in range(REDUCTIONS):
            compare_reduction(seed_of(options.seed, number, more), prover, 6, tally)
        if number % 100 == 0:
            print(f"{tally.evm:,} of {wanted:,}", flush=True)
    print("\n".join(tally.lines()))


if __name__ == "__main__":
    main()
