"""``make crash``: SIGKILL and reorganisations at every transition of a claim's, a dispute's and a request's life, until enough were made.

    python -m tests.campaigns.crash [--kills 200] [--seed 0] [--json FILE]

Rounds of claims (honest ones by the prover and by keys of their own, false ones with a published and with a withheld trace and
about a long reduction, honest ones that a malicious account challenges) and of requests on L1 (some cancelled, some with consumers
that fail) run on a real node while the sequencer, the prover and two watchers are killed: whenever something happens (a claim is
accepted, a transaction enters the mempool, an event is mined), a seeded choice kills one of them within a second, and starts it
again, or replaces the last blocks of the chain. What must hold in the end, from L1 alone, is in ``outcome``. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rollup.service import logs
from tests.campaigns.crash.campaign import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    logs.configure("warning")
    found = run(given.kills, given.seed)
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
