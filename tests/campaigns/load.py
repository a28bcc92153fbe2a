"""``make load``: 200 signed claims a second for a minute, accepted within a quarter of a second, none lost.

    python -m tests.campaigns.load [--rate 200] [--seconds 60] [--database sqlite|postgres|both] [--json FILE]

An open loop: every claim has its moment, and its latency counts from that moment, however late it was sent. A claim is lost
if it was accepted and does not stand on L1 exactly once in the end. Exits with 1 if a promise is not kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prover import Model
from prover.claims import make_claim
from rollup.claim import ClaimId, PostedClaim
from rollup.documents.claims import SignedClaim
from rollup.l1.account.signing import Signer
from rollup.l1.client import L1Client
from rollup.l1.events import ClaimPosted
from rollup.l1.follow import Follower
from rollup.settings import Parameters
from rollup.types import Duration, Timestamp
from tests.anvil import Anvil
from tests.campaigns.network import ProcessNetwork
from tests.postgres import Postgres
from tests.world import ETHER
from touchstone.demo.demo import lowered
from touchstone.demo.digits import digits

CLAIMANTS = 20
CONNECTIONS = 32
PROMISED_P99 = 0.250


@dataclass(frozen=True)
class Result:
    """Latencies in seconds, by claim that was accepted; ``refused``: status and body of the others."""

    latencies: Sequence[float]
    refused: Sequence[str]
    seconds: float

    def quantile(self, share: float) -> float:
        return float(np.quantile(self.latencies, share)) if self.latencies else float("inf")


def signed(model: Model, clients: Sequence[L1Client], signer: Signer, count: int) -> list[PostedClaim]:
    """Claims about a few digits, in turns by every claimant, with nonces of their own. ``signer``: signs their patterns."""
    until = Timestamp(clients[0].chain.now() + 86_400)
    patterns = [make_claim(model, [image], signer, clients[0].domain, until).posted for image in digits().images[:10]]
    found = []
    for number in range(count):
        client, pattern = clients[number % len(clients)], patterns[number % len(patterns)]
        claim = replace(pattern.claim, claimant=client.account, nonce=number)
        found.append(client.sign(claim, pattern.inputs, pattern.outputs))
    return found


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes, port: int) -> tuple[int, bytes]:
    head = f"POST /v1/claims HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    status = int((await reader.readline()).split()[1])
    length = 0
    while (line := await reader.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, await reader.readexactly(length)


async def send(port: int, bodies: Sequence[bytes], rate: float) -> Result:
    """Send every body at its moment over a few connections."""
    queue: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()
    latencies: list[float] = []
    refused: list[str] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (job := await queue.get()) is not None:
            moment, body = job
            status, answer = await _one(reader, writer, body, port)
            if status in (200, 201):
                latencies.append(time.perf_counter() - moment)
            else:
                refused.append(f"{status} {answer[:200].decode(errors='replace')}")
        writer.close()

    workers = [asyncio.create_task(connection()) for _ in range(CONNECTIONS)]
    begin = time.perf_counter()
    for number, body in enumerate(bodies):
        moment = begin + number / rate
        if (wait := moment - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        queue.put_nowait((moment, body))
    for _ in workers:
        queue.put_nowait(None)
    await asyncio.gather(*workers)
    return Result(latencies, refused, time.perf_counter() - begin)


def drained(client: L1Client, count: int, patience: float = 900.0) -> list[ClaimId]:
    """Ids of all claims on L1, in order, once there are ``count`` or patience ends; one that was posted twice is there
    twice.
    """
    follower, found = Follower(client), []
    deadline = time.monotonic() + patience
    while len(found) < count and time.monotonic() < deadline:
        events = (logged.event for logged in follower.news().events)
        found += [event.claim_id for event in events if isinstance(event, ClaimPosted)]
        time.sleep(1)
    return found


def run(rate: float, seconds: float, database: str) -> dict[str, object]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        node = stack.enter_context(Anvil(interval=1))
        url = f"sqlite:///{folder}/claims.db" if database == "sqlite" else stack.enter_context(Postgres()).database()
        terms = Parameters(window=Duration(86_400), clock=Duration(3600))
        net = stack.enter_context(ProcessNetwork(node, folder, terms))
        model = lowered(digits())
        sequencer = net.sequencer(url, "--rate", "100000", "--burst", "100000", "--poll", "1s").start().wait_ready()
        net.add_model(model.program, "digits")
        count = int(rate * seconds)
        clients = []
        for number in range(CLAIMANTS):
            client = net.client(f"claimant {number}", 10_000 * ETHER)
            client.deposit(terms.claim_bond * (count // CLAIMANTS + 1))
            clients.append(client)
        claims = signed(model, clients, node.signer("claimant 0"), count)
        bodies = [json.dumps(SignedClaim.of(claim).model_dump()).encode() for claim in claims]
        ids = {clients[0].claim_id(claim.claim) for claim in claims}
        before = sequencer.memory()
        result = asyncio.run(send(sequencer.port, bodies, rate))
        after = sequencer.memory()
        begun = time.monotonic()
        stood = drained(net.reader, len(result.latencies))
        return {
            "database": database,
            "offered": count,
            "rate": round(count / result.seconds, 1),
            "accepted": len(result.latencies),
            "refused": result.refused[:3],
            "p50_ms": round(1000 * result.quantile(0.5), 1),
            "p99_ms": round(1000 * result.quantile(0.99), 1),
            "max_ms": round(1000 * result.quantile(1.0), 1),
            "on_l1": len(set(stood) & ids),
            "twice": len(stood) - len(set(stood)),
            "drained_s": round(time.monotonic() - begun, 1),
            "memory_mb": [before >> 20, after >> 20],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    kept, measured = True, {}
    for database in ["sqlite", "postgres"] if given.database == "both" else [given.database]:
        found = measured[database] = run(given.rate, given.seconds, database)
        print(json.dumps(found, indent=1), flush=True)
        offered = int(given.rate * given.seconds)
        kept &= found["accepted"] == found["on_l1"] == offered and found["twice"] == 0
        kept &= float(str(found["p99_ms"])) < 1000 * PROMISED_P99
    if given.json:
        given.json.write_text(json.dumps(measured, indent=1) + "\n")
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
