"""One saved claim of a program, and what the parties do with claims: whoever makes them, and whoever checks them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from challenger.checkers.re_execute import Finding, Posted, ReExecute
from prover.executor import Executor
from prover.trace import ExecutionTrace
from rollup.errors import ClaimError, TouchstoneError
from rollup.files import write_file
from rollup.types import Root

PROGRAM, CLAIM = "program", "claim.json"
"""A prepared folder's content: the saved program, and one claim about it."""


class Unequal(TouchstoneError):
    """Two ways to compute the same integers differ."""


@dataclass(frozen=True)
class SentClaim:
    """What a watcher gets of a claim: bytes of inputs and outputs as they travel, and the trace root."""

    inputs: bytes
    outputs: bytes
    root: Root

    @classmethod
    def of(cls, trace: ExecutionTrace) -> SentClaim:
        return cls(b"".join(trace.input_bytes), b"".join(trace.output_bytes), trace.root)

    def save(self, file: Path) -> None:
        write_file(file, json.dumps({name: getattr(self, name).hex() for name in ("inputs", "outputs", "root")}))

    @classmethod
    def load(cls, file: Path) -> SentClaim:
        read = json.loads(file.read_text())
        return cls(bytes.fromhex(read["inputs"]), bytes.fromhex(read["outputs"]), Root(bytes.fromhex(read["root"])))

    @property
    def digest(self) -> str:
        """SHA-256 of the outputs' bytes, in hexadecimal."""
        return hashlib.sha256(self.outputs).hexdigest()


def commitments(executor: Executor, given: Sequence[Sequence[np.ndarray]]) -> list[ExecutionTrace]:
    """What a prover does for claims that wait together: outputs and commitments of each. Values in between are forgotten."""
    found = ExecutionTrace.many(executor, given)
    for trace in found:
        trace.drop()
    return found


def checked(checker: ReExecute, claims: Sequence[SentClaim]) -> None:
    """What a watcher does for claims that wait together; raises Unequal if it would dispute one."""
    if len(claims) == 1:
        found: list[Finding | ClaimError] = [checker.compare(claims[0].root, claims[0].inputs, claims[0].outputs)]
    else:
        found = checker.compare_each([Posted(claim.root, claim.inputs, claim.outputs) for claim in claims])
    for one in found:
        if isinstance(one, ClaimError) or not one.honest:
            why = one if isinstance(one, ClaimError) else one.reason
            raise Unequal(f"a watcher disputes what the same program claimed: {why}; look for a faulty kernel")
