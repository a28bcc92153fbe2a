"""A node test through lowering: loaded, lowered, run by the executor, compared with what the suite expects.

The tolerance, for every float output: |difference| <= 2^-12 * (largest magnitude of the expected output) + r * |expected|, where r
is the suite's own 1e-3 or the spacing of the output's dtype at 1, whichever is more. A value has 16 bits with a twofold margin, so
that its grid is 2^-14 to 2^-13 of its largest magnitude: the first term is two to four steps of that grid, and allows for the
rounding of the inputs, of what lies between, and of the output. Integers and booleans have to be equal. Shapes and dtypes, too.
"""

from __future__ import annotations

import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx

import prover
from prover.onnx import load_onnx
from rollup.errors import TouchstoneError
from rollup.machine.reference import Memory
from tests.campaigns.onnx.binding import bound
from tests.campaigns.onnx.scope import CONSTANT, out_of_scope
from tests.campaigns.onnx.suite import Case

ABSOLUTE = 2.0**-12
RELATIVE = 1e-3
ELEMENTS = 4
"""Elements of every op's output that the reference computes again."""

PASSED, OUT, FAILED = "passed", "out of scope", "failed"


@dataclass(frozen=True)
class Verdict:
    """``state``: PASSED, OUT or FAILED; ``why``: the reason of the latter two; ``error``: the largest difference as a share of the
    tolerance; ``compared``: elements on which executor and reference agreed; ``fixed``: inputs that became constants."""

    state: str
    why: str = ""
    error: float = 0.0
    compared: int = 0
    fixed: tuple[str, ...] = ()


def judge(case: Case) -> Verdict:
    """The verdict on one test. Executor and reference disagreeing is no verdict but an AssertionError."""
    reason = out_of_scope(case)
    if reason is not None:
        return Verdict(OUT, reason)
    with jax.enable_x64(True), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(case.model, path)
        fixed: tuple[str, ...] = ()
        try:
            loaded = load_onnx(path)
            model, left = bound(loaded, case.inputs)
            fixed = tuple(port.name for port in loaded.inputs if port.name not in left)
            if not left:
                return Verdict(OUT, CONSTANT, fixed=fixed)
            inputs = list(left.values())
            lowered = prover.lower(model.fn, *inputs)
            outputs = jax.tree.leaves(lowered.predict(*inputs))
        except TouchstoneError as error:
            return Verdict(FAILED, f"{type(error).__name__}: {error}".splitlines()[0], fixed=fixed)
        except AssertionError:
            raise
        except Exception as error:
            return Verdict(FAILED, f"unexpected {type(error).__name__}: {error}".splitlines()[0], fixed=fixed)
        compared = in_lockstep(lowered, inputs, case.name)
    if len(outputs) != len(case.outputs):
        return Verdict(FAILED, f"{len(outputs)} outputs, expected {len(case.outputs)}", 0.0, compared, fixed)
    worst = 0.0
    for number, (got, expected) in enumerate(zip(outputs, case.outputs, strict=True)):
        difference, why = compare(np.asarray(got), np.asarray(expected))
        if why:
            return Verdict(FAILED, f"output {number}: {why}", difference, compared, fixed)
        worst = max(worst, difference)
    return Verdict(PASSED, "", worst, compared, fixed)


def compare(got: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> tuple[float, str]:
    """(largest difference as a share of the tolerance, what is wrong or nothing)."""
    if got.shape != expected.shape:
        return 0.0, f"shape {got.shape}, expected {expected.shape}"
    if got.dtype != expected.dtype:
        return 0.0, f"dtype {got.dtype}, expected {expected.dtype}"
    if expected.dtype.kind in "iub":
        wrong = int(np.sum(got != expected))
        return float(wrong), f"{wrong} of {got.size} elements differ" if wrong else ""
    a, b = got.astype(np.float64), expected.astype(np.float64)
    relative = max(RELATIVE, float(jnp.finfo(expected.dtype).eps))  # type: ignore[no-untyped-call]
    tolerance = ABSOLUTE * float(np.abs(b).max()) + relative * np.abs(b)
    beyond = np.abs(a - b) > tolerance
    share = float(np.max(np.abs(a - b) / np.maximum(tolerance, np.finfo(np.float64).tiny)))
    share = min(share, 1e9)
    if not beyond.any():
        return share, ""
    largest = float(np.abs(a - b).max()) / max(float(np.abs(b).max()), np.finfo(np.float64).tiny)
    return share, f"{int(beyond.sum())} of {got.size} elements beyond the tolerance, by {largest:.2g} of the largest"


def in_lockstep(lowered: prover.Model, inputs: list[Any], name: str) -> int:
    """Some elements of every op, by the executor and by the reference; how many they were."""
    values = lowered.executor.values(lowered.quantize(*inputs))
    memory = Memory(lowered.program, list(values))
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    compared = 0
    for value, descriptor, _ in lowered.program.op_values():
        for position in rng.integers(0, values[value].size, ELEMENTS):
            given, right = int(values[value].reshape(-1)[position]), memory.element(value, int(position))
            assert given == right, f"{name}: {lowered.program.name(descriptor)} gives {given}, the reference {right}"
            compared += 1
    return compared
