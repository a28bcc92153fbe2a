"""JAX traces a function; what it can't trace is refused with the line of the user's code and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import errors

from prover.lowering.source import line_of
from rollup.errors import LoweringError, TouchstoneError

NUMBER = "a number of Python depends on the input there; compute with jax.numpy, on arrays of fixed sizes"

REMEDIES: Sequence[tuple[type[Exception], str]] = (
    (
        errors.TracerArrayConversionError,
        "NumPy can't compute with an array that is traced; call the function of jax.numpy or jax.scipy instead",
    ),
    (
        errors.NonConcreteBooleanIndexError,
        "the length of a result depends on the input there; keep all elements and choose with jax.numpy.where",
    ),
    (
        errors.TracerBoolConversionError,
        "a branch or a loop of Python depends on the input there; choose with jax.numpy.where or jax.lax.cond",
    ),
    (
        errors.TracerIntegerConversionError,
        "a position or a count of Python depends on the input there; index an array of jax.numpy, and loop a fixed number of times",
    ),
    (errors.ConcretizationTypeError, NUMBER),
    (
        errors.UnexpectedTracerError,
        "an array of an earlier call was kept outside of the function; return it, or give it as an argument",
    ),
)
"""What JAX raises for a function that it can't trace, the first that fits, and what to write instead."""


def traced(fn: Callable[..., Any], inputs: Sequence[Any]) -> tuple[Any, Any]:
    """(closed jaxpr, tree of the results' shapes) of ``fn``, under the caller's JAX settings.

    Raises LoweringError for what JAX can't trace, for a result that is no array, and for none. What else ``fn`` raises is its own.
    """
    returned: list[Any] = []

    def noted(*arguments: Any) -> Any:
        returned.append(fn(*arguments))
        return returned[-1]

    try:
        closed, shape = jax.make_jaxpr(noted, return_shape=True)(*inputs)
    except TouchstoneError:
        raise
    except Exception as error:
        remedy = _remedy(error)
        if remedy is None and returned:
            remedy = "it returns something that is no array; return an array, or a tuple, list or dict of arrays"
        if remedy is None:
            raise
        line = line_of(error)
        raise LoweringError(
            f"JAX can't trace the function{f' at {line}' if line else ''} ({type(error).__name__}): {remedy}"
        ) from error
    if not jax.tree.leaves(shape):
        raise LoweringError("the function gives no output; return an array, or a tuple, list or dict of arrays")
    return closed, shape


def _remedy(error: Exception) -> str | None:
    for kind, remedy in REMEDIES:
        if isinstance(error, kind):
            return remedy
    if "item assignment" in str(error):
        return "arrays of JAX never change; write x = x.at[index].set(value) in place of x[index] = value"
    # Slices, shapes and format strings have no error of their own.
    return NUMBER if "Tracer" in str(error) else None
