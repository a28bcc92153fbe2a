"""The container files: well-formed, hardened, and the very network that `touchstone devnet` runs."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from touchstone.cli import main
from touchstone.devnet.network import TOKENS
from touchstone.devnet.plan import COMPOSE, FUNDED, anvil, commands, secrets

ROOT = Path(__file__).parent.parent
OURS = ("deploy", "sequencer", "seed", "prover", "watcher", "guard")
LONG_LIVED = ("sequencer", "prover", "watcher", "guard")


def compose(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The program inside the package: the package's launcher swallows exit codes."""
    found = importlib.util.find_spec("compose")
    assert found is not None and found.origin is not None
    program = Path(found.origin).with_name("docker-compose")
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    result = compose("-f", "docker-compose.yml", "config", "--format", "json")
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)["services"]
    return found


def environment(name: str) -> dict[str, str]:
    """What an env file sets."""
    lines = (ROOT / "ops" / "env" / f"{name}.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_compose_file_is_valid_and_an_invalid_one_would_be_noticed(tmp_path: Path) -> None:
    assert compose("-f", "docker-compose.yml", "config", "-q").returncode == 0
    broken = tmp_path / "docker-compose.yml"
    broken.write_text((ROOT / "docker-compose.yml").read_text().replace("condition:", "conditon:"))
    assert compose("-f", str(broken), "config", "-q").returncode != 0


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    result = subprocess.run(
        [linter, "--failure-threshold", "style", "Dockerfile"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout


def test_the_containers_run_the_commands_of_the_development_network(services: dict[str, Any]) -> None:
    assert {name: services[name]["command"] for name in OURS} == commands(COMPOSE)
    assert services["anvil"]["entrypoint"] + services["anvil"]["command"] == anvil(
        "0.0.0.0", 8545, "/home/foundry/state.json"
    )


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_that_the_command_line_takes(services: dict[str, Any], name: str) -> None:
    words = services[name]["command"]
    command = copy.deepcopy(main.commands[words[0]])
    for argument in command.params:
        if isinstance(argument, click.Argument):
            # The container's files are not on this machine.
            argument.type = click.STRING
    assert command.make_context(words[0], list(words[1:])).params
    with pytest.raises(click.NoSuchOption):
        command.make_context(words[0], [*words[1:], "--no-such-option"])


@pytest.mark.parametrize("name", OURS)
def test_every_container_of_ours_is_hardened(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", LONG_LIVED)
def test_every_service_is_healthy_when_it_is_ready_and_comes_back_when_it_dies(
    services: dict[str, Any], name: str
) -> None:
    own = next(
        port
        for word, port in zip(services[name]["command"], services[name]["command"][1:], strict=False)
        if word == "--port"
    )
    assert f"http://127.0.0.1:{own}/readyz" in services[name]["healthcheck"]["test"][-1]
    assert services[name]["restart"] == "unless-stopped"


def test_every_port_is_open_to_this_machine_alone(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert {"8080", "8081", "8082", "8545"} <= {port["published"] for port in ports}


def test_every_image_is_pinned(services: dict[str, Any]) -> None:
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for image in [*bases, *(service["image"] for service in services.values())]:
        assert re.search(r":v?\d+\.\d+(\.\d+)?[\w.-]*\Z", image), image
        assert "latest" not in image


def test_no_secret_stands_in_the_compose_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in (*OURS, "postgres"):
        for key, value in environment(name).items():
            assert value not in text or key in ("POSTGRES_USER", "POSTGRES_DB")


@pytest.mark.parametrize("name", OURS)
def test_every_process_gets_the_secrets_that_it_needs_and_no_others(name: str) -> None:
    tokens = {token: token.lower() for token in (*TOKENS, "TOUCHSTONE_ADMIN_TOKEN")}
    given = environment(name)
    given.pop("TOUCHSTONE_SEQUENCER_DATABASE_PASSWORD", None)
    assert given.keys() == secrets(name, tokens).keys()
    assert given.get("TOUCHSTONE_KEY") == FUNDED.get(name)


def test_those_who_share_a_secret_have_the_same_one() -> None:
    assert environment("sequencer")["TOUCHSTONE_PROVER_TOKEN"] == environment("prover")["TOUCHSTONE_PROVER_TOKEN"]
    assert environment("sequencer")["TOUCHSTONE_ADMIN_OWN_TOKEN"] == environment("seed")["TOUCHSTONE_ADMIN_TOKEN"]
    password = environment("postgres")["POSTGRES_PASSWORD"]
    assert environment("sequencer")["TOUCHSTONE_SEQUENCER_DATABASE_PASSWORD"] == password


def test_the_image_installs_what_the_lock_holds() -> None:
    run, everything = ((ROOT / name).read_text() for name in ("requirements-run.lock", "requirements.lock"))
    pins = re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==\S+", run, re.MULTILINE)
    assert len(pins) > 30
    assert set(pins) <= set(re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==\S+", everything, re.MULTILINE))
    setuptools = re.search(r"^setuptools==(\S+)", everything, re.MULTILINE)
    assert setuptools is not None
    assert f"setuptools=={setuptools.group(1)}" in (ROOT / "Dockerfile").read_text()


def test_the_image_runs_as_nobody_in_particular() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["10001:10001"]
    assert text.count("\nFROM ") == 2
