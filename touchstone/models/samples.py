"""Inputs that choose number formats and measure them: arrays from npz files or functions, text for language models."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prover.interfaces import parameters
from prover.lowering import keys
from prover.lowering.formats import is_real
from prover.lowering.source import line_of
from prover.lowering.tracing import traced
from rollup.errors import LoweringError, TouchstoneError
from touchstone.models.arrays import read_npz
from touchstone.models.origins import Language, ModelInput, Origin, function, said

Array = np.ndarray
Sample = tuple[Any, ...]

MOST_BYTES = 1 << 30
"""Bytes of all arrays of one npz file."""

MOST_TEXT = 1 << 24
"""Bytes of a text."""

MOST_WINDOWS = 64
"""Pieces of a text that become samples; of a longer text, pieces all over it."""

LARGEST = float(np.finfo(np.float32).max)
"""The largest magnitude of a sample's number."""

LENGTH = 128
"""Tokens of a pass of a language model, if nobody says otherwise."""

UNNAMED = re.compile(r"arr_\d+")
"""What ``numpy.savez`` calls an array that was given no name."""

EVERY = 5
"""Where no held-out samples are given, every fifth sample is held out."""


def read_samples(source: str, origin: Origin, length: int | None = None) -> list[Sample]:
    """Input tuples from an npz file, from what ``module:function`` returns, or for a language model from a text file.

    Raises LoweringError for anything that does not fit the model's inputs.
    """
    if source.endswith(".txt"):
        if origin.language is None:
            raise LoweringError(f"{source} is text, {origin.source} is no language model; {origin.wanted}")
        return [*windows(read_text(Path(source)), origin.language, LENGTH if length is None else length, source)]
    if length is not None:
        raise LoweringError(f"a length goes with samples of text; {source} says itself how long its samples are")
    columns = _ordered(source, _given(source), origin)
    if not columns or any(column.ndim == 0 for column in columns) or len({len(column) for column in columns}) != 1:
        shapes = [column.shape for column in columns]
        raise LoweringError(
            f"{source} gives arrays of shapes {shapes}; give one array per input, each with as many samples along the first axis"
        )
    if not len(columns[0]):
        raise LoweringError(f"{source} gives no samples; at least one is needed to choose number formats")
    for column in columns:
        _require_finite(source, column)
    if origin.inputs is not None:
        columns = [
            _fitted(source, keys.data(column), port) for column, port in zip(columns, origin.inputs, strict=True)
        ]
    rows = list(zip(*columns, strict=True))
    if origin.inputs is None:
        _require_taken(origin, source, rows[0])
    return rows


