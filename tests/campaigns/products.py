"""Random products on every kernel of this machine, compared with the op table: ``make products``."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter

import jax

from prover.native.library import Library, library
from tests.prover.products.drawn import draw, wrong

KERNELS = ("portable", "avx2", "avx512", "neon")


def usable(found: Library) -> list[str]:
    """The kernels that this machine runs."""
    return [name for name in KERNELS if found.handle.touchstone_kernels(name.encode()) is not None]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make products", description=__doc__)
    parser.add_argument("--n", type=int, default=100_000, help="products")
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    options = parser.parse_args()
    found = library()
    if found is None:
        print("the native kernels can't be used here; the log line above says why", file=sys.stderr)
        return 1
    names, started = usable(found), time.monotonic()
    tally: Counter[str] = Counter()
    seed, done = options.seed, 0
    with jax.enable_x64(True):
        while done < options.n:
            drawn = draw(seed)
            rng = random.Random(seed)
            seed += 1
            if drawn is None:
                continue
            plan = drawn.kernel.native
            assert plan is not None
            for kernels in names if done % 4 == 0 else [rng.choice(names)]:
                for fault in wrong(drawn, found, kernels, rng.choice((1, 2, 3)), rng):
                    print(f"seed {seed - 1}: {fault}", file=sys.stderr)
                    return 1
            done += 1
            kind = "values" if not plan.constant else "bytes" if plan.narrow else "words"
            tally[f"{kind}, {plan.limbs} limbs, {'32' if plan.low else '64'} bits"] += 1
            if done % 5_000 == 0:
                print(f"{done:,} products, {time.monotonic() - started:,.0f} s", flush=True)
    for kind, count in sorted(tally.items()):
        print(f"{count:>8,}  {kind}")
    print(f"{done:,} products are exact on {', '.join(names)} ({seed - options.seed:,} drawn)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
