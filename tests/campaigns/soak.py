"""``make soak``: half an hour of claims and disputes; the memory of every service stays flat.

    python -m tests.campaigns.soak [--minutes 30] [--rate 2] [--json FILE]

Memory is read every ten seconds. Flat means: the mean of the last fifth exceeds the mean of the second fifth (the first one
warms up) by less than a tenth, in every service. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from rollup.settings import Parameters
from rollup.types import Duration
from tests.anvil import Anvil
from tests.campaigns.crash.killer import Killer
from tests.campaigns.crash.scenario import MODEL, Accepted, Programs, Scenario
from tests.campaigns.network import ProcessNetwork
from tests.e2e.toy_program import toy_numbers, toy_program

TERMS = Parameters(window=Duration(30), clock=Duration(30), arity=5)
ALLOWED = 1.10


class Mercy(Killer):
    """Kills nobody."""

    def happened(self, transition: str) -> None:
        pass


def growth(samples: list[int]) -> float:
    """Mean of the last fifth over mean of the second."""
    fifth = max(1, len(samples) // 5)
    second, last = samples[fifth : 2 * fifth] or samples[:1], samples[-fifth:]
    return (sum(last) / len(last)) / (sum(second) / len(second))


def run(minutes: float, rate: float) -> dict[str, object]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        node = stack.enter_context(Anvil(interval=1))
        net = stack.enter_context(ProcessNetwork(node, folder, TERMS))
        program = toy_program()
        net.sequencer().start().wait_ready()
        net.add_model(program, MODEL)
        deposit = f"{int(rate * 200) * TERMS.claim_bond} wei"
        node.fund(node.signer("prover").address, 10**24)
        # A cache that the warming up fills: what grows afterwards is no cache.
        prover = net.prover("--deposit", deposit, "--cache-bytes", "16 MiB")
        for service in (prover, net.watcher("watcher-1"), net.watcher("watcher-2", "defend")):
            service.start()
        for service in net.services.values():
            service.wait_ready()
        http = httpx.Client(timeout=30, trust_env=False)
        samples: dict[str, list[int]] = {name: [] for name in net.services}
        accepted, scenario = Accepted(), None
        begun = time.monotonic()
        sent, sampled, lied, refused = 0, 0.0, -300.0, 0
        while (age := time.monotonic() - begun) < 60 * minutes:
            if age - lied >= 120:
                # A false claim every two minutes keeps disputes in the mixture.
                scenario = Scenario(net, Programs(program, program), Mercy(net, random.Random(0)), int(age), accepted)
                scenario.claim("withheld")
                lied = age
            if age - sampled >= 10:
                for name, service in net.services.items():
                    assert service.alive, f"{name} ended by itself:\n{service.tail()}"
                    samples[name].append(service.memory())
                sampled = age
            if scenario is not None:
                scenario.play()
            while sent < rate * (time.monotonic() - begun):
                inputs = toy_numbers(sent % 1000)
                answer = http.post(net.url("sequencer") + "/v1/infer", json={"model": MODEL, "inputs": inputs})
                refused += answer.status_code != 201
                sent += 1
            time.sleep(0.1)
        return {
            "minutes": minutes,
            "claims": sent,
            "refused": refused,
            "growth": {name: round(growth(found), 3) for name, found in samples.items()},
            "megabytes": {name: [found[0] >> 20, found[-1] >> 20] for name, found in samples.items()},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=2.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = run(given.minutes, given.rate)
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    growths = found["growth"]
    assert isinstance(growths, dict)
    sys.exit(0 if max(growths.values()) < ALLOWED and not found["refused"] else 1)


if __name__ == "__main__":
    main()
