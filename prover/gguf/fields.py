"""Metadata values by key, checked: a wrong type or a value out of range names the file and the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prover.gguf.reader import Value
from rollup.errors import LoweringError


@dataclass(frozen=True)
class Fields:
    """Typed access to ``metadata``. Without a default a key is required."""

    path: Path
    metadata: Mapping[str, Value]

    def _get(self, key: str, default: Value | None, what: str) -> Value:
        value = self.metadata.get(key, default)
        if value is None:
            raise LoweringError(f"{self.path}: metadata key {key!r} ({what}) is missing; fetch the file again")
        return value

    def _wrong(self, key: str, what: str) -> LoweringError:
        return LoweringError(f"{self.path}: metadata key {key!r} is not {what}; fetch the file again")

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """An integer from ``low`` to ``high``."""
        what = f"an integer from {low} to {high}"
        value = self._get(key, default, what)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(key, what)
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """A finite number from ``low`` to ``high``."""
        what = f"a number from {low:g} to {high:g}"
        value = self._get(key, default, what)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self._wrong(key, what)
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """A boolean."""
        value = self._get(key, default, "a boolean")
        if not isinstance(value, bool):
            raise self._wrong(key, "a boolean")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        value = self._get(key, default, "a text")
        if not isinstance(value, str):
            raise self._wrong(key, "a text")
        return value

    def texts(self, key: str, default: list[str] | None = None) -> list[str]:
        """An array of strings."""
        value = self._get(key, default, "an array of texts")
        if not isinstance(value, list):
            raise self._wrong(key, "an array of texts")
        return value
