"""The documents for people name what exists, and everything that exists is in them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import click
import pytest

from tests.campaigns import page as campaigns_page
from touchstone.cli import main
from touchstone.cli import page as cli_page

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
CAMPAIGNS = (ROOT / "docs" / "campaigns.md").read_text()
WRITTEN = "campaigns contracts decisions formats http lowering models runbook services"
"""Pages of ``docs/`` that people write; the others are generated."""

DOCUMENTS = {
    "README.md": README,
    "SECURITY.md": (ROOT / "SECURITY.md").read_text(),
    "CONTRIBUTING.md": CONTRIBUTING,
    "ARCHITECTURE.md": ARCHITECTURE,
} | {f"docs/{page}.md": (ROOT / "docs" / f"{page}.md").read_text() for page in WRITTEN.split()}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def code(text: str) -> list[str]:
    """Inline code and lines of code blocks, comments cut off: where commands are named."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`]+)`", rest)
    return [re.split(r"\s#", line, maxsplit=1)[0].strip() for line in lines]


def named_targets(text: str) -> set[str]:
    """What ``make`` is asked for: its arguments that are no variables."""
    asked = [line.removeprefix("make ").split("=")[0].split() for line in code(text) if line.startswith("make ")]
    return {word for words in asked for word in words if re.fullmatch(r"[a-z-]+", word)}


COMMANDS = dict(cli_page.commands(main))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_a_document_names_exists(document: str) -> None:
    assert named_targets(DOCUMENTS[document]) <= TARGETS


def test_every_make_target_is_documented() -> None:
    assert TARGETS - named_targets(README + CONTRIBUTING) == set()


