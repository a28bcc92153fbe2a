"""The alert rules and the runbook name metrics, labels, commands, flags and files that exist, and each other."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import challenger
import prover
import rollup.service
import sequencer
import touchstone.services
from rollup.service import metrics
from touchstone.cli import main
from touchstone.devnet.plan import COMPOSE, commands

ROOT = Path(__file__).parent.parent
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((ROOT / "ops" / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
PROMETHEUS = yaml.safe_load((ROOT / "ops" / "prometheus.yml").read_text())

SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
TARGET_LABELS = {"job", "instance"}


@pytest.fixture(scope="module")
def exposed() -> dict[str, set[str]]:
    """Every series of ours that a service exposes, with its labels' names."""
    for package in (rollup.service, sequencer, challenger, prover, touchstone.services):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "__main__" not in module.name and ".migrations" not in module.name:
                importlib.import_module(module.name)
    return {
        name + suffix: set(made._labelnames) | ({"le"} if suffix == "_bucket" else set())
        for name, made in metrics._made.items()
        for suffix in SUFFIXES[made._type]
    }


def named(text: str) -> set[str]:
    return set(re.findall(r"\btouchstone_[a-z0-9_]+", text))


def lines_of_code() -> list[str]:
    """The runbook's commands, in blocks and inline."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", RUNBOOK, re.MULTILINE | re.DOTALL)
    inline = re.findall(
        r"`(touchstone [^`]+)`", re.sub(r"^ *```.*?^ *```", "", RUNBOOK, flags=re.MULTILINE | re.DOTALL)
    )
    return [line.strip() for block in blocks for line in block.splitlines()] + inline


def command_of(line: str) -> tuple[click.Command, list[str]]:
    """The command that a line runs, and its further words."""
    words, found = line.split()[1:], main
    while isinstance(found, click.Group):
        assert words and words[0] in found.commands, line
        found = found.commands[words.pop(0)]  # type: ignore[assignment]
    return found, words


def test_there_are_rules() -> None:
    assert len(RULES) > 15
    assert {rule["labels"]["severity"] for rule in RULES} == {"page", "ticket"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_names_metrics_and_labels_that_services_expose(
    rule: dict[str, Any], exposed: dict[str, set[str]]
) -> None:
    text = f"{rule['expr']} {rule['annotations']['summary']}"
    series = named(rule["expr"])
    assert series or rule["expr"].startswith("up ")
    assert series <= exposed.keys()
    labels = TARGET_LABELS.union(*(exposed[one] for one in series))
    selected = set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|!~|!=|=)", rule["expr"]))
    shown = set(re.findall(r"\$labels\.(\w+)", text))
    assert selected | shown <= labels


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if re.search(r"increase\(.*\) > 0", rule["expr"])], ids=lambda rule: rule["alert"]
)
def test_a_rule_about_an_increase_sees_the_first_one(rule: dict[str, Any], exposed: dict[str, set[str]]) -> None:
    (name,) = named(rule["expr"])
    made = metrics._made[name.removesuffix("_total")]
    there_from_the_start = not made._labelnames or made._metrics
    assert there_from_the_start or f"unless {name} offset" in rule["expr"]


def test_every_alert_is_explained_and_every_explanation_has_its_alert() -> None:
    explained = set(re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE))
    assert explained == {rule["alert"] for rule in RULES}


def test_every_metric_that_the_runbook_names_is_exposed(exposed: dict[str, set[str]]) -> None:
    assert named(RUNBOOK)
    assert named(RUNBOOK) <= exposed.keys()


def test_every_command_that_the_runbook_names_exists_with_its_flags() -> None:
    lines = [line for line in lines_of_code() if line.startswith("touchstone ")]
    assert len(lines) > 10
    for line in lines:
        command, words = command_of(line)
        flags = {flag for parameter in command.params for flag in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= flags, line


def test_every_flag_that_the_runbook_names_alone_belongs_to_some_command() -> None:
    flags: set[str] = set()
    groups: list[click.Group] = [main]
    while groups:
        for command in groups.pop().commands.values():
            flags |= {flag for parameter in command.params for flag in parameter.opts}
            if isinstance(command, click.Group):
                groups.append(command)
    alone = set(re.findall(r"`(--[a-z-]+)", RUNBOOK))
    assert alone
    assert alone <= flags


def test_every_file_that_the_runbook_names_exists() -> None:
    files = set(re.findall(r"`((?:ops|docs)/[\w./-]+)`", RUNBOOK)) | {
        f"docs/{link}" for link in re.findall(r"\]\(([^):]+)\)", RUNBOOK)
    }
    assert len(files) > 3
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_prometheus_asks_every_service_at_its_port() -> None:
    targets = {
        target for job in PROMETHEUS["scrape_configs"] for one in job["static_configs"] for target in one["targets"]
    }
    expected = set()
    for name, words in commands(COMPOSE).items():
        if "--port" in words:
            expected.add(f"{name}:{words[words.index('--port') + 1]}")
    assert targets == expected
    assert PROMETHEUS["rule_files"] == ["alerts.yml"]
