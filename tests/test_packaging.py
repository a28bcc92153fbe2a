"""What is installed: the lock file holds what pyproject.toml asks for, and nothing that depends on a machine."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import resources
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rollup.native.build import ARCHITECTURES

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ROOMS = ("rollup", "prover", "sequencer", "challenger", "contracts", "touchstone")


def locked() -> dict[str, list[str]]:
    """Versions by distribution; several where they differ by Python version."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)", LOCK, re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def test_the_lock_holds_every_dependency_in_its_range() -> None:
    versions = locked()
    extras = PROJECT["optional-dependencies"]
    asked = [
        Requirement(text) for text in (*PROJECT["dependencies"], *(text for extra in extras.values() for text in extra))
    ]
    own = [requirement for requirement in asked if requirement.name == PROJECT["name"]]
    assert asked and all(requirement.extras <= extras.keys() for requirement in own)
    asked = [requirement for requirement in asked if requirement not in own]
    for requirement in asked:
        held = versions.get(canonicalize_name(requirement.name), [])
        assert held, f"{requirement.name} is not locked; run `make lock`"
        assert all(requirement.specifier.contains(version, prereleases=True) for version in held), requirement


def test_every_locked_distribution_has_hashes() -> None:
    entries = re.split(r"^(?=[\w.-]+(?:\[[\w,-]+\])?==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == sum(map(len, locked().values()))
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_lock_records_no_addresses() -> None:
    assert "://" not in LOCK
    assert "index-url" not in LOCK


def test_every_room_is_typed() -> None:
    assert all((resources.files(room) / "py.typed").is_file() for room in ROOMS)


def test_the_package_carries_compiled_contracts_and_weights() -> None:
    for path in (ROOT / "contracts" / "artifacts").glob("*.json"):
        assert (
            json.loads((resources.files("contracts") / "artifacts" / path.name).read_text())["contractName"]
            == path.stem
        )
    assert (resources.files("touchstone") / "data" / "digits.npz").is_file()


def test_the_package_carries_compiled_code_for_every_architecture() -> None:
    objects = ROOT / "rollup" / "native" / "objects"
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["rollup"]
    packed = {path for pattern in patterns for path in (ROOT / "rollup").glob(pattern)}
    for architecture in ARCHITECTURES:
        assert {path for path in objects.iterdir() if f"-{architecture}-" in path.name} & packed
    assert set(objects.iterdir()) <= packed
