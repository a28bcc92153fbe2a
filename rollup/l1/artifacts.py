"""ABI and bytecode of the contracts, which are package data: users need no compiler."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from rollup.errors import ChainError


@dataclass(frozen=True)
class Artifact:
    """One compiled contract: its ABI as JSON gives it, and its creation bytecode as hex."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: str


@cache
def artifact(name: str) -> Artifact:
    """``RollupChain``, ``DisputeGame`` or ``OneStepProver``; raises ChainError if the package lacks it."""
    path = resources.files("contracts") / "artifacts" / f"{name}.json"
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise ChainError(f"the package holds no compiled {name}; run 'make contracts' in the repository") from None
    return Artifact(name, data["abi"], data["bytecode"])


CONTRACTS = ("RollupChain", "DisputeGame", "OneStepProver")
