"""Who waits is told what lowering is at, and nothing else: XLA's alarms stay out of the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import jax.numpy as jnp
import numpy as np
import pytest

from prover import lower
from prover.progress import ProgressStep, at, listening
from touchstone import progress
from touchstone.progress import told


def network(x):
    for n in range(3):
        x = jnp.tanh(x * (n + 1.5))
    return x


def test_every_stage_of_lowering_is_told_in_order_and_names_its_ops() -> None:
    steps: list[ProgressStep] = []
    sample = (np.linspace(-1, 1, 8, dtype=np.float32),)
    with listening(steps.append):
        lower(network, *sample, calibration=[sample])
    stages = list(dict.fromkeys(step.stage for step in steps))
    assert stages == [
        "trace the function",
        "fold constants",
        "calibrate",
        "choose the inputs' formats",
        "fold loops",
        "round weights",
        "lower",
        "emit",
        "audit",
        "measure, sample",
    ]
    lowered = [step for step in steps if step.stage == "lower"]
    assert [step.number for step in lowered] == list(range(1, lowered[0].of + 1))
    assert any("tanh" in step.what and "test_progress.py" in step.what for step in lowered)
    before = len(steps)
    lower(network, *sample, calibration=[sample])
    assert len(steps) == before


@pytest.mark.parametrize("terminal", [False, True])
def test_after_its_patience_a_command_says_stage_op_and_seconds(monkeypatch, capsys, terminal: bool) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    monkeypatch.setattr(progress, "EVERY", 0.01)
    monkeypatch.setattr(progress, "REFRESH", 0.01)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    said = ""
    with told():
        at("calibrate", 412, 2103, "dot_general net.py:35 (block)")
        deadline = time.monotonic() + 60
        while "calibrate" not in said and time.monotonic() < deadline:
            time.sleep(0.01)
            said += capsys.readouterr().err
    said += capsys.readouterr().err
    assert " s  calibrate 412 of 2,103: dot_general net.py:35 (block)" in said
    assert said.endswith("\r\x1b[2K" if terminal else "\n"), "a terminal's line is wiped in the end"


def test_what_is_quick_says_nothing(capsys) -> None:
    with told():
        at("calibrate", 1, 2)
    assert capsys.readouterr().err == ""


SLOW = """
import touchstone
import jax, jax.numpy as jnp
ones = lambda: jnp.ones((1, 1, 160, 160))
jax.jit(lambda x: x + jax.lax.reduce_window(ones(), 0.0, jax.lax.add, (1, 1, 9, 9), (1, 1, 1, 1), "SAME").sum())(1.0)
"""
"""Constants whose folding takes XLA's compiler more than the second from which on it raises its alarm."""


def test_xla_does_not_speak_about_its_compiler() -> None:
    # JAX sets the variable for whatever is imported after it, here too.
    own = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, check=True, env=own)
    assert done.stderr == ""
