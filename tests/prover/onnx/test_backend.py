"""The node tests that the onnx package ships: for every op that they test, the first test of each kind gives its values."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from rollup.errors import UnsupportedError
from tests.prover.onnx.models import agree, ours

OPS = 165
"""Ops of which a test must pass; the others are out of scope, and say why."""


def chosen() -> Iterator[Any]:
    """Per op, the first test whose model is that op alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests = load_model_tests(kind="node")
    seen: set[tuple[str, str]] = set()
    for test in tests:
        nodes = test.model.graph.node
        key = (nodes[0].domain, nodes[0].op_type)
        if len(nodes) == 1 and key not in seen:
            seen.add(key)
            yield test


def array_of(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return value if value is None or isinstance(value, list) else np.asarray(value)


def test_every_op_in_scope_gives_the_suites_values() -> None:
    passed: set[str] = set()
    refused: list[str] = []
    for test in chosen():
        given, wanted = test.data_sets[0]
        names = [value.name for value in test.model.graph.input]
        try:
            got = ours(test.model, dict(zip(names, map(array_of, given), strict=True)))
        except UnsupportedError as error:
            refused.append(str(error))
            continue
        loose = min(np.dtype(x.dtype).itemsize for x in got) < 4
        agree(got, [array_of(x) for x in wanted], 2e-2 if loose else test.rtol, 1e-2 if loose else 1e-5)
        passed.add(test.model.graph.node[0].op_type)
    assert len(passed) >= OPS, len(passed)
    assert not [sentence for sentence in refused if "there is no rule" in sentence]