def test_make_help_lists_every_target() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z-]+) ", listed, re.MULTILINE)) == TARGETS


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_and_option_that_a_document_names_exists(document: str) -> None:
    for line in code(DOCUMENTS[document]):
        if not line.startswith("touchstone "):
            continue
        words = re.findall(r"[\w-]+", line)[1:]
        found = next((path for path in COMMANDS if tuple(words[: len(path)]) == path), None)
        if found is None:
            # A family of commands, named as a whole.
            assert tuple(words) in {path[: len(words)] for path in COMMANDS}, line
            continue
        options = {option for parameter in COMMANDS[found].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, line


def test_the_page_of_all_commands_is_fresh_and_the_readme_leads_there() -> None:
    assert cli_page.PAGE.read_text() == cli_page.page()
    assert "docs/commands.md" in README


@pytest.mark.parametrize("name", sorted(main.commands))
def test_the_readme_names_every_family_of_commands(name: str) -> None:
    assert any(re.match(rf"touchstone {name}\b", line) for line in code(README)), f"README.md lacks `touchstone {name}`"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_says_what_it_does_and_what_its_options_mean(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_names_exists(document: str) -> None:
    text = DOCUMENTS[document]
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    rooms = "rollup|prover|sequencer|challenger|contracts|touchstone|benchmarks|tests|docs"
    files = [line for line in code(text) if re.fullmatch(rf"({rooms})/[\w./-]*", line)]
    folder = (ROOT / document).parent
    missing = [link for link in links if not (folder / link).exists()]
    missing += [name for name in files if not (ROOT / name).exists()]
    assert missing == []


@pytest.mark.parametrize("room", ["rollup", "prover", "sequencer", "challenger", "touchstone", "benchmarks"])
def test_the_map_of_the_house_names_everything_in_a_room(room: str) -> None:
    house = ARCHITECTURE.split("## The map of the house")[1].split("\n## ")[0]
    (mapped,) = re.findall(rf"^{room}/ .*\n(?: .*\n)*", house, re.MULTILINE)
    here = {path.stem for path in (ROOT / room).iterdir() if not path.name.startswith(("_", "py.typed"))}
    assert here - set(re.findall(r"\w+", mapped)) == set()


def test_the_page_of_the_contracts_names_every_contract_and_library() -> None:
    sources, examples = ROOT / "contracts" / "src", ROOT / "contracts" / "examples"
    here = {path.stem for folder in (sources, sources / "libraries", examples) for path in folder.glob("*.sol")}
    assert here - set(re.findall(r"`(\w+)`", DOCUMENTS["docs/contracts.md"])) == set()


def test_the_contract_that_authors_are_shown_is_the_one_that_is_tested() -> None:
    section = DOCUMENTS["docs/contracts.md"].split("\n## For contract authors")[1].split("\n## ")[0]
    (shown,) = re.findall(r"^```solidity\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert (ROOT / "contracts" / "examples" / "LastAnswer.sol").read_text().endswith(shown)


def test_every_section_that_is_cited_exists() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in (name for name in tracked.split("\0") if name.endswith((".md", ".py", ".sol"))):
        for page, section in re.findall(r"(docs/\w+\.md)\)?, \*([^*]+)\*", (ROOT / name).read_text()):
            assert re.search(rf"^##+ {re.escape(section)}$", (ROOT / page).read_text(), re.MULTILINE), (name, section)


def test_every_page_of_the_docs_is_linked_from_a_document() -> None:
    linked = {link for text in DOCUMENTS.values() for link in re.findall(r"\]\((?:docs/)?(\w+\.md)\)", text)}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - linked == set()


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What needs a running network is run in tests/e2e/test_readme.py and tests/prover/openai/test_readme_lines.py.
    running = r"^## (Run a network|Ask a language model)\n.*?^(?=## )"
    without = re.sub(running, "", README, flags=re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```python\n(.*?)^```", without, re.MULTILINE | re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)


def test_the_readmes_gas_figures_are_measured_ones() -> None:
    section = README.split("## Figures")[1].split("\n## ")[0]
    figures = set(re.findall(r"\d{1,3}(?:,\d{3})+", section)) - {"2,400", "4,096"}
    measured = set(re.findall(r"\d{1,3}(?:,\d{3})+", (ROOT / "docs" / "costs.md").read_text()))
    assert len(figures) >= 5
    assert figures <= measured


def test_the_runbooks_gas_of_a_claim_is_the_measured_one() -> None:
    ((grouped, alone),) = re.findall(r"in a group of 64: ([\d,]+) gas; alone: ([\d,]+)\)", DOCUMENTS["docs/runbook.md"])
    costs = (ROOT / "docs" / "costs.md").read_text()
    assert f"| each claim of a group of 64 | {grouped} |" in costs
    assert f"| a claim alone | {alone} |" in costs


def test_the_campaigns_page_shows_what_was_measured_and_how_to_measure_what_was_not(tmp_path: Path) -> None:
    load = {"offered": 12000, "rate": 199.9, "accepted": 12000, "p50_ms": 8.5, "p99_ms": 97.1, "max_ms": 130.0}
    load |= {"on_l1": 12000, "twice": 0, "memory_mb": [150, 170]}
    (tmp_path / "load.json").write_text(json.dumps({"sqlite": load}))
    text = campaigns_page.filled(campaigns_page.PAGE.read_text(), tmp_path)
    assert (
        "| sqlite | 12,000 at 199.9 a second | 12,000 | 8.5 ms | 97.1 ms | 130.0 ms | 12,000 | 0 | 150 to 170 MiB |"
        in text
    )
    assert 'Not measured yet: `make crash ARGS="--json docs/campaigns/crash.json"`' in text
    assert campaigns_page.filled(text, tmp_path) == text


def test_nothing_cites_a_document_that_is_not_in_the_repository() -> None:
    """Reasons stand in ``docs/decisions.md``, complete in themselves; files that are named are there."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = [name for name in tracked.split("\0") if name.endswith((".md", ".py", ".sol", ".mjs", ".toml", ".yml"))]
    outside = re.compile(r"\b(DE" + r"SIGN|HO" + r"USE)\b|\bIs" + r"sue \d|\bDE" + r"SIGN D\d")
    for name in names:
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            assert not outside.search(line), f"{name}:{number}: {line.strip()}"
