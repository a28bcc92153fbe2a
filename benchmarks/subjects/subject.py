"""What the harness needs of a model: its float function, its programs, its inputs, and its ONNX graph if it has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prover import Model
from tests.models.decoder import Decoder

Sample = tuple[Any, ...]
"""One claim's inputs, as the float function takes them."""

Feed = Mapping[str, np.ndarray]
"""What onnxruntime takes, by name, with a leading axis of claims."""


@dataclass(frozen=True)
class OnnxTwin:
    """The same network as an ONNX file. ``model``: its bytes; ``feed``: its inputs for some samples."""

    model: bytes
    feed: Callable[[Sequence[Sample]], Feed]


@dataclass(frozen=True)
class Subject:
    """A model that is measured.

    ``batches``: claims at a time, a workload each. ``fn``: its float function, of one claim. ``lowered``: its program, in formats of
    this name. ``samples``: that many inputs. ``packages``: distributions without which it is not here. ``twin``: None where no ONNX
    graph is known. ``decoder``: a language model's file, of which ``decoded`` tokens are also generated one by one.

    ``usual``: names of the formats that are measured unless others are asked for. ``rounds``: at most, where one takes long.
    ``starts``: whether its starts are measured; not those of what differs from another subject in its inputs' size alone.
    """

    key: str
    title: str
    batches: tuple[int, ...]
    fn: Callable[[], Callable[..., Any]]
    lowered: Callable[[str], Model]
    samples: Callable[[int], Sequence[Sample]]
    packages: tuple[str, ...] = ()
    twin: Callable[[], OnnxTwin] | None = None
    decoder: Decoder | None = None
    decoded: int = 0
    usual: tuple[str, ...] = ("w15a16",)
    rounds: int | None = None
    starts: bool = True
