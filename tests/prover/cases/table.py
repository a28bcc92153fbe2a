"""The table of cases, and random arrays for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

_RNG = np.random.default_rng(20260101)
NHWC = ("NHWC", "HWIO", "NHWC")


def reals(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return _RNG.standard_normal(shape).astype(np.float32)


def integers(low: int, high: int, *shape: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    return _RNG.integers(low, high, shape).astype(np.int32)


@dataclass(frozen=True)
class Case:
    """``relative``: the largest difference allowed, over the range of the float output."""

    name: str
    fn: Callable[..., Any]
    inputs: tuple[Any, ...]
    relative: float = 5e-4
    formats: str = "w16a16"


CASES: list[Case] = []


def case(name: str, fn: Callable[..., Any], *inputs: Any, relative: float = 5e-4, formats: str = "w16a16") -> None:
    CASES.append(Case(name, fn, inputs, relative, formats))
