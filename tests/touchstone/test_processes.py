"""Children of the development network live and die together, and nothing of them is left behind."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollup.errors import ServiceError, SettingsError
from touchstone.devnet.network import Devnet, Ports, _resolved
from touchstone.devnet.processes import Processes

FOREVER = "import time\nprint('begun', flush=True)\nwhile True: time.sleep(1)"
PATIENCE = 60.0


class Family:
    """Processes, and all that they said."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.processes = Processes(lambda name, line: self.heard.append((name, line)))

    def start(self, name: str, code: str, once: bool = False) -> int:
        return self.processes.start(name, [sys.executable, "-c", code], os.environ, once).popen.pid

    def until_heard(self, name: str, line: str) -> None:
        self.processes.wait_until(lambda: (name, line) in self.heard, f"{line} of {name}", PATIENCE)


@pytest.fixture
def family() -> Iterator[Family]:
    found = Family()
    yield found
    found.processes.stop()


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_output_comes_with_the_name_of_its_process(family: Family) -> None:
    family.start("one", "print('to stdout'); import sys; print('to stderr', file=sys.stderr)", once=True)
    family.until_heard("one", "to stdout")
    family.until_heard("one", "to stderr")


def test_a_process_that_dies_is_named_and_the_others_are_stopped(family: Family) -> None:
    survivor = family.start("survivor", FOREVER)
    family.until_heard("survivor", "begun")
    family.start("mortal", "raise SystemExit(3)")
    with pytest.raises(ServiceError, match="mortal ended with exit code 3; the network stops"):
        family.processes.watch()
    family.processes.stop()
    assert not alive(survivor)


def test_a_process_that_is_killed_is_named_with_the_signal(family: Family) -> None:
    victim = family.start("victim", FOREVER)
    family.until_heard("victim", "begun")
    os.kill(victim, 9)
    with pytest.raises(ServiceError, match="victim was killed by SIGKILL"):
        family.processes.watch()


def test_a_step_that_ends_well_stops_nothing_and_one_that_fails_does(family: Family) -> None:
    fine = family.processes.start("fine", [sys.executable, "-c", ""], os.environ, once=True)
    family.processes.wait_for(fine, PATIENCE)
    failing = family.processes.start("failing", [sys.executable, "-c", "raise SystemExit(1)"], os.environ, once=True)
    with pytest.raises(ServiceError, match="failing ended with exit code 1"):
        family.processes.wait_for(failing, PATIENCE)


def test_what_does_not_come_about_is_named(family: Family) -> None:
    with pytest.raises(ServiceError, match="readiness of nothing did not come about within 0 s"):
        family.processes.wait_until(lambda: False, "readiness of nothing", 0)


def test_a_signal_ends_the_waiting(family: Family) -> None:
    code = (
        "import os, signal\n"
        "from touchstone.devnet.processes import Processes, Stopped\n"
        "processes = Processes(print)\n"
        "processes.stop_on_signals()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "try: processes.wait_until(lambda: False, 'nothing', 60)\n"
        "except Stopped: print('stopped')\n"
    )
    family.start("stopping", code, once=True)
    family.until_heard("stopping", "stopped")


def test_children_are_asked_to_end_and_have_time_to_finish(family: Family, tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import signal, sys\n"
        f"def end(*_): open({str(log)!r}, 'a').write(sys.argv[1] + ' '); raise SystemExit\n"
        "signal.signal(signal.SIGTERM, end)\nprint('begun', flush=True)\nwhile True: signal.pause()"
    )
    for name in ("a", "b"):
        family.processes.start(name, [sys.executable, "-c", code, name], os.environ)
        family.until_heard(name, "begun")
    family.processes.stop()
    assert sorted(log.read_text().split()) == ["a", "b"]


def test_children_of_a_network_that_is_killed_end_too(family: Family) -> None:
    code = (
        "import os, sys\n"
        "from touchstone.devnet.processes import Processes\n"
        "processes = Processes(lambda name, line: print(name, line, flush=True))\n"
        f"child = processes.start('child', [sys.executable, '-c', {FOREVER!r}], os.environ)\n"
        "print(child.popen.pid, flush=True)\n"
        "processes.watch()\n"
    )
    network = family.start("network", code, once=True)
    family.until_heard("network", "child begun")
    child = next(int(line) for _, line in family.heard if line.isdigit())
    os.kill(network, signal.SIGKILL)
    family.processes._running.clear()
    family.processes.wait_until(lambda: not alive(child), "the end of the orphan", PATIENCE)


def test_ports_that_are_zero_become_free_ones_all_different_and_a_taken_one_is_named() -> None:
    found = vars(_resolved(Ports(0, 0, 0, 0, 0, 0)))
    assert len(set(found.values())) == 6
    assert 0 not in found.values()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=rf"port {port} \(prover\) is taken .*--prover-port"):
            _resolved(Ports(0, 0, 0, port, 0, 0))


def test_a_network_that_is_started_again_says_that_it_begins_anew(tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    network = Devnet(tmp_path, Ports(0, 0, 0, 0, 0, 0), False, False, lambda name, line: said.append((name, line)))
    first = network._prepare()
    assert said == []
    assert network._prepare() != first
    assert said == [
        ("devnet", "begins anew: the chain, the claims, the deployment and the tokens of the last time are gone")
    ]
    assert (tmp_path / "state" / "tokens.env").stat().st_mode & 0o077 == 0


def test_a_network_whose_chain_lives_in_memory_can_not_be_kept(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"lives in memory alone .*; --keep needs --anvil"):
        Devnet(tmp_path, Ports(), False, False, print, keep=True)


def test_a_network_is_kept_with_its_tokens_once_its_chain_was_written(tmp_path: Path) -> None:
    network = Devnet(tmp_path, Ports(0, 0, 0, 0, 0, 0), True, False, lambda name, line: None, keep=True)
    first = network._prepare()
    assert network._prepare() != first
    (tmp_path / "state" / "chain.json").touch()
    assert network._prepare() == network._prepare()
