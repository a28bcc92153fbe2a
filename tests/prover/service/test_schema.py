"""The prover's OpenAPI, and requests drawn from it: none is answered by a failure of ours."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from prover.service.app import prover_app
from prover.service.archive import Archive
from rollup.service.health import Health
from rollup.service.web import WebLimits
from tests.prover.service.world import BEARER, TOKEN, ProverWorld

LIMITS = WebLimits(per_second=1e6, burst=10**6)


@pytest.fixture(scope="module")
def schema() -> schemathesis.BaseSchema:
    worker = ProverWorld().worker()
    return schemathesis.openapi.from_asgi(
        "/openapi.json", prover_app(worker, Archive(worker.trace), Health(), TOKEN, LIMITS)
    )


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"])
def test_no_request_is_answered_by_a_server_error(schema: schemathesis.BaseSchema, mode: GenerationMode) -> None:
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        strategy = operation.as_strategy(generation_mode=mode)

        @settings(max_examples=8)
        @given(strategy)
        def ask(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            response = case.call(headers=BEARER)
            case.validate_response(
                response, checks=[not_a_server_error, status_code_conformance, response_schema_conformance]
            )

        try:
            ask()
        except Unsatisfiable:
            # What takes no parameters can't be asked wrongly.
            assert mode is GenerationMode.NEGATIVE and not operation.definition.raw.get("parameters")
    assert asked >= 30


def test_every_operation_is_described(schema: schemathesis.BaseSchema) -> None:
    paths = schema.raw_schema["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert len(operations) == 11 and all(operation.get("summary") and operation.get("tags") for operation in operations)
    assert all(
        "description" in parameter or parameter["in"] == "path"
        for operation in operations
        for parameter in operation.get("parameters", [])
    )