def split(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """(calibration, held out): every fifth sample is held out; none if there are fewer than five."""
    held_out = [sample for at, sample in enumerate(samples) if at % EVERY == EVERY - 1]
    return [sample for at, sample in enumerate(samples) if at % EVERY != EVERY - 1], held_out


def windows(text: str, language: Language, length: int, source: str) -> Sequence[Sample]:
    """Samples of a language model, as it is claimed about, of consecutive pieces of a text.

    Each begins as the tokenizer begins a text: what a model computes at a bos token, and from it ever after, is like nothing else.
    A text of fewer tokens than ``length`` gives one piece, padded.
    """
    if length < 2:
        raise LoweringError(f"a pass of {length} tokens predicts nothing; give a length of at least 2")
    prefix = language.tokenizer.prefix
    tokens = language.tokenizer.encode(text)[len(prefix) :]
    if len(tokens) < 2:
        raise LoweringError(f"{source} holds hardly any text; give some that is like what the model will see")
    step = length - len(prefix)
    count = max(1, len(tokens) // step)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_WINDOWS)).round().astype(int))
    pieces = [[*prefix, *tokens[at * step : (at + 1) * step]] for at in chosen]
    return language.samples(pieces, length)


def _given(source: str) -> dict[str, Array]:
    if source.endswith(".npz"):
        return _npz(Path(source))
    if ":" not in source:
        raise LoweringError(
            f"{source} is no source of samples; give FILE.npz with an array for each input, MODULE:FUNCTION that returns them, or for a "
            "language model FILE.txt"
        )
    return _returned(source)


def read_text(path: Path) -> str:
    """A text file's contents; raises LoweringError for what is none, or too large."""
    try:
        if path.stat().st_size > MOST_TEXT:
            raise LoweringError(f"{path} has more than {MOST_TEXT >> 20} MiB of text; a part of it is enough")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LoweringError(f"{path} can't be read as text, there is no such file; give a file of UTF-8 text") from None
    except (OSError, UnicodeDecodeError) as error:
        raise LoweringError(f"{path} can't be read as text ({error}); give a file of UTF-8 text") from None


def _npz(path: Path) -> dict[str, Array]:
    if not path.exists():
        raise LoweringError(f"{path} is no npz file, there is no such file; name one that numpy.savez has written")
    try:
        return read_npz(path, MOST_BYTES)
    except ValueError as error:
        raise LoweringError(f"{path} is no npz file of plain arrays ({error}); write it with numpy.savez") from None


def _require_finite(source: str, column: Array) -> None:
    """Raise LoweringError for what no claim can have as input."""
    if keys.is_key(column):
        return
    if column.dtype.kind not in "biu" and not is_real(column.dtype):
        raise LoweringError(f"{source} gives an array of dtype {column.dtype}; give real or whole numbers")
    if not is_real(column.dtype):
        return
    beyond = ~(np.abs(column) <= LARGEST)
    if beyond.any():
        place = [int(at) for at in np.argwhere(beyond)[0]]
        raise LoweringError(
            f"{source} gives an array with {column[tuple(place)]} at {place}; give finite numbers that float32 holds, as an input of a "
            "claim is"
        )


def _require_taken(origin: Origin, source: str, row: Sample) -> None:
    """Raise LoweringError if a function of somebody's can't be traced, or fails on a sample, whatever it raises."""
    try:
        traced(origin.fn, row)
    except TouchstoneError:
        raise
    except Exception as error:
        line = line_of(error)
        raise LoweringError(
            f"{origin.source} fails on a sample of {source} ({said(error)}{f', at {line}' if line else ''}); give arrays of the number, "
            "shapes and dtypes that it takes, or correct it"
        ) from error


def _returned(name: str) -> dict[str, Array]:
    given: Any = _called(name)
    named = given if isinstance(given, Mapping) else None
    columns = [given] if named is None and not isinstance(given, tuple | list) else given
    try:
        if named is not None:
            return {str(key): _column(column) for key, column in named.items()}
        return {f"arr_{at}": _column(column) for at, column in enumerate(columns)}
    except ValueError as error:
        raise LoweringError(f"{name} returned no arrays ({error}); return one array per input, or a tuple") from None


def _column(given: Any) -> Any:
    """Samples as an array of NumPy; typed random keys stay what they are, since the function may ask for them."""
    return given if keys.is_key(given) else np.asarray(given)


def _called(name: str) -> Any:
    """What a function of somebody's returns; raises LoweringError if it fails, whatever it raises."""
    fn = function(name)
    try:
        return fn()
    except TouchstoneError:
        raise
    except Exception as error:
        raise LoweringError(
            f"{name} fails ({said(error)}); give a function that takes no arguments and returns one array per input"
        ) from error


def _ordered(source: str, given: Mapping[str, Array], origin: Origin) -> list[Array]:
    """The arrays in the order of the model's inputs: by name if they have the inputs' names, as they come if they have none."""
    if origin.inputs is None:
        names = parameters(origin.fn)[: len(given)]
        return [given[name] for name in (names if set(names) == set(given) else given)]
    names = [port.name for port in origin.inputs]
    if set(given) == set(names):
        return [given[name] for name in names]
    if len(given) != len(names) or not all(UNNAMED.fullmatch(name) for name in given):
        raise LoweringError(
            f"{source} gives {', '.join(given)}; the model takes {', '.join(map(str, origin.inputs))}: give one array for each, by its "
            "name, or all without names in this order"
        )
    return list(given.values())


def _fitted(source: str, column: Array, port: ModelInput) -> Array:
    """Samples of an input as its file declares it.

    A first dimension of size one, or of no fixed size, may be left out of the samples: it is the batch that a sample is alone in.
    """
    if port.shape is None:
        return column.astype(port.dtype)
    alone = column.ndim == len(port.shape) > 1 and (port.shape[0] == 1 or isinstance(port.shape[0], str))
    if alone:
        column = column[:, None]
    fits = column.ndim == len(port.shape) + 1 and all(
        isinstance(size, str) or size == given for size, given in zip(port.shape, column.shape[1:], strict=True)
    )
    if not fits:
        raise LoweringError(
            f"{source} gives {port.name} the shape {column.shape}, samples first; the model takes {port}"
        )
    cast = column.astype(port.dtype)
    if not np.can_cast(column.dtype, port.dtype, "same_kind") or (
        port.dtype.kind in "iub" and not np.array_equal(cast, column)
    ):
        raise LoweringError(
            f"{source} gives {port.name} numbers of dtype {column.dtype}; the model takes {port}, which can't hold them"
        )
    return cast
