"""The interface of a function's program: the names, dtypes and structure of its arguments and its result."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax

from prover.lowering.graph import FloatGraph, Stacked
from rollup.errors import LoweringError
from rollup.form.interface import DTYPES, MOST_DEPTH, MOST_NAME, Interface, Named, Structure


def described(
    fn: Callable[..., Any],
    graph: FloatGraph,
    in_tree: Any,
    out_tree: Any,
    ends: Sequence[tuple[int, int] | None],
) -> Interface:
    """The interface of ``fn``'s program: its arguments' names, dtypes, the structure of its result, and where its outputs end.

    ``ends``: of the outputs' formats, as ``Named`` has them; integers have none. Raises LoweringError for a dtype that no interface has.
    """
    paths = jax.tree_util.tree_flatten_with_path(jax.tree.unflatten(in_tree, list(range(in_tree.num_leaves))))[0]
    arguments = parameters(fn)
    structure = jax.tree.unflatten(out_tree, list(range(out_tree.num_leaves)))
    out_paths = jax.tree_util.tree_flatten_with_path(structure)[0]
    outputs = _ports([_path_name(path, "output") for path, _ in out_paths], graph.outputs)
    return Interface(
        _ports([_argument(_path_name(path), arguments) for path, _ in paths], graph.inputs),
        tuple(replace(port, ends=pair) if port.real else port for port, pair in zip(outputs, ends, strict=True)),
        _structure(structure, out_tree.num_leaves),
    )


def parameters(fn: Callable[..., Any]) -> list[str]:
    """The names of a function's parameters; none if it does not tell them."""
    try:
        return list(inspect.signature(fn).parameters)
    except (TypeError, ValueError):
        return []


def function_name(fn: Callable[..., Any]) -> str:
    return str(getattr(fn, "__name__", type(fn).__name__))


def _ports(names: Sequence[str], arrays: Sequence[Any]) -> tuple[Named, ...]:
    dtypes = [str(x.array.dtype if isinstance(x, Stacked) else x.dtype) for x in arrays]
    for name, dtype in zip(names, dtypes, strict=True):
        if dtype not in DTYPES:
            raise LoweringError(f"{name} is of dtype {dtype}; convert it to one of {', '.join(DTYPES)}")
    return tuple(Named(name, dtype) for name, dtype in zip(distinct(names), dtypes, strict=True))


def distinct(names: Sequence[str]) -> list[str]:
    """Names as an interface takes them: printable, neither empty nor long, no two alike."""
    found: list[str] = []
    for number, name in enumerate(names):
        clean = "".join(mark if mark.isprintable() else "_" for mark in name) or f"{number}"
        clean = clean.encode()[: MOST_NAME - 8].decode(errors="ignore")
        unique = (f"{clean}_{at}" for at in itertools.count(number))
        found.append(clean if clean not in found else next(one for one in unique if one not in found))
    return found


def _path_name(path: tuple[Any, ...], default: str = "input") -> str:
    parts = [str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))) for key in path]
    return ".".join(parts) or default


def _argument(name: str, parameters: Sequence[str]) -> str:
    """``0.weight`` with the argument's own name instead of its number."""
    first, _, rest = name.partition(".")
    if first.isdigit() and int(first) < len(parameters):
        first = parameters[int(first)]
    return f"{first}.{rest}" if rest else first


def _structure(tree: Any, leaves: int) -> Structure:
    """A tree of leaf numbers, as an interface has it; a list of the leaves where it has nodes other than dict, list and tuple."""
    return tree if _plain(tree, 0) else list(range(leaves))


def _plain(tree: Any, depth: int) -> bool:
    if depth > MOST_DEPTH:
        return False
    if type(tree) is dict:
        return all(isinstance(key, str) and _plain(item, depth + 1) for key, item in tree.items())
    if type(tree) in (list, tuple):
        return all(_plain(item, depth + 1) for item in tree)
    return type(tree) is int
