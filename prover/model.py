"""A lowered model: the program, and the way from a user's arrays to its integers and back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.extend import core

from prover import progress
from prover.executor import Executor
from prover.fidelity import Comparison, Fidelity, merged
from prover.interfaces import distinct
from prover.lowering import keys
from prover.lowering.formats import is_real
from prover.lowering.graph import long_words, unfolded
from prover.lowering.memory import give_back
from prover.lowering.precision import Compared, compared
from prover.saturation import Saturated, inside_told, run_counted, saturation
from prover.start import Starts
from prover.start.machine import tested
from prover.trace import trace_bytes
from rollup.errors import ExecutionError, LoweringError
from rollup.form.program import Program
from rollup.numbers import Cut, at_ends, cuts, endless, quantised

LOG = logging.getLogger(__name__)

BATCH = 64
"""Most samples that are compared together."""

BATCH_BYTES = 1 << 26
"""Bytes of the traces of samples that are compared together; one sample may have more."""

COMPACT_BYTES = 1 << 26
"""Constants from which on a model is measured with a compact executor."""

INSIDE = 4
"""Samples on which it is measured what saturates inside a program, and what its values lose: each is executed value by value."""


class Model:
    """A program with the names, dtypes and structure of the function that it was lowered from.

    ``fn`` is that function, if it is at hand: a loaded model has none unless it is given one. ``compact``: for measuring alone, in
    little memory; its executor is compact and not tested on this machine.
    """

    def __init__(
        self,
        program: Program,
        fn: Callable[..., Any] | None = None,
        compact: bool = False,
        compiled: Compiled | None = None,
    ) -> None:
        """``compiled``: what ``evaluated`` has compiled of ``fn`` already."""
        self.program = program
        self.fn = fn
        self.compact = compact
        self._compiled: Compiled = {} if compiled is None else compiled

    @cached_property
    def executor(self) -> Executor:
        # A compact executor measures, it claims nothing: what an inexact kernel would change there is a figure.
        return Executor(self.program, self_test=not self.compact, compact=self.compact)

    def ready(self, starts: Starts) -> Executor:
        """The executor, tested on this machine now or in an earlier start. Raises InexactMachine, AuditError."""
        if "executor" not in self.__dict__:
            self.__dict__["executor"] = tested(self.program, starts)
        return self.executor

    def measuring(self) -> Model:
        """The model for measuring it: a large one in little memory, since that of its weights counts already."""
        held = sum(array.nbytes for array in self.program.constants.values())
        if self.compact or held <= COMPACT_BYTES:
            return self
        return Model(self.program, self.fn, compact=True, compiled=self._compiled)

    def noted(self, **meta: Any) -> Model:
        """The same model with entries of the program's metadata added or replaced; the executor is shared unless compact."""
        return self._changed(replace(self.program, meta={**self.program.meta, **meta}))

    def named(self, inputs: Sequence[str] | None, outputs: Sequence[str] | None) -> Model:
        """A model of other names for its inputs and outputs, and so of another id; None leaves them."""
        own = self.program.interface
        found = [
            ports
            if names is None
            else tuple(replace(port, name=name) for port, name in zip(ports, distinct(names), strict=True))
            for ports, names in ((own.inputs, inputs), (own.outputs, outputs))
        ]
        return self._changed(replace(self.program, interface=replace(own, inputs=found[0], outputs=found[1])))

    def _changed(self, program: Program) -> Model:
        model = Model(program, self.fn, compiled=self._compiled)
        if "executor" in self.__dict__ and not self.compact:
            model.__dict__["executor"] = self.executor
        return model

    def floats(self, *arrays: Any) -> list[np.ndarray]:
        """The float function's outputs, in order; raises LoweringError for a loaded model without its function."""
        if self.fn is None:
            raise LoweringError("this model was loaded without its float function; set model.fn to compare with it")
        return evaluated(self.fn, self._compiled, arrays)

    def quantize(self, *arrays: Any) -> list[np.ndarray]:
        """Inputs (in the structure of ``fn``'s arguments) as the program's integers; reals beyond a format saturate.

        Typed random keys count as their data.
        """
        leaves = jax.tree.leaves(arrays)
        types = self.program.header.inputs
        if len(leaves) != len(types):
            raise ExecutionError(
                f"the model takes {len(types)} input arrays, {len(leaves)} were given; pass one per input"
            )
        result = []
        for leaf, tensor, port in zip(leaves, types, self.program.interface.inputs, strict=True):
            array, name = keys.data(leaf), port.name
            if array.shape != tensor.shape:
                raise ExecutionError(
                    f"input {name} has shape {array.shape}, the model takes {tensor.shape}; reshape or pad it"
                )
            if port.real:
                if array.dtype.kind not in "iub" and not is_real(array.dtype):
                    raise ExecutionError(
                        f"input {name} has dtype {array.dtype}, the model takes numbers; convert it first"
                    )
                if not np.all(np.isfinite(array)):
                    raise ExecutionError(endless(name, array))
                result.append(quantised(array, tensor))
                continue
            if array.dtype.kind not in "iub":
                raise ExecutionError(
                    f"input {name} has dtype {array.dtype}, the model takes integers; convert it first"
                )
            if array.size and not (tensor.dtype.min <= int(array.min()) and int(array.max()) <= tensor.dtype.max):
                raise ExecutionError(
                    f"input {name} has values outside of {tensor.dtype.name}; keep them within its range"
                )
            result.append(array.astype(tensor.dtype.numpy))
        return result

    def reals(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The program's outputs as arrays of the function's dtypes, in header order."""
        arrays = []
        for value, (_, tensor), port in zip(
            values, self.program.header.outputs, self.program.interface.outputs, strict=True
        ):
            array, dtype = np.asarray(value).reshape(tensor.shape), np.dtype(port.dtype)
            arrays.append((array * 2.0**-tensor.scale).astype(dtype) if port.real else array.astype(dtype))
        return arrays

    def dequantize(self, values: Sequence[np.ndarray]) -> Any:
        """The program's outputs as arrays of the function's dtypes, in the structure of its result."""
        return self.program.interface.restored(self.reals(values))

    def cuts(self, *arrays: Any) -> list[Cut]:
        """What ``quantize`` cuts off inputs that fit in shape and dtype, an entry an input that loses something."""
        leaves = [keys.data(leaf) for leaf in jax.tree.leaves(arrays)]
        return cuts(self.program.header, self.program.interface, leaves)

    def predict(self, *arrays: Any, strict: bool = False) -> Any:
        """The function's result, computed by the integer program.

        Numbers that an input's format can't hold are cut to its ends, and so are outputs and values inside, with a warning; ``strict``:
        raises ExecutionError for them.
        """
        integers = self.quantize(*arrays)
        for one in self.cuts(*arrays):
            if strict:
                raise ExecutionError(f"{one}; give smaller numbers, or lower the model with samples that reach as far")
            LOG.warning("%s, and computes with that; lower it with samples that reach as far", one)
        outputs, inside = run_counted(self.executor, integers)
        told = [one.refusal for one in at_ends(self.program.header, self.program.interface, outputs)]
        for reached in (*told, *([inside_told(inside)] if inside else [])):
            if strict:
                raise ExecutionError(reached)
            LOG.warning("%s", reached)
        return self.dequantize(outputs)

    def fidelity(self, samples: Sequence[tuple[Any, ...]]) -> Fidelity:
        """Compare with the float function on input tuples; raises LoweringError for a loaded model without its function.

        Samples are compared a few at a time: memory is bounded by their traces, not by their number.
        """
        if not samples:
            raise LoweringError("fidelity needs at least one sample")
        header = self.program.header
        outputs = [
            Comparison(port, tensor)
            for port, (_, tensor) in zip(self.program.interface.outputs, header.outputs, strict=True)
        ]
        batch = max(1, min(BATCH, len(samples), BATCH_BYTES // max(1, trace_bytes(self.program))))
        for at in range(0, len(samples), batch):
            progress.at("measure, sample", at + 1, len(samples))
            part = samples[at : at + batch]
            rows = [self.quantize(*sample) for sample in part]
            # The last part is as large as the others: another size would be compiled anew.
            rows += rows[-1:] * (batch - len(part))
            stacked = self.executor.outputs_batch([np.stack(column) for column in zip(*rows, strict=True)])
            if self.compact:
                give_back()
            for row, sample in enumerate(part):
                expected = self._expected(*sample)
                for output, real, column, (_, tensor) in zip(outputs, expected, stacked, header.outputs, strict=True):
                    output.add(real, column[row].reshape(tensor.shape))
        return merged(outputs, len(samples), self._saturated(samples))

    def _expected(self, *arrays: Any) -> list[np.ndarray]:
        """The float function's outputs, if they are what the program computes."""
        found, outputs = self.floats(*arrays), self.program.header.outputs
        if len(found) != len(outputs):
            raise LoweringError(
                f"the function gives {len(found)} outputs, the program {len(outputs)}; it is another model's"
            )
        for real, port, (_, tensor) in zip(found, self.program.interface.outputs, outputs, strict=True):
            if real.shape != tensor.shape:
                raise LoweringError(
                    f"the function gives {port.name} the shape {real.shape}, the program {tensor.shape}; it is another model's"
                )
        return found

    def saturation(self, samples: Sequence[tuple[Any, ...]]) -> tuple[Saturated, ...]:
        """The ops whose values reach an end of their format on the first few samples."""
        return saturation(self.executor, [self.quantize(*sample) for sample in samples[:INSIDE]])

    def compared(self, samples: Sequence[tuple[Any, ...]]) -> list[Compared]:
        """Every value beside the float array that it stands for, on the first few samples; raises LoweringError if that is not known."""
        if self.fn is None:
            raise LoweringError("this model was loaded without its float function; set model.fn to compare with it")
        if not samples:
            raise LoweringError("a comparison needs at least one sample")
        rows = [(sample, self.quantize(*sample)) for sample in samples[:INSIDE]]
        return compared(self.program, self.executor, self.fn, rows)

    def _saturated(self, samples: Sequence[tuple[Any, ...]]) -> int:
        return sum(one.count for sample in samples for one in self.cuts(*sample))

    def save(self, path: str | Path) -> None:
        """Write the program into a folder; see ``rollup.form.program``."""
        self.program.save(path)


def load(path: str | Path, fn: Callable[..., Any] | None = None) -> Model:
    """Read a saved model, checking every root; ``fn`` is its float function, if it should be compared with it."""
    return Model(Program.load(path), fn)


Compiled = dict[Any, Callable[[tuple[Any, ...]], list[jax.Array]]]
"""A float function's compiled forms, by the kind of its arguments."""


def evaluated(fn: Callable[..., Any], compiled: Compiled, arrays: tuple[Any, ...]) -> list[np.ndarray]:
    """The float function's outputs, in order; compiled once for arguments alike."""
    leaves, tree = jax.tree.flatten(arrays)
    key = fn, tree, tuple(jax.typeof(leaf) for leaf in leaves)
    if key not in compiled:
        compiled[key] = float_function(fn, arrays)
    return [keys.data(leaf) for leaf in compiled[key](arrays)]


def float_function(fn: Callable[..., Any], sample: tuple[Any, ...]) -> Callable[[tuple[Any, ...]], list[jax.Array]]:
    """``fn`` compiled for arrays like the sample's, giving its result's arrays in order.

    Arrays that it closes over are passed as arguments: as constants of the compiled function they would be copied and folded.
    """
    closed = jax.make_jaxpr(fn)(*sample)
    run = unfolded(lambda weights, leaves: jax.core.eval_jaxpr(closed.jaxpr, weights, *leaves))
    dtypes = _dtypes(closed.jaxpr)

    def called(given: tuple[Any, ...]) -> list[jax.Array]:
        with long_words(*dtypes):
            result: list[jax.Array] = run(closed.consts, jax.tree.leaves(given))
        return result

    return called


def _dtypes(jaxpr: Any) -> set[Any]:
    """The dtypes of all results in a traced function, those of the functions that it calls included."""
    found = {var.aval.dtype for eqn in jaxpr.eqns for var in eqn.outvars if hasattr(var.aval, "dtype")}
    return found.union(*(_dtypes(inner) for inner in core.subjaxprs(jaxpr)))
