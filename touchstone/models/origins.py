"""Float models from where they are: a JAX function by its name, an ONNX file, a language model as GGUF."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rollup.errors import LoweringError, TouchstoneError

if TYPE_CHECKING:
    from prover import LanguageModel


class TokenizerLike(Protocol):
    """Text as token ids and back. ``prefix``: the tokens that stand in front of every text."""

    @property
    def prefix(self) -> list[int]: ...

    def encode(self, text: str) -> list[int]: ...


class Language(Protocol):
    """What samples of a language model are made with."""

    @property
    def tokenizer(self) -> TokenizerLike: ...

    def samples(self, pieces: Sequence[Sequence[int]], size: int) -> Sequence[tuple[Any, ...]]: ...


SHORTER = 4
"""Of four pieces of text one is embedded whole, the others a half, a quarter and an eighth: few tokens have longer means than many."""


@dataclass(frozen=True)
class Embedded:
    """What samples of a language model's program for embeddings are made with."""

    language: LanguageModel

    @property
    def tokenizer(self) -> TokenizerLike:
        return self.language.tokenizer

    def samples(self, pieces: Sequence[Sequence[int]], size: int) -> Sequence[tuple[Any, ...]]:
        lengths = [max(1, len(piece) >> number % SHORTER) for number, piece in enumerate(pieces)]
        return [
            self.language.embedding_input(piece[:length], size) for piece, length in zip(pieces, lengths, strict=True)
        ]


@dataclass(frozen=True)
class ModelInput:
    """An input as the model's file declares it; a dimension that is a name takes the size of the samples."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...] | None

    def __str__(self) -> str:
        return f"{self.name} {self.dtype.name}[{'...' if self.shape is None else ', '.join(map(str, self.shape))}]"


def _number(name: str) -> ModelInput:
    return ModelInput(name, np.dtype(np.int32), ())


TOKENS = ModelInput("tokens", np.dtype(np.int32), ("N",))
TEXT_INPUTS = (
    TOKENS,
    *map(_number, ("prompt", "length")),
    ModelInput("seed", np.dtype(np.uint32), (2,)),
    *map(_number, ("temperature", "top_p", "top_k")),
    ModelInput("cuts", np.dtype(np.int32), (2, "N")),
)
"""Of ``LanguageModel.fn``."""


@dataclass(frozen=True)
class Origin:
    """A float function to be lowered.

    ``inputs``: what its file declares, None if only the function knows; ``outputs``: their names, if its file has any;
    ``language``: what makes samples of text, of a language model.
    """

    source: str
    name: str
    fn: Callable[..., Any]
    inputs: tuple[ModelInput, ...] | None = None
    outputs: tuple[str, ...] | None = None
    language: Language | None = None

    @property
    def wanted(self) -> str:
        """What samples for it look like, to be told to whoever gave none."""
        if self.language is not None:
            return (
                "give --samples FILE.txt with text like that which the model will see (and --length for the tokens of a "
                "pass), or FILE.npz with the inputs of its program, by name"
            )
        if self.inputs is None:
            return (
                "give --samples FILE.npz with one array for each input, the samples along the first axis, "
                "or --samples MODULE:FUNCTION that returns them"
            )
        return (
            f"it takes {', '.join(map(str, self.inputs))}: give --samples FILE.npz with one array for each, by its name, or all "
            "without names in this order, the samples along the first axis"
        )


def function(name: str) -> Callable[..., Any]:
    """The function that ``module:function`` names, the working directory included in the search."""
    module, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise LoweringError(f"{name!r} names no function ({error}); write it as package.module:function") from None
    except TouchstoneError:
        raise
    except (Exception, SystemExit) as error:
        raise LoweringError(f"{module} fails when it is imported ({said(error)}); correct it there") from None
    if not callable(found):
        raise LoweringError(f"{name!r} is a {type(found).__name__}; name a function of the model's inputs")
    result: Callable[..., Any] = found
    return result


def said(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"


def opened(source: str, fixed: Mapping[str, Any] | None = None, embedding: bool = False) -> Origin:
    """The float model that a user names: ``module:function``, a path that ends in .onnx, or one that ends in .gguf.

    ``fixed``: inputs of an ONNX file that become constants; ``embedding``: of a GGUF file not the function that writes texts, but the one
    that embeds them. Raises LoweringError for anything else, and whatever the file's reader finds wrong with it.
    """
    path = Path(source)
    if embedding and path.suffix.lower() != ".gguf":
        raise LoweringError(f"{source} is no GGUF file; only a language model has a program for embeddings of its own")
    if fixed and path.suffix.lower() != ".onnx":
        raise LoweringError(f"{source} is no ONNX file; only inputs of one can be fixed, close over them in a function")
    if path.suffix.lower() in (".onnx", ".gguf") and not path.is_file():
        raise LoweringError(f"{source} is no file; name the model's file, or a JAX function as package.module:function")
    if path.suffix.lower() == ".onnx":
        from prover import load_onnx

        graph = load_onnx(path)
        try:
            graph = graph.fixed(**fixed) if fixed else graph
        except ValueError as error:
            raise LoweringError(f"an input of {source} can't be fixed to what was given ({error})") from None
        ports = tuple(ModelInput(one.name, np.dtype(one.dtype), one.shape) for one in graph.inputs)
        return Origin(source, path.stem, graph.fn, ports, tuple(one.name for one in graph.outputs))
    if path.suffix.lower() == ".gguf":
        from prover import load_gguf

        language = load_gguf(path)
        if embedding:
            fn = language.embedding
            return Origin(source, fn.__name__, fn, (TOKENS, _number("length")), None, Embedded(language))
        return Origin(source, path.stem, language.fn, TEXT_INPUTS, None, language)
    if ":" not in source:
        raise LoweringError(
            f"{source!r} names no model; give a JAX function as package.module:function, or a file FILE.onnx or FILE.gguf"
        )
    return Origin(source, source.partition(":")[2], function(source))
