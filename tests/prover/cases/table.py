"""The table of cases, and random arrays for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

_RNG = np.random.default_rng(20260101)
"""What a test draws from is seeded by its name (``seed``); what a module draws, by the order of imports."""

NHWC = ("NHWC", "HWIO", "NHWC")


def seed(number: int) -> None:
    """What is drawn from here on follows from the number alone."""
    _RNG.bit_generator.state = np.random.default_rng(number).bit_generator.state


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
