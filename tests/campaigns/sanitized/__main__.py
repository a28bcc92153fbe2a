"""``make native-sanitize``: the compiled code under sanitizers, and for ARM under QEMU.

    python -m tests.campaigns.sanitized [--products N]

g++ compiles it with the sanitizers of addresses and undefined behaviour, and once more with that of threads; the compiler of the shipped
objects compiles it for ARM. Each hashes the same trees, whose nodes are compared with Python's, and multiplies what ``make products``
draws, which is compared with the op table. What this machine can't do is said.
"""

from __future__ import annotations

import argparse

from tests.campaigns.sanitized import products, trees
from tests.campaigns.sanitized.builds import BUILDS

PRODUCTS = 1_500
"""On each build."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make native-sanitize", description=__doc__)
    parser.add_argument("--products", type=int, default=PRODUCTS, metavar="N", help="products on each build")
    options = parser.parse_args()
    for build in BUILDS:
        if (missing := build.missing()) is not None:
            print(f"NOT RUN: {build.name}, because this machine has no {missing}")
            continue
        print(f"{build.name}: {trees.check(build)}", flush=True)
        print(f"{build.name}: {products.check(build, options.products)}", flush=True)


if __name__ == "__main__":
    main()
