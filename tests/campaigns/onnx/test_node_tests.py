"""The table of ONNX node tests is complete, says why every failure fails, and says what the code does now."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from tests.campaigns.onnx.page import EXPLANATIONS, PAGE, current, explained
from tests.campaigns.onnx.results import read
from tests.campaigns.onnx.scope import out_of_scope
from tests.campaigns.onnx.suite import CONVERTED, suite
from tests.campaigns.onnx.verdict import FAILED, OUT, PASSED, compare, judge

AGAIN = 20
"""Tests that are judged again: of every operator the first by a hash of its name, of these the first."""

VERDICTS, OPS, _ = read()


def _order(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _again() -> list[str]:
    """One test in scope per operator, operators in the order of a hash."""
    first: dict[str, str] = {}
    for name in sorted((name for name, one in VERDICTS.items() if one.state != OUT), key=_order):
        first.setdefault(OPS[name], name)
    return sorted(first.values(), key=_order)[:AGAIN]


def test_the_table_has_exactly_the_tests_of_the_installed_package() -> None:
    assert set(VERDICTS) == set(suite())
    assert {name: case.op for name, case in suite().items()} == OPS


def test_the_page_is_what_the_verdicts_say_and_every_failure_is_explained() -> None:
    assert PAGE.read_text() == current()
    explanations = json.loads(EXPLANATIONS.read_text())
    assert all(explained(name, explanations) for name, one in VERDICTS.items() if one.state == FAILED)


def test_nearly_all_tests_in_scope_pass_and_so_do_the_converted_modules() -> None:
    for modules, share, least in ((False, 0.99, 1500), (True, 0.95, 80)):
        own = [one.state for name, one in VERDICTS.items() if name.startswith(CONVERTED) == modules]
        passed, failed = own.count(PASSED), own.count(FAILED)
        assert passed >= share * (passed + failed) and passed + failed >= least


def test_scope_by_type_operator_and_number_is_what_the_table_says() -> None:
    for name, case in suite().items():
        reason = out_of_scope(case)
        if reason is not None:
            assert (VERDICTS[name].state, VERDICTS[name].why) == (OUT, reason), name


@pytest.mark.parametrize("name", _again())
def test_verdict_is_what_the_table_says(name: str) -> None:
    verdict = judge(suite()[name])
    assert verdict.state == VERDICTS[name].state, verdict
    assert verdict.fixed == VERDICTS[name].fixed
    assert verdict.compared or verdict.state != PASSED


def test_a_wrong_output_is_found() -> None:
    expected = np.linspace(-2, 2, 9, dtype=np.float32)
    assert compare(expected, expected) == (0.0, "")
    assert compare((expected + np.float32(2**-12)), expected)[1] == ""
    assert "beyond the tolerance" in compare(expected + np.float32(2**-9), expected)[1]
    assert "shape" in compare(expected[:8], expected)[1]
    assert "dtype" in compare(expected.astype(np.float64), expected)[1]
    assert "1 of 3" in compare(np.array([1, 2, 3]), np.array([1, 2, 4]))[1]
