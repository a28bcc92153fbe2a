"""Functions that between them use every lowering rule and expansion, with inputs; shared by the fidelity and the lockstep tests."""

from tests.prover.cases import basics, control, formats, infinities, layers, ordering, random
from tests.prover.cases.basics import lstm
from tests.prover.cases.table import CASES, NHWC, Case, case, integers, reals

__all__ = [
    "CASES",
    "NHWC",
    "Case",
    "basics",
    "case",
    "control",
    "formats",
    "infinities",
    "integers",
    "layers",
    "lstm",
    "ordering",
    "random",
    "reals",
]
