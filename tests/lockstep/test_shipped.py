"""``make test`` has XLA compile quickly and badly; here a case of every kind of kernel is compiled as it is for everybody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = (
    "conv 2d, grouped",
    "layer norm",
    "lstm",
    "integers",
    "product, scaled by row",
    "attention of the library, biased and masked",
    "scatter, set, constant indices",
    "top k",
)


def test_the_lockstep_holds_as_xla_compiles_by_itself() -> None:
    ours = ("XLA_FLAGS", "PYTEST_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    test = "tests/lockstep/test_rules.py::test_rule_keeps_the_function_and_the_lockstep"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *(f"{test}[{case}]" for case in CASES)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0 and f"{len(CASES)} passed" in ran.stdout, ran.stdout + ran.stderr
