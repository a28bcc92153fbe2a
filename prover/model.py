"""A lowered model: the program, and the way from a user's arrays to its integers and back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from prover.capture import Graph, Stacked
from prover.executor import Executor
from prover.fidelity import Comparison, Fidelity, merged
from prover.formats import is_real, quantize
from prover.memory import give_back
from prover.saturation import Saturated, saturation
from prover.trace import trace_bytes
from rollup.errors import EncodingError, ExecutionError, LoweringError
from rollup.program import Program

BATCH = 64
"""Most samples that are compared together."""

BATCH_BYTES = 1 << 26
"""Bytes of the traces of samples that are compared together; one sample may have more."""

INSIDE = 4
"""Samples on which it is counted what saturates inside a program: each is executed value by value."""


class Model:
    """A program with the names, dtypes and structure of the function that it was lowered from.

    ``fn`` is that function, if it is at hand: a loaded model has none unless it is given one. ``compact``: for measuring alone, in
    little memory; its executor is compact and not tested on this machine.
    """

    def __init__(self, program: Program, fn: Callable[..., Any] | None = None, compact: bool = False) -> None:
        self.program = program
        self.fn = fn
        self.compact = compact
        self._floats: dict[Any, Callable[[tuple[Any, ...]], list[jax.Array]]] = {}

    @cached_property
    def executor(self) -> Executor:
        # A compact executor measures, it claims nothing: what an inexact kernel would change there is a figure.
        return Executor(self.program, self_test=not self.compact, compact=self.compact)

    def noted(self, **meta: Any) -> Model:
        """The same model with entries of the program's metadata added or replaced; the executor is shared unless compact."""
        model = Model(replace(self.program, meta={**self.program.meta, **meta}), self.fn)
        model._floats = self._floats
        if "executor" in self.__dict__ and not self.compact:
            model.__dict__["executor"] = self.executor
        return model

    def floats(self, *arrays: Any) -> list[np.ndarray]:
        """The float function's outputs, in order; raises LoweringError for a loaded model without its function."""
        if self.fn is None:
            raise LoweringError("this model was loaded without its float function; set model.fn to compare with it")
        leaves, tree = jax.tree.flatten(arrays)
        key = self.fn, tree, tuple((np.shape(leaf), np.result_type(leaf)) for leaf in leaves)
        if key not in self._floats:
            self._floats[key] = float_function(self.fn, arrays)
        return [np.asarray(leaf) for leaf in self._floats[key](arrays)]

    def quantize(self, *arrays: Any) -> list[np.ndarray]:
        """Inputs (in the structure of ``fn``'s arguments) as the program's integers; reals beyond a format saturate."""
        leaves = jax.tree.leaves(arrays)
        types, described = self.program.header.inputs, self.program.meta.get("inputs", [])
        if len(leaves) != len(types):
            raise ExecutionError(
                f"the model takes {len(types)} input arrays, {len(leaves)} were given; pass one per input"
            )
        result = []
        for number, (leaf, tensor) in enumerate(zip(leaves, types, strict=True)):
            array = np.asarray(leaf)
            name = described[number]["name"] if number < len(described) else f"{number}"
            if array.shape != tensor.shape:
                raise ExecutionError(
                    f"input {name} has shape {array.shape}, the model takes {tensor.shape}; reshape or pad it"
                )
            real = is_real(np.dtype(described[number]["dtype"])) if number < len(described) else tensor.scale != 0
            if real:
                if array.dtype.kind not in "iub" and not is_real(array.dtype):
                    raise ExecutionError(
                        f"input {name} has dtype {array.dtype}, the model takes numbers; convert it first"
                    )
                if not np.all(np.isfinite(array)):
                    raise ExecutionError(
                        f"input {name} has an element that is not finite; a program has no NaN or infinity"
                    )
                result.append(
                    quantize(array, tensor.scale, tensor.dtype.min, tensor.dtype.max).astype(tensor.dtype.numpy)
                )
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
        described = self.program.meta.get("outputs", [])
        arrays = []
        for number, (value, (_, tensor)) in enumerate(zip(values, self.program.header.outputs, strict=True)):
            undescribed = np.dtype(np.float64) if tensor.scale else tensor.dtype.numpy
            dtype = np.dtype(described[number]["dtype"]) if number < len(described) else undescribed
            array = np.asarray(value).reshape(tensor.shape)
            arrays.append((array * 2.0**-tensor.scale).astype(dtype) if is_real(dtype) else array.astype(dtype))
        return arrays

    def dequantize(self, values: Sequence[np.ndarray]) -> Any:
        """The program's outputs as arrays of the function's dtypes, in the structure of its result."""
        return _restored(self.program.meta.get("structure"), self.reals(values))

    def predict(self, *arrays: Any) -> Any:
        """The function's result, computed by the integer program."""
        return self.dequantize(self.executor.outputs(self.quantize(*arrays)))

    def fidelity(self, samples: Sequence[tuple[Any, ...]]) -> Fidelity:
        """Compare with the float function on input tuples; raises LoweringError for a loaded model without its function.

        Samples are compared a few at a time: memory is bounded by their traces, not by their number.
        """
        if not samples:
            raise LoweringError("fidelity needs at least one sample")
        header = self.program.header
        outputs = [
            Comparison(entry["name"], tensor.scale, tensor.dtype.min, tensor.dtype.max)
            for entry, (_, tensor) in zip(self.program.meta["outputs"], header.outputs, strict=True)
        ]
        batch = max(1, min(BATCH, len(samples), BATCH_BYTES // max(1, trace_bytes(self.program))))
        for at in range(0, len(samples), batch):
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
        for real, entry, (_, tensor) in zip(found, self.program.meta["outputs"], outputs, strict=True):
            if real.shape != tensor.shape:
                raise LoweringError(
                    f"the function gives {entry['name']} the shape {real.shape}, the program {tensor.shape}; it is another model's"
                )
        return found

    def saturation(self, samples: Sequence[tuple[Any, ...]]) -> tuple[Saturated, ...]:
        """The ops whose values reach an end of their format on the first few samples."""
        return saturation(self.executor, [self.quantize(*sample) for sample in samples[:INSIDE]])

    def _saturated(self, samples: Sequence[tuple[Any, ...]]) -> int:
        count = 0
        for sample in samples:
            for leaf, tensor in zip(jax.tree.leaves(sample), self.program.header.inputs, strict=True):
                array = np.asarray(leaf)
                if is_real(array.dtype):
                    scaled = np.rint(array * 2.0**tensor.scale)
                    count += int(np.sum((scaled > tensor.dtype.max) | (scaled < tensor.dtype.min)))
        return count

    def save(self, path: str | Path) -> None:
        """Write the program into a folder; see ``rollup.program``."""
        self.program.save(path)


def load(path: str | Path, fn: Callable[..., Any] | None = None) -> Model:
    """Read a saved model, checking every root; ``fn`` is its float function, if it should be compared with it."""
    return model_of(Program.load(path), f"{path}", fn)


def model_of(program: Program, where: str, fn: Callable[..., Any] | None = None) -> Model:
    """The model of a program from elsewhere; raises EncodingError, naming ``where``, for metadata that does not fit."""
    _check_meta(program, where)
    return Model(program, fn)


def _check_meta(program: Program, path: str) -> None:
    """Metadata is not under the root: whatever the model uses of it must fit the header, or the file is refused."""
    for key, tensors in (
        ("inputs", program.header.inputs),
        ("outputs", tuple(tensor for _, tensor in program.header.outputs)),
    ):
        given = program.meta.get(key, [])
        if given and not (
            isinstance(given, list) and len(given) == len(tensors) and all(_is_described(entry) for entry in given)
        ):
            raise EncodingError(
                f"{path}: the metadata's {key!r} do not describe the header's {len(tensors)} {key} by name and dtype; "
                "fetch the file again"
            )
        if not isinstance(given, list):
            raise EncodingError(f"{path}: the metadata's {key!r} are no list; fetch the file again")
    structure = program.meta.get("structure")
    try:
        complete = structure is None or sorted(_leaves(structure)) == list(range(len(program.header.outputs)))
    except RecursionError:
        complete = False
    if not complete:
        raise EncodingError(
            f"{path}: the metadata's 'structure' does not name each of the {len(program.header.outputs)} outputs once; "
            "fetch the file again"
        )


def _is_described(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not isinstance(entry.get("dtype"), str):
        return False
    try:
        dtype = np.dtype(entry["dtype"])
    except (TypeError, ValueError, SyntaxError):
        return False
    return dtype.kind in "iub" or is_real(dtype)


def _leaves(structure: Any) -> list[int]:
    """The leaf numbers of a saved structure; -1 stands for whatever is none."""
    if isinstance(structure, int) and not isinstance(structure, bool):
        return [structure]
    if not isinstance(structure, dict) or len(structure) != 1:
        return [-1]
    ((kind, inner),) = structure.items()
    if kind == "dict" and isinstance(inner, dict):
        return [leaf for item in inner.values() for leaf in _leaves(item)]
    if kind in ("list", "tuple") and isinstance(inner, list):
        return [leaf for item in inner for leaf in _leaves(item)]
    return [-1]


def float_function(fn: Callable[..., Any], sample: tuple[Any, ...]) -> Callable[[tuple[Any, ...]], list[jax.Array]]:
    """``fn`` compiled for arrays like the sample's, giving its result's arrays in order.

    Arrays that it closes over are passed as arguments: as constants of the compiled function they would be copied and folded.
    """
    closed = jax.make_jaxpr(fn)(*sample)
    run = jax.jit(lambda weights, leaves: jax.core.eval_jaxpr(closed.jaxpr, weights, *leaves))
    return lambda given: run(closed.consts, jax.tree.leaves(given))


def describe(
    fn: Callable[..., Any], graph: Graph, in_tree: Any, out_tree: Any, formats: str, samples: int | None
) -> dict[str, Any]:
    """Metadata of a program: names, dtypes and structure, nothing that a root depends on."""
    names = [
        _path_name(path)
        for path, _ in jax.tree_util.tree_flatten_with_path(
            jax.tree.unflatten(in_tree, list(range(in_tree.num_leaves)))
        )[0]
    ]
    try:
        parameters = list(inspect.signature(fn).parameters)
    except (TypeError, ValueError):
        parameters = []
    structure = jax.tree.unflatten(out_tree, list(range(out_tree.num_leaves)))
    out_names = [_path_name(path, "output") for path, _ in jax.tree_util.tree_flatten_with_path(structure)[0]]
    return {
        "name": getattr(fn, "__name__", type(fn).__name__),
        "formats": formats,
        "calibration": "example inputs" if samples is None else f"{samples} samples",
        "inputs": [
            {"name": _argument(name, parameters), "dtype": str(var.dtype), "shape": list(var.shape)}
            for name, var in zip(names, graph.inputs, strict=True)
        ],
        "outputs": [
            {"name": name, "dtype": str(out.dtype), "shape": list(out.shape)}
            for name, out in zip(out_names, graph.outputs, strict=True)
            if not isinstance(out, Stacked)
        ],
        "structure": _structure(structure),
    }


def _path_name(path: tuple[Any, ...], default: str = "input") -> str:
    parts = [str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))) for key in path]
    return ".".join(parts) or default


def _argument(name: str, parameters: Sequence[str]) -> str:
    """``0.weight`` with the argument's own name instead of its number."""
    first, _, rest = name.partition(".")
    if first.isdigit() and int(first) < len(parameters):
        first = parameters[int(first)]
    return f"{first}.{rest}" if rest else first


def _structure(tree: Any) -> Any:
    """A tree of leaf numbers as JSON; None where it has nodes other than dict, list and tuple."""
    if isinstance(tree, int):
        return tree
    if isinstance(tree, dict) and all(isinstance(key, str) for key in tree):
        inner = {key: _structure(item) for key, item in tree.items()}
        return None if None in inner.values() else {"dict": inner}
    if type(tree) in (list, tuple):
        items = [_structure(item) for item in tree]
        return None if None in items else {type(tree).__name__: items}
    return None


def _restored(structure: Any, arrays: Sequence[Any]) -> Any:
    if structure is None:
        return list(arrays)
    if isinstance(structure, int):
        return arrays[structure]
    (kind, inner), *_ = structure.items()
    if kind == "dict":
        return {key: _restored(item, arrays) for key, item in inner.items()}
    items = [_restored(item, arrays) for item in inner]
    return tuple(items) if kind == "tuple" else items
